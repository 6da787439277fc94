"""The object graph in files of others: what is in them is what linger says of the target that they were written from."""
import contextlib
import gzip
import re
import resource
import signal
import sqlite3

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


# ---- .sqlite ----

VIEWS = ["biggest", "dominated", "edges", "handles", "histogram", "holders", "modules", "owners", "paths", "roots"]


def database(lab, name, mode):
    """All of a snapshot of that app's core as a database, and the snapshot."""
    snapshot, path = (lab.folder / f"export-{name}-{mode}{ending}" for ending in (".snap", "-all.sqlite"))

    def make():
        lab.linger("snapshot", lab.core(name, mode), "-o", snapshot)
        return lab.linger("snapshot", snapshot, "--all", "-o", path, "--json").reports()[0]
    return path, snapshot, lab.once(("database", name, mode), make)


@contextlib.contextmanager
def asking(path):
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        yield lambda sql, *values: db.execute(sql, values).fetchall()


def rows(table, *keys):
    """Of either: as tuples, in an order of their own; addresses as numbers."""
    def value(row, key):
        found = row[key]
        return int(found, 16) if isinstance(found, str) and key in ("address", "mt", "object", "secondary", "handle") else found
    return sorted((tuple(value(row, key) for key in keys) for row in table), key=str)


@heaps
def test_a_database_is_whole_and_every_view_answers(lab, name, mode):
    path, snapshot, report = database(lab, name, mode)
    with asking(path) as ask:
        assert [tuple(row) for row in ask("PRAGMA integrity_check")] == [("ok",)] and ask("PRAGMA foreign_key_check") == []
        assert sorted(row["name"] for row in ask("SELECT name FROM sqlite_schema WHERE type = 'view'")) == VIEWS
        for view in VIEWS:
            assert len(ask(f"SELECT * FROM {view}")) > 0, view
        meta = dict(ask("SELECT key, value FROM meta"))
        assert (meta["live_count"], meta["live_size"], meta["references"]) == (report["objects"], report["bytes"], report["references"])
        assert (meta["rest_count"], meta["listed_count"], meta["all"], meta["target"]) == (report["dead"], report["listed"], 1, str(snapshot))
        assert report["objects"] + report["dead"] == report["listed"] == ask("SELECT count(*) FROM object")[0][0]
        assert report["file_size"] == path.stat().st_size
        notes = lab.report(snapshot, "retained")["incomplete"]
        assert {row["text"] for row in ask("SELECT text FROM note")} == {note for note in notes if "words on stacks only" not in note}


@heaps
def test_a_database_has_what_dumpheap_says(lab, name, mode):
    path, snapshot, _ = database(lab, name, mode)
    everything, live, stat = lab.reports(snapshot, ["dumpheap", "dumpheap -live", "dumpheap -stat"])
    with asking(path) as ask:
        assert rows(ask("SELECT * FROM histogram"), "mt", "count", "size", "type") == rows(stat["types"], "mt", "count", "size", "type")
        alive = ask("SELECT mt, live_count AS count, live_size AS size, type FROM histogram WHERE live_count")
        assert rows(alive, "mt", "count", "size", "type") == rows(live["types"], "mt", "count", "size", "type")
        objects = """SELECT o.address, t.mt, o.size, g.name AS generation, t.name AS type FROM object o JOIN type t ON t.id = o.type
                     JOIN generation g ON g.id = o.generation JOIN life l ON l.id = o.life"""
        keys = "address", "mt", "size", "generation", "type"
        assert rows(ask(objects), *keys) == rows((o for o in everything["objects"] if o["type"] != "Free"), *keys)
        assert rows(ask(f"{objects} WHERE l.name IN ('alive', 'maybe')"), *keys) == rows(live["objects"], *keys)


@heaps
def test_a_database_has_what_retained_says(lab, name, mode):
    path, snapshot, _ = database(lab, name, mode)
    top, types, owners = lab.reports(snapshot, ["retained -top 0", "retained -by type -top 0", "retained -by root -top 0"])
    keys = "address", "retained", "objects", "size", "type", "held_by"
    biggest = top["objects"][0]["address"]
    with asking(path) as ask:
        assert rows(ask("SELECT * FROM biggest"), *keys) == rows(top["objects"], *keys)
        by_type = ask("SELECT retained, live_size AS size, live_count AS count, type FROM histogram WHERE live_count")
        assert rows(by_type, "retained", "size", "count", "type") == rows(types["types"], "retained", "size", "count", "type")
        held = ask("SELECT retained, objects, kind, name, label AS held_by FROM owners")
        assert rows(held, "retained", "objects", "kind", "name", "held_by") == rows(owners["owners"], "retained", "objects", "kind", "name", "held_by")
        assert ask("SELECT retained FROM owner WHERE id = 0")[0][0] == owners["shared_size"]
        below = lab.report(snapshot, f"retained -tree {biggest} -top 0")["objects"]
        keys = "address", "retained", "objects", "size", "type"
        assert rows(ask("SELECT * FROM dominated WHERE dominator = ?", biggest[2:]), *keys) == rows(below, *keys) and below


@heaps
def test_a_database_has_what_gcroot_says(lab, name, mode):
    """The ways of `gcroot`, hop by hop: each is a reference that the database has, by the same field, and begins at one of its roots."""
    path, snapshot, _ = database(lab, name, mode)
    with asking(path) as ask:
        some = [row["address"] for row in ask("SELECT printf('%x', min(address)) AS address FROM object WHERE life = 0 GROUP BY type ORDER BY type LIMIT 50")]
        hops = 0
        for found in lab.reports(snapshot, [f"gcroot {address} -all" for address in some]):
            assert found["roots"]
            for root in found["roots"]:
                kinds = {row["kind"] for row in ask("SELECT kind FROM root WHERE object = ?", int(root["path"][0]["address"], 16))}
                assert root["kind"] in kinds or root["kind"] == "frozen", root
                for holder, held in zip(root["path"], root["path"][1:]):
                    fields = {row["name"] for row in ask("SELECT name FROM edge JOIN field ON id = field WHERE holder = ? AND object = ?",
                                                         *(int(hop["address"], 16) for hop in (holder, held)))}
                    if not holder["skipped"]:
                        assert fields == {any_element(holder)}, (holder, held)
                        hops += 1
        assert hops > 10
        for text in {row["type"] for row in ask("SELECT type FROM holders ORDER BY retained DESC LIMIT 5")}:
            groups = lab.report(snapshot, f"gcroot -type '{text}'")
            reached = sum(group["count"] for group in groups["groups"] if group["type"] == text)
            assert reached == sum(row["count"] for row in ask("SELECT count FROM holders WHERE type = ?", text)), text


def any_element(hop):
    handles = {"dependent": "dependent handle", "loader": "loader allocator"}
    return handles.get(hop["link"]) or re.sub(r"\[[-\d,]+\]", "[]", hop["field"])


def test_a_database_names_the_holders_of_what_was_planted(lab):
    path, snapshot, _ = database(lab, "Roots", "workstation")
    with asking(path) as ask:
        nodes = ask("SELECT count, of, held_by FROM holders WHERE type = 'E1_Node' ORDER BY count")
        assert [(row["count"], row["of"]) for row in nodes] == [(1, 50000), (49999, 50000)]
        assert [row["held_by"] for row in nodes] == ["static Statics.Head", "static Statics.Head -> E1_Node.Next"]
        many = ask("SELECT p.path, o.address FROM object o JOIN paths p ON p.id = o.path WHERE p.type = 'E4_Many'")
        assert len(many) == 1000 and {row["path"] for row in many} == {"static Statics.Many -> E4_Many[] [[]] -> E4_Many"}
        group = lab.report(snapshot, "gcroot -type E4_Many")["groups"]
        assert {(g["type"], g["count"], g["retained"], g["holder"]) for g in group} == {
            (row["type"], row["count"], row["retained"], row["held_by"]) for row in ask("SELECT * FROM holders WHERE type GLOB 'E4_Many*'")}


@heaps
def test_paths_and_references_of_a_database_add_up(lab, name, mode):
    path, snapshot, report = database(lab, name, mode)
    dump = Dump(export(lab, name, mode, ".gcdump")[0].read_bytes())
    with asking(path) as ask:
        objects = ask("SELECT path, count(*), sum(size) FROM object WHERE path IS NOT NULL GROUP BY path ORDER BY path")
        assert [tuple(row) for row in objects] == [tuple(row) for row in ask("SELECT id, count, size FROM path WHERE count ORDER BY id")]
        assert sum(row[1] for row in objects) == report["objects"]
        holders = ask("SELECT holder, sum(count), sum(size) FROM path WHERE count GROUP BY holder ORDER BY holder")
        assert [tuple(row) for row in holders] == [tuple(row) for row in ask("SELECT id, count, size FROM holder ORDER BY id")]
        edges = [(row["holder"], row["object"]) for row in ask("SELECT * FROM edge ORDER BY holder, object") for _ in range(row["count"])]
        assert edges == dump.edges()


def test_a_database_has_the_handles(lab):
    path, snapshot, _ = database(lab, "Roots", "workstation")
    keys = "handle", "kind", "object", "secondary", "type"
    with asking(path) as ask:
        assert rows(ask("SELECT * FROM handles"), *keys) == rows(lab.report(snapshot, "gchandles")["handles"], *keys)


def test_a_database_without_all_has_what_retains_most(lab):
    (path, report), (whole, snapshot, _) = export(lab, "Roots", "workstation", ".sqlite"), database(lab, "Roots", "workstation")
    with asking(path) as ask, asking(whole) as ask_all:
        tables = {row["name"] for row in ask_all("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert {row["name"] for row in ask("SELECT name FROM sqlite_schema WHERE type = 'table'")} == tables - {"edge", "field"}
        for table in tables - {"edge", "field", "object", "meta", "note", "life"}:  # Written from the core, and from its snapshot.
            assert [tuple(row) for row in ask(f"SELECT * FROM {table}")] == [tuple(row) for row in ask_all(f"SELECT * FROM {table}")], table
        most = ask("SELECT * FROM object ORDER BY address")
        assert report["listed"] == len(most) == ask("SELECT value FROM meta WHERE key = 'listed_count'")[0][0]
        assert 10000 <= len(most) <= 11000 and {tuple(row) for row in most} < {tuple(row) for row in ask_all("SELECT * FROM object")}
        assert ask("PRAGMA foreign_key_check") == []  # What dominates one of them is among them.
        biggest = {tuple(row) for row in ask_all("SELECT * FROM biggest LIMIT 1000")}
        least = min(row[0] for row in biggest)  # Of those that retain no more, some are among them.
        assert {row for row in biggest if row[0] > least} == {tuple(row) for row in ask("SELECT * FROM biggest WHERE retained > ?", least)}
    assert "no values" in lab.linger("snapshot", snapshot, "--contents", "-o", lab.folder / "x.sqlite", status=2).err
    assert "--all is for .sqlite" in lab.linger("snapshot", snapshot, "--all", "-o", lab.folder / "x.pb.gz", status=2).err


def test_a_gcdump_becomes_a_database(lab):
    dump, _ = export(lab, "Roots", "workstation", ".gcdump")
    path = lab.folder / "of-gcdump.sqlite"
    lab.linger("snapshot", dump, "--all", "-o", path)
    with asking(path) as ask:
        types = ask("SELECT type, live_count AS count, live_size AS size FROM histogram WHERE live_count")
        assert sums(types) == Dump(dump.read_bytes()).by_type()
        assert ask("SELECT count(*) FROM handle")[0][0] == 0 and any("no fields" in row["text"] for row in ask("SELECT text FROM note"))


@pytest.mark.parametrize("ending", [".gcdump", ".pb.gz", ".sqlite"])
def test_the_same_heap_gives_the_same_bytes(lab, ending):
    path, _ = export(lab, "Roots", "workstation", ending)
    again = lab.folder / f"same{ending}"
    lab.linger("snapshot", lab.core("Roots", "workstation"), "-o", again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("ending", [".gcdump", ".pb.gz", ".sqlite"])
def test_what_cannot_be_written_leaves_what_was_there(lab, tmp_path, ending):
    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    there = tmp_path / f"there{ending}"
    there.write_text("mine")
    result = lab.linger("snapshot", lab.core("Roots", "workstation"), "-o", there, status=3, preexec_fn=little_room)
    assert "writing" in result.err and result.err.count("linger:") == 1 and there.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == [there.name]


@pytest.mark.parametrize("ending", [".gcdump", ".pb.gz", ".sqlite"])
def test_no_string_of_the_process_is_in_an_export(lab, ending):
    path, _ = export(lab, "Types", "server", ending)
    data = path.read_bytes() if ending != ".pb.gz" else gzip.decompress(path.read_bytes())
    strings = [row["text"] for row in lab.report(lab.core("Types", "server"), "dumpheap -strings")["strings"]]
    strings = [text for text in strings if text and len(text) >= 8 and " " in text and "<" not in text]  # Names may be in it.
    assert len(strings) > 10
    for text in strings:
        assert text.encode() not in data and text.encode("utf-16-le") not in data, text
