"""The object graph in files of others: what is in them is what linger says of the target that they were written from."""
import gzip
import resource
import signal

import pytest

from gcdump import Dump
from pprof import Profile

HEAPS = [("Roots", "workstation"), ("Types", "server"), ("Plugins", "segments")]
heaps = pytest.mark.parametrize("name, mode", HEAPS, ids=[f"{name}-{mode}" for name, mode in HEAPS])


def export(lab, name, mode, ending):
    path = lab.folder / f"export-{name}-{mode}{ending}"
    report = lab.once(("export", name, mode, ending), lambda: lab.linger("snapshot", lab.core(name, mode), "-o", path, "--json").reports()[0])
    return path, report


def live_types(lab, target):
    return lab.report(target, "dumpheap -stat -live")["types"]


def sums(types):
    found = {}
    for t in types:
        if t["type"] != "Free":
            count, size = found.get(t["type"], (0, 0))
            found[t["type"]] = count + t["count"], size + t["size"]
    return found


# ---- .gcdump ----

@heaps
def test_a_gcdump_holds_what_is_alive(lab, name, mode):
    path, report = export(lab, name, mode, ".gcdump")
    dump = Dump(path.read_bytes())
    types = live_types(lab, lab.core(name, mode))
    assert dump.by_type() == sums(types)
    assert (report["objects"], report["bytes"]) == (len(dump.objects()), dump.total)
    assert report["references"] == len(dump.edges()) and report["file_size"] == path.stat().st_size
    assert dump.process == lab.core(name, mode).name and f"{len(dump.objects())} objects" in dump.log


@heaps
def test_a_gcdump_is_read_as_what_it_was_written_from(lab, name, mode):
    core, (path, report) = lab.core(name, mode), export(lab, name, mode, ".gcdump")
    assert sums(live_types(lab, path)) == sums(live_types(lab, core)) == sums(lab.report(path, "dumpheap -stat")["types"])
    there, here = (lab.reports(target, ["retained -top 0", "retained -by type -top 0", "retained -by namespace -top 0", "retained -by assembly -top 0",
                                        "retained -by static -top 0"]) for target in (core, path))
    objects = [{o["address"]: (o["retained"], o["objects"], o["type"], o["dominator"]) for o in r[0]["objects"]} for r in (there, here)]
    assert objects[0] == objects[1]
    for one, other in zip(there, here):
        assert (one["live_count"], one["live_size"]) == (other["live_count"], other["live_size"])
        for key in ("types", "groups", "owners"):
            assert without_threads(one.get(key, [])) == without_threads(other.get(key, [])), key
    info = lab.report(path, "info")
    assert (info["format"], info["objects"], info["references"]) == ("gcdump", report["objects"], report["references"])


def without_threads(rows):
    return sorted(str({key: value for key, value in row.items() if key not in ("thread", "held_by")}) for row in rows)


@heaps
def test_a_gcdump_of_a_gcdump_is_the_same_graph(lab, name, mode):
    path, _ = export(lab, name, mode, ".gcdump")
    again = lab.folder / f"again-{name}-{mode}.gcdump"
    lab.linger("snapshot", path, "-o", again)
    one, other = Dump(path.read_bytes()), Dump(again.read_bytes())
    assert one.by_type() == other.by_type() and one.edges() == other.edges()
    assert {path: sorted(objects) for path, objects in one.roots().items()} == {path: sorted(objects) for path, objects in other.roots().items()}


def test_roots_have_their_names_in_a_gcdump(lab):
    path, _ = export(lab, "Roots", "workstation", ".gcdump")
    roots = Dump(path.read_bytes()).roots()
    groups = {path[0] if path[0] != "[other roots]" else path[1] for path in roots}
    assert {"[static vars]", "[thread static vars]", "[local vars]", "[strong Handles]", "[pinning Handles]", "[frozen objects]"} <= groups
    assert len(roots["[static vars]", "[static var Statics.Head]"]) == 1
    kinds = {row["root_kind"] for row in lab.report(path, "gcroot -type E1_Node")["groups"]}
    assert kinds == {"static"}


def test_generations_are_those_of_the_core(lab):
    path, _ = export(lab, "Roots", "workstation", ".gcdump")
    there = {o["address"]: o["generation"] for o in lab.report(lab.core("Roots", "workstation"), "dumpheap -live")["objects"]}
    here = {o["address"]: o["generation"] for o in lab.report(path, "dumpheap -live")["objects"]}
    assert here == there and len(set(here.values())) >= 4


def test_what_a_gcdump_lacks_is_refused_by_name(lab):
    path, _ = export(lab, "Roots", "workstation", ".gcdump")
    for command, what in [("gchandles", "handles"), ("eeheap", "heaps of the runtime"), ("modules", "modules"), ("dumpobj 0", "fields"),
                          ("dumparray 0", "elements"), ("clrstack", "stacks"), ("dumpheap -heap 0", "heaps of the runtime"),
                          ("dumpheap -dead", "nothing can be called dead"), ("vadump", "memory picture")]:
        verb, *options = command.split()
        assert what in lab.linger(verb, path, *options, status=3).err, command
    assert "no values" in lab.linger("snapshot", lab.core("Roots", "workstation"), "--contents", "-o", lab.folder / "x.gcdump", status=2).err
    assert not (lab.folder / "x.gcdump").exists()


# ---- .pb.gz ----

@heaps
def test_a_profile_sums_up_to_what_is_retained(lab, name, mode):
    path, report = export(lab, name, mode, ".pb.gz")
    profile, core = Profile(path), lab.core(name, mode)
    assert profile.types == [("inuse_objects", "count"), ("inuse_space", "bytes")] and profile.default == "inuse_space"
    assert profile.below() == [report["objects"], report["bytes"]]
    assert len({path for path, _ in profile.samples}) == len(profile.samples) > 50
    owners = [row for row in lab.report(core, "retained -by root -top 0")["owners"] if row["retained"]]
    assert len(owners) > 5
    for row in owners:
        assert profile.below(row["held_by"]) == [row["objects"], row["retained"]], row
    types = {}
    for path, (count, size) in profile.samples:
        types[path[-1]] = tuple(map(sum, zip(types.get(path[-1], (0, 0)), (count, size))))
    assert types == sums(live_types(lab, core))


@pytest.mark.parametrize("ending", [".gcdump", ".pb.gz"])
def test_the_same_heap_gives_the_same_bytes(lab, ending):
    path, _ = export(lab, "Roots", "workstation", ending)
    again = lab.folder / f"same{ending}"
    lab.linger("snapshot", lab.core("Roots", "workstation"), "-o", again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("ending", [".gcdump", ".pb.gz"])
def test_what_cannot_be_written_leaves_what_was_there(lab, tmp_path, ending):
    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    there = tmp_path / f"there{ending}"
    there.write_text("mine")
    result = lab.linger("snapshot", lab.core("Roots", "workstation"), "-o", there, status=3, preexec_fn=little_room)
    assert "writing" in result.err and result.err.count("linger:") == 1 and there.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == [there.name]


@pytest.mark.parametrize("ending", [".gcdump", ".pb.gz"])
def test_no_string_of_the_process_is_in_an_export(lab, ending):
    path, _ = export(lab, "Types", "server", ending)
    data = path.read_bytes() if ending != ".pb.gz" else gzip.decompress(path.read_bytes())
    strings = [row["text"] for row in lab.report(lab.core("Types", "server"), "dumpheap -strings")["strings"]]
    strings = [text for text in strings if text and len(text) >= 8 and " " in text and "<" not in text]  # Names may be in it.
    assert len(strings) > 10
    for text in strings:
        assert text.encode() not in data and text.encode("utf-16-le") not in data, text
