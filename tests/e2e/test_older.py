"""Runtimes before 10 that are not in OLDER: .NET 9 and 8 in a single file, which has no libmscordaccore.so beside it and tells nothing without
one; and .NET Core 3.1, which does not even say where its GC's variables are."""
import pathlib

import pytest

import test_oracle


@pytest.fixture(scope="module", params=["8", "9"])
def version(request):
    return request.param


@pytest.fixture(scope="module")
def app(lab, version):
    return lab.app(f"Leak:single-file@{version}", "workstation")


@pytest.fixture(scope="module")
def dac(lab, version):
    """Of the same build: the one that lies beside the self-contained program."""
    return pathlib.Path(lab.program(f"Leak@{version}")).parent / "libmscordaccore.so"


def test_without_the_dac_the_error_names_the_file_that_would_help(lab, app, version):
    result = lab.linger("dumpheap", app.pid, "-stat", status=3)
    assert f"runtime {app.truth['runtime']} has no data descriptor" in result.err
    assert "libmscordaccore.so" in result.err and "name one of build-id" in result.err and "--dac" in result.err


def test_with_it_everything_is_told(lab, app, dac):
    stat, sessions = lab.linger("open", app.pid, "--dac", dac, "-c", "dumpheap -stat", "-c", "dumpheap -type Session -top 1", "--json").reports()
    counts = {t["type"]: t["count"] for t in stat["types"]}
    planted = {t["type"]: t["count"] for t in app.truth["types"] if t["state"] == "live"}
    assert stat["target"]["provider"] == "dac" and planted and {name: counts.get(name) for name in planted} == planted
    root = lab.linger("gcroot", app.pid, sessions["objects"][0]["address"], "--dac", dac)
    assert "Bus.Tick" in root.out


def test_a_dac_of_another_build_is_refused(lab, app, version):
    other = pathlib.Path(lab.program(f"Leak@{'9' if version == '8' else '8'}")).parent / "libmscordaccore.so"
    result = lab.linger("dumpheap", app.pid, "-stat", "--dac", other, status=3)
    assert "is of another build than the runtime" in result.err


# ---- .NET Core 3.1 ----


@pytest.fixture(scope="module", params=["live", "core"])
def of_core_3_1(lab, request):
    """The app, and what to look at."""
    app = lab.app("Leak@3.1", "workstation")
    return app, app.pid if request.param == "live" else lab.core("Leak@3.1", "workstation")


def test_core_3_1_is_walked_exactly_and_its_types_counted(lab, of_core_3_1):
    app, target = of_core_3_1
    stat, eeheap = lab.linger("open", target, "-c", "dumpheap -stat", "-c", "eeheap -gc", "--json").reports()
    counts = {t["type"]: t["count"] for t in stat["types"]}
    planted = {t["type"]: t["count"] for t in app.truth["types"] if t["state"] == "live"}
    assert stat["target"]["provider"] == "dac" and planted and {name: counts.get(name) for name in planted} == planted
    assert not [note for note in stat["incomplete"] if "no object where one should be" in note or "passed over" in note]
    assert {s["generation"] for s in eeheap["segments"]} >= {"gen2", "loh"} and "poh" not in {s["generation"] for s in eeheap["segments"]}


def test_core_3_1_objects_lead_to_the_static_that_holds_them(lab, of_core_3_1):
    _, target = of_core_3_1
    sessions = lab.report(target, "dumpheap -type Session -top 1")
    assert "Bus.Tick" in lab.linger("gcroot", target, sessions["objects"][0]["address"]).out


def test_core_3_1_handles_of_every_kind_and_finalizable_objects_are_listed(lab, of_core_3_1):
    _, target = of_core_3_1
    handles = lab.linger("gchandles", target)
    for kind in ["Strong", "Pinned", "Weak Long", "Weak Short", "Dependent"]:
        assert f"{kind} Handles:" in handles.out
    assert "System.Threading.Thread" in lab.linger("finalizequeue", target).out


def test_core_3_1_load_contexts_are_unknown_and_not_said_to_be_the_default_one(lab, of_core_3_1):
    _, target = of_core_3_1
    domain = lab.report(target, "dumpdomain")
    assert domain["assemblies"] and {a["load_context"] for a in domain["assemblies"]} == {None}


def test_core_3_1_stacks_end_in_main_and_are_precise(lab, of_core_3_1):
    _, target = of_core_3_1
    stacks = lab.report(target, "clrstack")
    assert ["Program.Main(System.String[])"] in [[f["method"] for f in t["frames"] if f["method"]][-1:] for t in stacks["threads"]]
    assert not [note for note in stacks["incomplete"] if "does not lie on the thread's stack" in note]


@pytest.mark.parametrize("mode", ["workstation", "server"])
@pytest.mark.parametrize("compare", ["bytes_of_every_generation", "every_handle_by_kind", "finalizer_lists", "every_object_and_its_references"])
def test_core_3_1_is_as_clrmd_has_it(lab, compare, mode):
    """What else test_oracle.py compares, ClrMD does not know of 3.1 (names of generic types), or it asks for what 3.1 has not (regions)."""
    getattr(test_oracle, f"test_{compare}")(lab, "Leak@3.1", mode)


@pytest.mark.parametrize("mode", ["workstation", "server"])
def test_core_3_1_has_as_many_objects_and_bytes_of_every_method_table_as_clrmd_says(lab, mode):
    oracle, _ = lab.oracle("Leak@3.1", mode)
    report = lab.said("Leak@3.1", mode, "dumpheap -stat")
    ours = {int(t["mt"], 16): (t["count"], t["size"]) for t in report["types"]}
    assert len(ours) > 50 and ours == {int(t["mt"], 16): (t["count"], t["bytes"]) for t in oracle["types"]}
    assert (report["total_count"], report["total_size"]) == (oracle["total_count"], oracle["total_bytes"])
