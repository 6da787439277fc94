"""`gcroot -all`, `pathto`, `objsize`, `gcheapstat`: against each other's way of knowing, against ClrMD, and what the app planted."""
import re

import pytest

from lab import MODES
from test_oracle import typedump
from test_schema import check
from test_snapshots import snapshot, without_names, without_target

where = pytest.mark.parametrize("app, mode", [("Roots", "workstation"), ("Types", "workstation")])


def number(text):
    return int(text, 16)


def examples(lab, app, mode):
    """Type -> an object of it."""
    return {o["type"]: o["address"] for o in lab.said(app, mode, "dumpheap")["objects"] if o["type"] != "Free"}


def first_of(lab, name):
    return next(o["address"] for o in lab.said("Roots", "workstation", "dumpheap")["objects"] if o["type"] == name)


# ---- gcroot -all ----

@where
def test_paths_share_no_object_and_one_alone_leads_through_the_dominator(lab, app, mode):
    """Another algorithm says so too: what is on every path is what dominates."""
    core = lab.core(app, mode)
    addresses = list(examples(lab, app, mode).values())[:200]
    everything = lab.reports(core, [f"gcroot {a} -all" for a in addresses])
    plain = lab.reports(core, [f"gcroot {a}" for a in addresses])
    dominators = {o["address"]: o["dominator"] for o in lab.report(core, "retained -type . -top 0")["objects"]}
    several = alone = 0
    for address, report, nearest in zip(addresses, everything, plain):
        check(report)
        assert report["all_found"] and report["vertex_disjoint"] and report["disjoint_paths"] == len(report["roots"])
        assert (report["disjoint_paths"] > 0) == (nearest["unique_roots"] > 0) and report["disjoint_paths"] <= nearest["unique_roots"]
        paths = [[hop["address"] for hop in root["path"]] for root in report["roots"]]
        assert all(path[-1] == address for path in paths)
        between = [a for path in paths for a in path[:-1]]
        assert len(between) == len(set(between)), report
        assert len(report["cut"]) == len(paths) - report["direct_roots"] == sum(len(path) > 1 for path in paths)
        for hop in report["cut"]:
            assert sum(hop["address"] in path[:-1] for path in paths) == 1
        several += len(paths) > 1
        if len(paths) == 1 and report["generation"] != "foh" and address in dominators:
            alone += 1
            assert dominators[address] == (report["cut"][0]["address"] if report["cut"] else None), report
    assert several > 10 and alone > 50


def test_text_says_how_many_and_where_to_cut(lab):
    core, held = lab.core("Roots", "workstation"), first_of(lab, "C3_InDictionary")
    lines = lab.linger("gcroot", core, held, "-all").out.splitlines()
    assert lines[-3:] == ["Found 1 path; there is no second one that shares no object with it.", "Every path leads through:",
                          next(line for line in lines[-1:])] and "Entry[]" in lines[-1]
    timers = first_of(lab, "System.Threading.TimerQueue")
    assert "Found 1 path; there may be more (-limit)." in lab.linger("gcroot", core, timers, "-all", "-limit", 1).out
    assert re.search(r"^Found (1 path; there is no second one|[2-9] paths; no two share an object, and there are no more)", lab.linger("gcroot", core, timers, "-all").out, re.MULTILINE)
    assert "-all is for" in lab.linger("gcroot", core, "-all", "-type", "E1", status=2).err


# ---- pathto ----

def test_the_path_of_a_root_is_the_shortest_path_between_its_ends(lab):
    core = lab.core("Roots", "workstation")
    roots = [root for name in ("C3_InDictionary", "A9_CwtVal", "E1_Node", "G1_InCollectibleStatic")
             for root in lab.report(core, f"gcroot {first_of(lab, name)}")["roots"]]
    links = set()
    for root, report in zip(roots, lab.reports(core, [f"pathto {root['path'][0]['address']} {root['path'][-1]['address']}" for root in roots])):
        check(report)
        assert report["found"] and report["length"] == root["length"]
        assert report["path"] == root["path"]
        links |= {hop["link"] for hop in report["path"]}
    assert {"field", "element", "dependent", "loader"} <= links


def test_there_is_no_way_back(lab):
    core, held = lab.core("Roots", "workstation"), first_of(lab, "C3_InDictionary")
    holder = lab.report(core, f"gcroot {held}")["roots"][0]["path"][0]["address"]
    report = check(lab.report(core, f"pathto {held} {holder}"))
    assert (report["found"], report["length"], report["path"]) == (False, 0, [])
    assert re.fullmatch("Could not find a path from [0-9a-f]{12} to [0-9a-f]{12}\n", lab.linger("pathto", core, held, holder).out)
    assert check(lab.report(core, f"pathto {held} {held}"))["length"] == 1
    assert "is no object" in lab.linger("pathto", core, held, "10", status=3).err
    assert "expected pathto" in lab.linger("pathto", core, held, status=2).err


# ---- objsize ----

@where
def test_what_an_object_reaches_is_what_clrmd_counts(lab, app, mode):
    core = lab.core(app, mode)
    addresses = list(examples(lab, app, mode).values())[::3]
    file = lab.folder / f"{app}.addresses"
    file.write_text("".join(f"{a}\n" for a in addresses))
    theirs = {s["address"]: (s["count"], s["bytes"]) for s in lab.ask_oracle(core, "--sizes", file)["sizes"]}
    reports = lab.reports(core, [f"objsize {a}" for a in addresses])
    # What arrays hold that statics lie in is, for linger, held by the statics.
    slots = [number(line.split("\t")[1]) for line in typedump(lab, app, mode) if line.startswith("static\t")]
    arrays = [(number(o["address"]), o) for o in lab.said(app, mode, "dumpheap")["objects"] if o["type"] == "System.Object[]"]
    statics = {o["address"] for start, o in arrays if any(start < slot < start + o["size"] for slot in slots)}
    compared = 0
    for address, report in zip(addresses, reports):
        check(report)
        assert report["total_count"] == len(report["objects"]) and report["total_size"] == sum(o["size"] for o in report["objects"])
        assert report["retained"] is None or report["size"] <= report["retained"] <= report["total_size"]
        if not statics & {o["address"] for o in report["objects"]}:
            compared += 1
            assert (report["total_count"], report["total_size"]) == theirs[address], report["type"]
    assert compared > 50


def test_what_is_planted_has_its_size(lab):
    core = lab.core("Roots", "workstation")
    head = next(r for r in lab.report(core, "retained -type E1_Node -top 1")["objects"])
    one, short = lab.reports(core, [f"objsize {head['address']} -stat", f"objsize {head['address']} -short"])
    assert (one["total_count"], one["total_size"], one["retained"]) == (50000, 50000 * 32, 50000 * 32)
    assert len({o["address"] for o in short["objects"]}) == 50000
    text = lab.linger("objsize", core, head["address"], "-stat").out
    assert text.startswith(f"Objects which {number(head['address']):012x} (E1_Node) transitively keep alive:\n\nStatistics:\n")
    assert text.endswith("Total 50,000 objects, 1,600,000 bytes\nOf it 1,600,000 bytes are retained: nothing else keeps them alive.\n")


def test_all_of_a_type_together_and_the_dead(lab):
    core = lab.core("Roots", "workstation")
    tables = {t["type"]: t for t in lab.said("Roots", "workstation", "dumpheap -stat")["types"]}
    for name in ("E1_Node", "A4_Local", "C1_DeadButPresent"):
        report = check(lab.report(core, f"objsize -mt {tables[name]['mt']} -stat"))
        assert report["instances"] == tables[name]["count"]
        together = lab.linger("retained", core, "-set", name, "--json", status=None)
        assert report["retained"] == (together.reports()[0]["set_retained"] if together.status == 0 else None)
    dead = check(lab.report(core, f"objsize {first_of(lab, 'C1_DeadButPresent')}"))
    assert (dead["total_count"], dead["live_instances"], dead["retained"]) == (2, 0, None)
    assert "It is not alive: no root reaches it." in lab.linger("objsize", core, dead["address"]).out
    assert "expected the address of an object" in lab.linger("objsize", core, status=2).err
    assert "is no method table" in lab.linger("objsize", core, "-mt", "10", status=3).err


# ---- gcheapstat ----

@pytest.mark.parametrize("mode", MODES)
def test_heaps_are_those_of_eeheap_and_of_the_dead(lab, mode):
    """Segments are compared with ClrMD's in test_oracle.py."""
    core = lab.core("Roots", mode)
    stat, plain, dead, eeheap = lab.reports(core, ["gcheapstat -iu", "gcheapstat", "dumpheap -dead", "eeheap -gc"])
    check(stat), check(plain)
    rows = {(r["heap"], r["generation"]): r for r in stat["generations"]}
    assert [{**r, "unrooted": None} for r in stat["generations"]] == plain["generations"]
    assert (mode == "segments") == any(generation == "eph" for _, generation in rows)
    free, unrooted = dict.fromkeys(rows, 0), dict.fromkeys(rows, 0)
    ranges = [(number(s["begin"]), number(s["allocated"]), s["heap"]) for s in eeheap["segments"]]
    for o in dead["objects"]:
        heap = next(heap for start, end, heap in ranges if start <= number(o["address"]) < end)
        (free if o["type"] == "Free" else unrooted)[heap, o["generation"]] += o["size"]
    for key, row in rows.items():
        if key[1] != "eph":
            assert (row["free"], row["unrooted"]) == (free[key], unrooted[key])
    allocated = {(g["heap"], g["generation"]): g["size"] for g in eeheap["generations"]}
    if mode == "segments":  # Generations are ranges of one segment: of these, what objects take.
        assert all((row["committed"] is None) == (g in ("gen0", "gen1")) for (_, g), row in rows.items())
        for key in ((0, "gen0"), (0, "gen1")):  # Objects are padded to 8 bytes, and a gap lies behind an allocation context.
            assert 0 <= allocated[key] - rows[key]["allocated"] - rows[key]["free"] <= allocated[key] // 10 + 9000
    else:
        assert {key: row["allocated"] for key, row in rows.items()} == {key: allocated[key] for key in rows}
    assert sum(row["committed"] or 0 for row in rows.values()) == eeheap["gc_segments_committed"]


def test_text_of_heaps_is_that_of_sos(lab):
    text = lab.linger("heapstat", lab.core("Roots", "server"), "-unreachable").out
    blocks = re.split(r"\n\n(?!Total)", text.rstrip("\n"))
    assert [block.splitlines()[0].split()[0] for block in blocks] == ["Heap", "Free", "Unrooted", "Committed"]
    header = "Heap     Gen0       Gen1       Gen2       LOH        POH        FRZ"
    assert text.splitlines()[0] == header and text.count(header) == 4
    assert re.search(r"^Free space:\n.*\n(Heap\d+ +(\d+ +){6}SOH:\d+% .*\n|Heap\d+ .*\n)+Total +(\d+ +){5}\d+$", text, re.MULTILINE)


# ---- snapshots, and a process ----

def test_a_snapshot_says_the_same(lab):
    core = lab.core("Roots", "workstation")
    file = snapshot(lab, core, "Roots-workstation")
    held = [first_of(lab, name) for name in ("C3_InDictionary", "E1_Node", "A9_CwtVal")]
    holder = lab.report(core, f"gcroot {held[0]}")["roots"][0]["path"][0]["address"]
    commands = ["gcheapstat -iu", f"pathto {holder} {held[0]}", *[f"gcroot {a} -all" for a in held], *[f"objsize {a}" for a in held]]
    for command, there, here in zip(commands, lab.reports(core, commands), lab.reports(file, commands)):
        assert without_names(without_target(here)) == without_names(without_target(there)), command


def test_a_process_answers(lab):
    pid, held = lab.app("Roots", "workstation").pid, first_of(lab, "C3_InDictionary")
    for report in lab.reports(pid, ["gcheapstat", f"gcroot {held} -all", f"objsize {held}", f"pathto {held} {held}"]):
        check(report)
