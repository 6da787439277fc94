"""linger against ClrMD on the same core: counts, sizes, names, segments, handles, queues, objects, references, statics.

Where ClrMD is known to be wrong, the test says so and what decides instead.
"""
import collections
import re
import subprocess

import pytest

from lab import LIMIT, MODES, older

APPS = ["Roots", "Types", "Leak", "Web"]
every_heap = pytest.mark.parametrize("app, mode", [(app, mode) for mode in MODES for app in APPS] + older(*APPS))


def number(text):
    return int(text, 16)


def differences(ours, theirs, most=20):
    """What two dicts disagree on, as lines, for an assertion that can be read."""
    wrong = [f"{key}: linger {ours.get(key)}, ClrMD {theirs.get(key)}" for key in sorted(ours.keys() | theirs.keys(), key=str)
             if ours.get(key) != theirs.get(key)]
    return wrong[:most] + ([f"… {len(wrong)} in all"] if len(wrong) > most else [])


# ---- statistics ----


@every_heap
def test_count_and_bytes_of_every_method_table(lab, app, mode):
    oracle, _ = lab.oracle(app, mode)
    report = lab.said(app, mode, "dumpheap -stat")
    ours = {number(t["mt"]): (t["count"], t["size"]) for t in report["types"]}
    theirs = {number(t["mt"]): (t["count"], t["bytes"]) for t in oracle["types"]}
    assert not differences(ours, theirs)
    assert (report["total_count"], report["total_size"]) == (oracle["total_count"], oracle["total_bytes"])
    # A heap core has no copy of variables that the file already has.
    assert not [note for note in report["incomplete"] if not note.startswith("variables that the dump left out")]


def is_nameable_by_clrmd(ours):
    """ClrMD 4.2.750101 has no name, or one with `T1`, for arrays and generic instantiations over types of collectible
    assemblies: it looks their arguments up in the module's own metadata (apps/README.md, "clrmd": false)."""
    return "Dyn.Collectible" not in re.sub(r"^Dyn\.Collectible\b(?!\[)", "", ours)


def spelling_of_clrmd(ours):
    """ClrMD writes the array of rank 1 with a lower bound as `T<*>`; the runtime calls it `T[*]`."""
    return ours.replace("[*]", "<*>")


@every_heap
def test_name_of_every_type(lab, app, mode):
    oracle, _ = lab.oracle(app, mode)
    ours = {number(t["mt"]): t["type"] for t in lab.said(app, mode, "dumpheap -stat")["types"]}
    theirs = {number(t["mt"]): t["name"] for t in oracle["types"]}
    compared = {mt: spelling_of_clrmd(name) for mt, name in ours.items() if is_nameable_by_clrmd(name)}
    assert not differences(compared, {mt: name for mt, name in theirs.items() if mt in compared or mt not in ours})
    planted = {t["type"]: t for t in lab.app(app, mode).truth["types"]}
    for name in set(ours.values()) - set(compared.values()):
        assert "Dyn.Collectible" in name or "[*]" in name
        assert "[*]" in name or name in planted, f"{name} is nothing that {app} made"


@every_heap
def test_planted_types_have_the_counts_and_sizes_that_the_app_printed(lab, app, mode):
    truth = lab.app(app, mode).truth
    rows = {}
    for t in lab.said(app, mode, "dumpheap -stat")["types"]:
        rows.setdefault(t["type"], []).append(t)
    for planted in truth["types"]:
        found = rows.get(planted["type"], [])
        count, size = sum(t["count"] for t in found), sum(t["size"] for t in found)
        if planted["state"] == "garbage":
            continue
        if planted["type"].endswith("]"):  # There may be others, of other lengths.
            objects = lab.report(lab.core(app, mode), f"dumpheap -mt {found[0]['mt']}")["objects"]
            assert sum(o["size"] == planted["size"] for o in objects) == planted["count"], planted
            continue
        assert count == planted["count"], planted
        assert count == 0 or size == count * planted["size"], planted


# ---- segments ----

GENERATIONS = ["gen0", "gen1", "gen2", "loh", "poh", "foh"]


@every_heap
def test_bounds_of_every_segment(lab, app, mode):
    oracle, _ = lab.oracle(app, mode)
    report = lab.said(app, mode, "eeheap -gc")
    # The segments GC keeps the three generations in one segment: its kind is then "ephemeral", and
    # test_bytes_of_every_generation has the ranges.
    ephemeral = {s["segment"] for s in oracle["segments"] if s["kind"] == "ephemeral"}
    ours = {s["segment"]: (s["heap"], "ephemeral" if s["segment"] in ephemeral else s["generation"], s["begin"], s["allocated"],
                           s["committed"], s["reserved"]) for s in report["segments"]}
    theirs = {s["segment"]: (s["heap"], s["kind"], s["start"], s["end"], s["committed"][1], s["reserved"][1]) for s in oracle["segments"]}
    assert not differences(ours, theirs)
    assert report["gc_heaps"] == oracle["heaps"] and report["regions"] == oracle["regions"]
    assert (report["gc"] == "server") == oracle["server"] == (mode in ("server", "datas"))
    assert report["datas"] in (oracle.get("dynamic_adaptation_mode"), None if "dynamic_adaptation_mode" in oracle else 0)
    assert oracle["regions"] == (mode != "segments"), "the mode did not do what it is for"


def generation_ranges(oracle):
    """(heap, generation) -> [(start, end)]"""
    ranges = {(heap, g): [] for heap in range(oracle["heaps"]) for g in GENERATIONS}
    for s in oracle["segments"]:
        if s["kind"] == "ephemeral":
            for g in ("gen0", "gen1", "gen2"):
                ranges[s["heap"], g].append(tuple(map(number, s[g])))
        else:
            ranges[s["heap"], s["kind"]].append((number(s["start"]), number(s["end"])))
    return ranges


@every_heap
def test_bytes_of_every_generation(lab, app, mode):
    oracle, _ = lab.oracle(app, mode)
    report = lab.said(app, mode, "eeheap -gc")
    ours = {(g["heap"], g["generation"]): g["size"] for g in report["generations"]}
    theirs = {key: sum(end - start for start, end in ranges) for key, ranges in generation_ranges(oracle).items()}
    assert not differences(ours, theirs)
    assert report["gc_allocated"] == sum(theirs.values())


@pytest.mark.parametrize("app, mode", [("Roots", mode) for mode in MODES] + older("Roots"))
def test_objects_of_every_generation(lab, app, mode):
    """`dumpheap -gen` has the objects that lie within the bounds that ClrMD gives the generation."""
    oracle, objects = lab.oracle(app, mode)
    ranges = sorted((start, end, g) for (_, g), found in generation_ranges(oracle).items() for start, end in found if end > start)
    theirs = {g: [0, 0] for g in GENERATIONS}
    at = 0
    with open(objects) as lines:
        for line in lines:  # In heap order, which is that of addresses.
            address, _, size, _ = line.split("\t", 3)
            address = int(address, 16)
            while not ranges[at][0] <= address < ranges[at][1]:
                at = (at + 1) % len(ranges)
            counted = theirs[ranges[at][2]]
            counted[0] += 1
            counted[1] += int(size)
    reports = lab.reports(lab.core(app, mode), [f"dumpheap -stat -gen {g}" for g in GENERATIONS])
    ours = {g: [r["total_count"], r["total_size"]] for g, r in zip(GENERATIONS, reports)}
    assert not differences(ours, theirs)


# ---- handles and queues ----

KINDS = {"WeakShort": "weak-short", "WeakLong": "weak-long", "Strong": "strong", "Pinned": "pinned", "RefCounted": "refcounted",
         "Dependent": "dependent", "AsyncPinned": "async-pinned", "SizedRef": "sized-ref"}
INTERIOR = 10  # Peers' fault 5: ClrMD has no name for the weak interior pointer of a collectible type's statics.


@every_heap
def test_every_handle_by_kind(lab, app, mode):
    oracle, _ = lab.oracle(app, mode)
    report = lab.said(app, mode, "gchandles")
    ours = {h["handle"]: (h["kind"], h["object"], h["secondary"] if h["kind"] == "dependent" else None) for h in report["handles"]}
    theirs = {}
    for h in oracle["handles"]:
        kind = "weak-interior-pointer" if h["kind_number"] == INTERIOR else KINDS[h["kind"]]
        secondary = h.get("dependent")
        theirs[h["address"]] = (kind, h["object"], None if secondary in (None, "0x0") else secondary)
    if oracle.get("dynamic_adaptation_mode") == 1:
        # Peers' fault 1: under DATAS, ClrMD lists the first slots of the handle table only. What it lists has to be
        # there; that nothing else is missing, the truth of the app says (below).
        ours = {address: handle for address, handle in ours.items() if address in theirs}
    assert not differences(ours, theirs)
    assert sum(k["count"] for k in report["kinds"]) == len(report["handles"])


@pytest.mark.parametrize("app, mode", [("Roots", mode) for mode in MODES] + older("Roots"))
def test_every_handle_that_the_app_made(lab, app, mode):
    report = lab.said(app, mode, "gchandles")
    names = {t["mt"]: t["type"] for t in lab.said(app, mode, "dumpheap -stat")["types"]}
    secondaries = {h["secondary"] for h in report["handles"] if h["kind"] == "dependent" and h["secondary"]}
    listed = lab.reports(lab.core(app, mode), [f"dumpobj {address} -nofields" for address in sorted(secondaries)])
    types = {r["address"]: r["type"] for r in listed}
    found = [(h["kind"], names.get(h["mt"]), types.get(h["secondary"]) if h["kind"] == "dependent" else None) for h in report["handles"]]
    truth = lab.app(app, mode).truth
    for handle in truth["handles"]:
        assert (handle["kind"], handle["type"], handle.get("secondary")) in found
    assert sum(kind == "weak-short" and name == "C1_DeadButPresent" for kind, name, _ in found) == 3


@every_heap
def test_finalizer_lists(lab, app, mode):
    oracle, _ = lab.oracle(app, mode)
    objects = lab.said(app, mode, "finalizequeue")["objects"]
    assert sorted(o["address"] for o in objects if o["ready"]) == sorted(oracle["f_reachable"])
    # ClrMD's "finalizable" are all entries of the queue: those that wait, and those that are f-reachable already.
    assert sorted(o["address"] for o in objects) == sorted(oracle["finalizable"])


@pytest.mark.parametrize("app, mode", [("Roots", mode) for mode in MODES] + older("Roots"))
def test_finalizable_and_f_reachable_objects_of_the_app(lab, app, mode):
    objects = lab.said(app, mode, "finalizequeue")["objects"]
    truth = lab.app(app, mode).truth
    for key, ready in (("f_reachable", True), ("finalizable", False)):
        for name, count in truth[key].items():
            assert sum(o["ready"] == ready and o["type"] == name for o in objects) == count, (key, name)


# ---- objects, references, statics ----


@every_heap
def test_every_object_and_its_references(lab, app, mode):
    """Address, method table, size, number of references, their hash, and the loader allocator: line by line."""
    _, objects = lab.oracle(app, mode)
    ours = objects.with_suffix(".linger")
    with open(ours, "wb") as out:
        done = subprocess.run([str(lab.support("refdump")), str(lab.core(app, mode))], stdout=out, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    a, b = ours.read_bytes(), objects.read_bytes()
    if a == b:
        return
    a, b = set(a.splitlines()), set(b.splitlines())
    assert not (a ^ b), f"only linger: {sorted(a - b)[:10]}, only ClrMD: {sorted(b - a)[:10]}"


def typedump(lab, app, mode):
    def run():
        done = subprocess.run([str(lab.support("typedump")), str(lab.core(app, mode))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()
    return lab.once(("typedump", app, mode), run)


@every_heap
def test_every_static_that_clrmd_knows(lab, app, mode):
    """Slots of references and structs, by address: linger knows each, by the same names. It knows more: ClrMD misses those of
    generic instantiations without an object on the heap."""
    oracle, _ = lab.oracle(app, mode)
    ours = {}
    for line in typedump(lab, app, mode):
        if line.startswith("static\t"):
            _, slot, _, declaring, field, *_ = line.split("\t")
            ours[int(slot, 16)] = f"{declaring}.{field}"
    theirs = {number(s["address"]): f"{s['type']}.{s['field']}" for key in ("statics", "thread_statics") for s in oracle[key]
              if number(s.get("object", "0x0"))}
    assert len(theirs) > (50 if "@8" in app else 100)  # Leak on .NET 8 has 73.
    compared = {slot for slot in theirs if is_nameable_by_clrmd(ours.get(slot, ""))}
    assert not differences({slot: ours.get(slot) for slot in compared}, {slot: theirs[slot] for slot in compared})


@every_heap
def test_every_field_of_every_type(lab, app, mode):
    """Name, place and, of a static whose class is initialised, slot."""
    theirs = {}
    for line in lab.oracle_fields(app, mode).read_text().splitlines():
        mt, name, declaring, token, offset, kind, address = line.split("\t")
        theirs[mt, token, name, kind] = (declaring, int(offset), address)
    ours = {}
    for line in typedump(lab, app, mode):
        if line.startswith("field\t"):
            _, mt, name, declaring, token, offset, _, _, _, kind, address = line.split("\t")
            key = mt, token, name, "instance" if kind == "instance" else "static"
            # ClrMD reports addresses of initialised classes only, and has no name for some declaring types.
            known = theirs.get(key, ("", 0, "0"))
            ours[key] = (declaring if is_nameable_by_clrmd(declaring) else known[0], int(offset), address if known[2] != "0" else "0")
    assert len(theirs) > 500
    assert not differences({key: ours.get(key) for key in theirs}, theirs)
    assert {key for key in ours if key[3] == "instance"} == {key for key in theirs if key[3] == "instance"}


# ---- what is alive ----

ROOTS = {1: "handles and statics", 2: "thread statics", 4: "the finalizer queue", 8: "stacks"}

def reached(lines):
    """Address -> kinds."""
    return {int(address, 16): int(kinds) for address, kinds in (line.split("\t") for line in lines)}


def reached_by_linger(lab, app, mode):
    done = subprocess.run([str(lab.support("reachdump")), str(lab.core(app, mode))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return reached(done.stdout.splitlines())


def closure(lab, core, addresses):
    """What they reach."""
    reports = lab.reports(core, [f"objsize {address:x} -short" for address in addresses])
    return {int(o["address"], 16) for report in reports for o in report["objects"]}


def unlisted_by_clrmd(lab, app, mode):
    """Objects of strong handles that ClrMD has not got: under DATAS it lists the first slots of the handle table only."""
    listed = {h["address"] for h in lab.oracle(app, mode)[0]["handles"]}
    weak = ("weak-short", "weak-long", "weak-interior-pointer", "dependent")
    return {int(h["object"], 16) for h in lab.said(app, mode, "gchandles")["handles"] if h["handle"] not in listed and h["kind"] not in weak}


def tables_of_thread_statics(lab, core, addresses):
    """The arrays (and arrays of these) in which the runtime keeps a thread's statics: roots without a name, where ClrMD has their
    elements only."""
    reports = lab.reports(core, [f"gcroot {address:x} -nostacks" for address in sorted(addresses)])
    return {int(r["address"], 16) for r in reports
            if any((root["kind"], root["name"], {hop["type"] for hop in root["path"]}) == ("thread-static", None, {"System.Object[]"}) for root in r["roots"])}


@every_heap
def test_what_roots_of_each_kind_reach_is_what_clrmd_finds(lab, app, mode):
    ours, theirs = reached_by_linger(lab, app, mode), reached(lab.oracle_reach(app, mode).read_text().splitlines())
    core = lab.core(app, mode)
    types = {int(o["address"], 16): o["type"] for o in lab.said(app, mode, "dumpheap")["objects"]}
    beyond_clrmd = {t["type"] for t in lab.app(app, mode).truth["types"] if t.get("clrmd") is False and t["state"] == "live"}
    datas = lab.oracle(app, mode)[0].get("dynamic_adaptation_mode") == 1
    for bit, kind in ROOTS.items():
        only_ours = {a for a, kinds in ours.items() if kinds & bit} - {a for a, kinds in theirs.items() if kinds & bit}
        only_theirs = {a for a, kinds in theirs.items() if kinds & bit} - {a for a, kinds in ours.items() if kinds & bit}
        assert not only_theirs, (kind, collections.Counter(types.get(a) for a in only_theirs))
        if bit == 2 and only_ours:
            only_ours -= {a for a in only_ours if types[a] in beyond_clrmd}
            only_ours -= tables_of_thread_statics(lab, core, only_ours)
        if bit == 1 and datas and only_ours:
            only_ours -= closure(lab, core, unlisted_by_clrmd(lab, app, mode))
        assert not only_ours, (kind, collections.Counter(types.get(a) for a in only_ours))
    assert any(kinds & 1 for kinds in ours.values())


@every_heap
def test_no_kind_of_root_is_missing(lab, app, mode):
    """All that ClrMD's roots reach is alive, and what is alive beyond that is named: guessed words, and the frozen heap."""
    theirs = reached(lab.oracle_reach(app, mode).read_text().splitlines())
    report = lab.said(app, mode, "dumpheap -live")
    live = {int(o["address"], 16): o["generation"] for o in report["objects"]}
    assert not theirs.keys() - live.keys()
    ours = reached_by_linger(lab, app, mode)
    # What statics hold is reached through the roots of statics, whatever reaches the array that they lie in.
    assert live.keys() == ours.keys()
    beyond = [a for a, kinds in ours.items() if not kinds & 15]
    assert all(kinds & 16 or live[a] == "foh" for a, kinds in ours.items() if not kinds & 15), beyond[:10]
    assert report["guessed_count"] <= sum(1 for kinds in ours.values() if kinds & 16)
