"""`gcroot` against what Roots planted: every kind of root is found with its name and path, and what is dead has none.

The truth is the app's own (apps/README.md); ClrMD takes no part. Live and from a core, under every GC, and without tiered
compilation, whose optimised code leaves no copies in stack slots that would hide a missing root.
"""
import re

import pytest

from lab import MODES, older

SHAPES = {"C6_InMultiDim[,]": (3, 4)}  # The truth counts elements flat, linger by dimension.
TRIED = 8  # Instances of a type that are asked about; of the 50,000 list nodes the first and last ones.

# Where the runtime lies makes no difference: in its own folder, beside the program, or in it.
PLACES = [("Roots", mode) for mode in MODES] + [("Roots:single-file", "workstation"), ("Roots:self-contained", "workstation")] + older("Roots")
where = pytest.mark.parametrize("kind, app, mode", [(kind, app, mode) for app, mode in PLACES for kind in ("core", "live")])


class Found:
    """What gcroot says of the instances of planted types: one opening to find them, one to ask."""

    def __init__(self, lab, target, types):
        stat = lab.report(target, "dumpheap -stat")
        tables = {t["type"]: t["mt"] for t in stat["types"] if t["type"] in types}
        lists = lab.reports(target, [f"dumpheap -short -mt {mt}" for mt in tables.values()])
        self.instances = {name: [o["address"] for o in r["objects"]] for name, r in zip(tables, lists)}
        asked = [a for addresses in self.instances.values() for a in addresses[: TRIED // 2] + addresses[TRIED // 2 :][-TRIED // 2 :]]
        self.reports = dict(zip(asked, lab.reports(target, [f"gcroot {address}" for address in asked])))

    def of(self, name):
        """(address, report) of the instances that were asked about."""
        return [(a, self.reports[a]) for a in self.instances.get(name, []) if a in self.reports]


def found(lab, kind, app, mode):
    def make():
        target = lab.app(app, mode).pid if kind == "live" else lab.core(app, mode)
        types = {t["type"] for t in lab.app(app, mode).truth["types"]}
        return Found(lab, target, types)
    return lab.once(("roots", kind, app, mode), make)


def hop_in_words(hop):
    """How linger spells a hop of the truth: the field, or "[3].value", "[2,1]"."""
    if hop["link"] != "element":
        return hop.get("field")
    shape, index = SHAPES.get(hop["type"]), hop["index"]
    at = f"[{index // shape[1]},{index % shape[1]}]" if shape else f"[{index}]"
    return at + ("." + hop["field"] if "field" in hop else "")


def path_in_words(path):
    return [(hop["link"], hop["type"], hop_in_words(hop)) for hop in path]


def path_of(root):
    return [(hop["link"], hop["type"], hop["field"]) for hop in root["path"][:-1]]


def name_and_path(root):
    """A static struct lies boxed on the heap. linger names the static, and the struct's field is the first hop of the path; the
    truth names both at once."""
    path = path_of(root)
    yield root["name"], path
    if path and path[0][0] == "field":
        yield f"{root['name']}.{path[0][2]}", path[1:]


def is_as_claimed(root, claim, threads):
    if root["kind"] not in claim["kinds"]:
        return False
    if "thread" in claim and claim["thread"] in threads and root["kind"] in ("stack", "thread-static"):
        if root["thread"] != threads[claim["thread"]]:
            return False
    wanted = path_in_words(claim["path"])
    for name, path in name_and_path(root):
        if (claim["name"] is None or name == claim["name"]) and (not wanted or path == wanted):
            return True
    return False


UNTOLD = re.compile(r"Gen<|Dyn\.Staying\.")


def is_nameless(root, claim, report):
    """The DAC of .NET 8 does not tell where statics of generic types and of such made at run time lie: that is said, and what they
    hold hangs on the handle of an Object[]."""
    said = any(note.startswith("Statics of generic types") for note in report["incomplete"])
    return said and UNTOLD.match(claim["name"] or "") and root["kind"] == "strong" and path_of(root)[0][:2] == ("element", "System.Object[]")


def told(reports):
    return "\n".join(f"{a}: {root['kind']} {root['name']} thread {root['thread']} conservative {root['conservative']} {path_of(root)[:6]}"
                     for a, report in reports for root in report["roots"])


@where
def test_every_planted_root_is_found(lab, kind, app, mode):
    truth = lab.app(app, mode).truth
    threads = {t["name"]: t["os_id"] for t in truth["threads"]}
    answers = found(lab, kind, app, mode)
    missed = []
    for claim in truth["roots"]:
        reports = answers.of(claim["type"])
        kept = [a for a, report in reports if any(is_as_claimed(root, claim, threads) or is_nameless(root, claim, report) for root in report["roots"])]
        if len(kept) < claim.get("instances", 1):
            missed.append(f"{claim}\n{told(reports)}")
    assert not missed, "\n\n".join(missed)


@where
def test_a_static_of_a_collectible_type_is_a_hop_and_no_root(lab, kind, app, mode):
    (_, report), = found(lab, kind, app, mode).of("G1_InCollectibleStatic")
    exact = [root for root in report["roots"] if not root["conservative"]]
    assert exact and "Dyn.Collectible.S" not in {root["name"] for root in exact}
    for root in exact:
        loader, slots, array, static = root["path"][-5:-1]
        assert loader["link"] == "loader" and (slots["type"], slots["field"]) == ("System.Reflection.LoaderAllocator", "m_slots")
        untold = any(note.startswith("Statics of generic types") for note in report["incomplete"])
        assert array["link"] == "element" and (static["field"] == "Dyn.Collectible.S" or (untold and re.fullmatch(r"\[\d+\]", static["field"])))
    assert not any("collectible" in sentence for sentence in report["incomplete"])


@where
def test_what_is_alive_has_a_root(lab, kind, app, mode):
    answers = found(lab, kind, app, mode)
    lost = []
    for planted in lab.app(app, mode).truth["types"]:
        if planted["state"] != "live":
            continue
        reports = answers.of(planted["type"])
        assert len(answers.instances.get(planted["type"], [])) >= planted["count"], planted
        lost += [f"{planted['type']} {a}" for a, report in reports if report["unique_roots"] == 0]
    # Arrays of the list's that the app did not make are its own: List<T> leaves its smaller ones behind.
    assert not [line for line in lost if "]" not in line]


@where
def test_what_is_dead_has_no_root(lab, kind, app, mode):
    """A word on a stack may look like a reference: such a root is told as conservative. Nothing else may hold the dead."""
    answers = found(lab, kind, app, mode)
    for planted in lab.app(app, mode).truth["types"]:
        if planted["state"] == "gone":
            assert not answers.instances.get(planted["type"]), planted
        if planted["state"] in ("dead", "garbage"):
            for address, report in answers.of(planted["type"]):
                exact = [root for root in report["roots"] if not root["conservative"]]
                assert not exact, f"{planted['type']} {address}\n{told([(address, report)])}"
                assert report["unique_roots"] == len(report["roots"])


@where
def test_roots_are_told_in_full(lab, kind, app, mode):
    """Each root has a slot or a register, each path begins at what the root refers to and ends at the object asked about."""
    answers = found(lab, kind, app, mode)
    for address, report in answers.reports.items():
        assert report["address"] == address
        assert report["unique_roots"] == len(report["roots"])
        for root in report["roots"]:
            assert root["slot"] or root["register"], root
            assert root["path"][-1]["address"] == address and root["path"][-1]["link"] is None
            assert all(hop["link"] for hop in root["path"][:-1])
            assert not root["conservative"] or root["kind"] == "stack", root
            assert root["thread"] or root["kind"] not in ("stack", "thread-static", "frame"), root


@where
def test_it_is_said_how_stacks_were_read(lab, kind, app, mode):
    answers = found(lab, kind, app, mode)
    notes = {note for report in answers.reports.values() for note in report["incomplete"]}
    guessed = any(root["conservative"] for report in answers.reports.values() for root in report["roots"])
    assert any(re.match("stack roots are those of managed frames|stack roots are conservative", note) for note in notes), notes
    assert not guessed or any("conservative" in note for note in notes), notes


@pytest.mark.parametrize("app, mode", [("Roots", mode) for mode in MODES])
def test_gcroot_without_stacks(lab, app, mode):
    answers = found(lab, "core", app, mode)
    address = answers.instances["A4_Local"][0]
    report = lab.report(lab.core(app, mode), f"gcroot {address} -nostacks")
    assert report["unique_roots"] == 0 and any("-nostacks" in note for note in report["incomplete"])


@pytest.mark.parametrize("app, mode", [("Roots", "workstation")])
def test_the_far_end_of_a_long_list(lab, app, mode):
    """Peers' fault 9: a path of 50,000 nodes is told in a few lines, and its length is right."""
    target = lab.core(app, mode)
    truth = lab.app(app, mode).truth["list"]
    mt = next(t["mt"] for t in lab.said(app, mode, "dumpheap -stat")["types"] if t["type"] == truth["type"])
    # The head was made last, so the other end is the node that was made first.
    addresses = [o["address"] for o in lab.report(target, f"dumpheap -short -mt {mt}")["objects"]]
    reports = lab.reports(target, [f"dumpobj {a}" for a in (addresses[0], addresses[-1])])
    ends = [a for a, r in zip((addresses[0], addresses[-1]), reports) if any(f["name"] == "Index" and f["value"] == "0" for f in r["fields"])]
    if not ends:  # A collection has moved them: ask for the one node that refers to none.
        reports = lab.reports(target, [f"dumpobj {a}" for a in addresses[:2000] + addresses[-2000:]])
        ends = [r["address"] for r in reports if any(f["name"] == "Index" and f["value"] == "0" for f in r["fields"])]
    assert ends
    report = lab.report(target, f"gcroot {ends[0]}")
    root = next(r for r in report["roots"] if r["name"] == truth["head"])
    assert root["length"] == truth["length"]
    text = lab.linger("gcroot", target, ends[0]).out
    assert truth["head"] in text and len(text.splitlines()) < 100


@where
def test_live_and_dead_are_what_the_app_planted(lab, kind, app, mode):
    target = lab.app(app, mode).pid if kind == "live" else lab.core(app, mode)
    everything, live, dead = lab.reports(target, ["dumpheap -stat", "dumpheap -stat -live", "dumpheap -stat -dead"])
    counts = [{t["mt"]: t["count"] for t in report["types"]} for report in (everything, live, dead)]
    assert counts[0] == {mt: counts[1].get(mt, 0) + counts[2].get(mt, 0) for mt in counts[0]}
    assert live["total_count"] == live["live_count"] and live["guessed_count"] <= live["live_count"] // 100
    names = [{}, {}]
    for report, by_name in zip((live, dead), names):
        for row in report["types"]:
            by_name[row["type"]] = by_name.get(row["type"], 0) + row["count"]
    for planted in lab.app(app, mode).truth["types"]:
        name, count = planted["type"], planted["count"]
        if planted["state"] == "live" and not planted.get("length") and "[]" not in name:
            assert (names[0].get(name, 0), names[1].get(name, 0)) == (count, 0), name
        elif planted["state"] in ("dead", "garbage"):
            # What only a word on a stack may hold is not called dead.
            assert names[0].get(name, 0) <= live["guessed_count"], name
            assert planted["state"] == "garbage" or names[0].get(name, 0) + names[1].get(name, 0) == count, name
