"""AssemblyLoadContexts: which there are, what is in them, and that a path names the one that leaks."""
import pytest

from lab import older


@pytest.fixture(params=[("Plugins", "workstation")] + older("Plugins"), ids="-".join)
def plugins(request):
    return request.param


@pytest.fixture(params=["process", "core"])
def target(lab, plugins, request):
    return lab.app(*plugins).pid if request.param == "process" else lab.core(*plugins)


@pytest.fixture
def truth(lab, plugins):
    return lab.app(*plugins).truth


def test_every_context_that_is_not_collected_is_listed(lab, target, truth):
    keys = ["name", "type", "collectible", "state", "assemblies"]
    rows = [{key: row[key] for key in keys} for row in lab.report(target, "dumpalc")["contexts"]]
    made = [row for row in rows if row["name"] != "Default"]
    assert made == truth["contexts"] and truth["gone"] and "gone" not in [row["name"] for row in rows]


def test_the_file_that_is_loaded_four_times_is_in_four_contexts(lab, target, truth):
    assemblies = lab.report(target, "dumpdomain")["assemblies"]
    mine = {a["load_context"]: a for a in assemblies if a["path"].endswith("/Plugins.dll")}
    assert set(mine) == {"Default", "leaky", "alive", "fixed"}
    assert {name: a["collectible"] for name, a in mine.items()} == {"Default": False, "leaky": True, "alive": True, "fixed": False}
    theirs = {a["load_context"] for a in assemblies if "/System." in a["path"]}
    # The DACs of 9 and 8 tell the context of a type: of an assembly that only forwards types it is unknown.
    assert theirs == {"Default"} or (truth["runtime"][:2] in ("9.", "8.") and theirs == {"Default", None})
    modules = lab.report(target, "modules")["modules"]
    assert {m["module"]: m["load_context"] for m in modules if m["managed"]} == {a["module"]: a["load_context"] for a in assemblies}
    native = [m for m in modules if m["path"] and m["path"].endswith("/libcoreclr.so")]
    assert len(native) == 1 and not native[0]["managed"] and len(native[0]["build_id"]) == 40 and native[0]["module"] is None


def test_a_path_names_the_context_that_stays(lab, target):
    orders = lab.report(target, "dumpheap -type PluginOrder")["objects"]
    found = {}
    for order in orders:
        report = lab.report(target, f"gcroot {order['address']}")
        root = next(r for r in report["roots"] if not r["conservative"])
        found[root["path"][-1]["load_context"]] = root
    assert set(found) == {"leaky", "alive"} and found["leaky"]["name"] == "Host.Held"
    text = lab.linger("gcroot", target, found["leaky"]["path"][-1]["address"]).out
    assert "     PluginOrder (load context leaky)\n" in text


def test_dumpalc_of_an_object_shows_its_context(lab, target):
    contexts = {c["name"]: c for c in lab.report(target, "dumpalc")["contexts"]}
    orders = [o["address"] for o in lab.report(target, "dumpheap -type PluginOrder")["objects"]]
    shown = [lab.report(target, f"dumpalc {address}")["contexts"] for address in orders]
    assert sorted(c["name"] for one in shown for c in one) == ["alive", "leaky"]
    assert all(one[0] == contexts[one[0]["name"]] for one in shown)
    text = lab.linger("dumpalc", target, orders[0]).out
    assert text.startswith("Name:        System.Runtime.Loader.AssemblyLoadContext\n") and " _isCollectible\n" in text
    refused = lab.linger("dumpalc", target, "10", status=3)
    assert "0x10 is no object" in refused.err
