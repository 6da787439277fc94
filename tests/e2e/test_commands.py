"""What each command about the heap says: its layout, its filters, its values, and its answers to nonsense.

Text must be that of SOS: titles, header words and trailers (docs/output.md); numbers in text and JSON must be the same.
Values are held against what the Types app printed about itself.
"""
import fnmatch
import re

import pytest


def text_of(lab, target, command, status=0):
    return lab.linger("open", target, "-c", command, status=status).out


def number(text):
    return int(text.replace(",", ""))


def by_type(report):
    return {t["type"]: t for t in report["types"]}


@pytest.fixture(scope="module")
def leak(lab):
    return lab.core("Leak", "workstation")


@pytest.fixture(scope="module")
def roots(lab):
    return lab.core("Roots", "workstation")


@pytest.fixture(scope="module")
def types(lab):
    return lab.core("Types", "workstation")


@pytest.fixture(scope="module")
def truth(lab):
    return lab.app("Types", "workstation").truth


class Heap:
    """All objects of a core, by type."""

    def __init__(self, lab, core):
        self.lab, self.core = lab, core
        self.report = lab.report(core, "dumpheap")
        self.objects = self.report["objects"]
        self.by_type = {}
        for o in self.objects:
            self.by_type.setdefault(o["type"], []).append(o)

    def one(self, type):
        assert len(self.by_type[type]) == 1, type
        return self.by_type[type][0]["address"]

    def dump(self, address):
        return self.lab.report(self.core, f"dumpobj {address}")

    def fields(self, type):
        return self.dump(self.one(type))["fields"]


@pytest.fixture(scope="module")
def heap(lab, types):
    return Heap(lab, types)


# ---- layout ----

SEGMENT_HEADER = r" +segment +begin +allocated +committed allocated size +committed size"
STATISTICS = [r"Statistics:", r" +MT +Count +TotalSize Class Name"]
OBJECTS = r" +Address +MT +Size"
LAYOUTS = {  # Lines that must come in this order, others between them.
    "eeheap -gc": ["", r"DATAS =.*", r"={40}", r"Number of GC Heaps: \d+", r"-{40}", r"Small object heap", SEGMENT_HEADER,
                   r"generation 0:", r"generation 1:", r"generation 2:", r"    [0-9a-f]{12} {5}[0-9a-f]{12} {5}[0-9a-f]{12} {5}[0-9a-f]{12} 0x[0-9a-f]+ \(\d+\) +0x[0-9a-f]+ \(\d+\)",
                   r"NonGC heap", SEGMENT_HEADER, r"Large object heap", SEGMENT_HEADER, r"Pinned object heap", SEGMENT_HEADER, r"-{30}",
                   r"GC Allocated Heap Size:    Size: 0x[0-9a-f]+ \(\d+\) bytes\.", r"GC Committed Heap Size:    Size: 0x[0-9a-f]+ \(\d+\) bytes\."],
    "eeheap": [r"Loader Heap:", r"-{40}", r"System Domain:        [0-9a-f]{12}", r"LoaderAllocator:      [0-9a-f]{12}",
               r"LowFrequencyHeap:     [0-9a-f]{12}\([0-9a-f]+:[0-9a-f]+\).* Size: 0x[0-9a-f]+ \(\d+\) bytes total.*\.", r"HighFrequencyHeap:    .*",
               r"Total size:           Size: 0x[0-9a-f]+ \(\d+\) bytes total.*\.", r"-{40}", r"JIT Manager:          [0-9a-f]{12}", r"LoaderCodeHeap:       .*",
               r"Total size: .*", r"-{40}", r"Number of GC Heaps: 1", "", r"Total bytes consumed by CLR: .*"],
    "dumpheap": [OBJECTS, r"    [0-9a-f]{12} {5}[0-9a-f]{12} +[\d,]+ Free", r"    [0-9a-f]{12} {5}[0-9a-f]{12} +[\d,]+", "", *STATISTICS,
                 r"[0-9a-f]{12} +[\d,]+ +[\d,]+ System\.String", r"Total [\d,]+ objects, [\d,]+ bytes"],
    "dumpheap -stat": [*STATISTICS, r"Total [\d,]+ objects, [\d,]+ bytes"],
    "dumpheap -strings": [r"Statistics:", r"[ \d,]{14} [ \d,]{14} .*"],
    "gchandles": [r" +Handle Type +Object +Size +Data Type", r"[0-9A-F]{16} (Strong|WeakShort) +[0-9A-F]{16} +\d+ +\S.*", "", r"Statistics:",
                  r"              MT    Count    TotalSize Class Name", r"[0-9a-f]{16} +\d+ +\d+ \S.*", r"Total \d+ objects", "", r"Handles:", r"    Strong Handles:       \d+"],
    "finalizequeue": [r"SyncBlocks to be cleaned up: .*", r"Free-Threaded Interfaces to be released: 0", r"MTA Interfaces to be released: 0",
                      r"STA Interfaces to be released: 0", r"-{34}", "", r"Heap 0", r"generation 0 has \d+ objects \([0-9a-f]+->[0-9a-f]+\)", r"generation 1 has .*",
                      r"generation 2 has .*", r"Ready for finalization \d+ objects \([0-9a-f]+->[0-9a-f]+\)", r"-{30}",
                      r"Statistics for all finalizable objects \(including all objects ready for finalization\):", OBJECTS, "", *STATISTICS,
                      r"Total [\d,]+ objects, [\d,]+ bytes"],
}


@pytest.mark.parametrize("command", LAYOUTS)
def test_text_is_laid_out_as_sos_does(lab, roots, command):
    lines = text_of(lab, roots, command).split("\n")
    at = 0
    for pattern in LAYOUTS[command]:
        hits = [i for i in range(at, len(lines)) if re.fullmatch(pattern, lines[i])]
        assert hits, f"no line '{pattern}' after line {at}:\n" + "\n".join(lines[at : at + 20])
        at = hits[0] + 1
    assert command == "dumpheap -strings" or not any(line.endswith(" ") for line in lines)  # A string may end in one.


def test_segments_of_the_segments_gc_have_starts_instead_of_titles(lab):
    text = text_of(lab, lab.core("Roots", "segments"), "eeheap -gc")
    assert re.search(r"generation 0 starts at [0-9a-f]+\ngeneration 1 starts at [0-9a-f]+\ngeneration 2 starts at [0-9a-f]+\nephemeral segment", text)
    assert re.search(r"Large object heap starts at [0-9a-f]+\n", text) and "generation 0:" not in text


def test_every_heap_of_server_gc_has_its_part(lab):
    core = lab.core("Roots", "server")
    text, report = text_of(lab, core, "eeheap -gc"), lab.report(core, "eeheap -gc")
    assert re.findall(r"^Heap (\d+) \([0-9a-f]{16}\)$", text, re.MULTILINE) == [str(i) for i in range(report["gc_heaps"])]
    assert report["gc_heaps"] == lab.app("Roots", "server").truth.get("heaps", report["gc_heaps"])


# ---- text and JSON are one ----

def test_text_and_json_of_eeheap_have_the_same_numbers(lab, roots):
    text, report = text_of(lab, roots, "eeheap -gc"), lab.report(roots, "eeheap -gc")
    allocated, committed = (int(n) for n in re.findall(r"Heap Size:    Size: 0x[0-9a-f]+ \((\d+)\) bytes", text))
    assert (allocated, committed) == (report["gc_allocated"], report["gc_segments_committed"])
    own, = re.findall(r"^GC TotalCommittedBytes:    Size: 0x[0-9a-f]+ \((\d+)\) bytes.$", text, re.MULTILINE)
    assert int(own) == report["gc_committed"]
    assert allocated == sum(int(s["allocated"], 16) - int(s["begin"], 16) for s in report["segments"])
    assert allocated == sum(g["size"] for g in report["generations"])
    shown = set(re.findall(r"^    ([0-9a-f]{12}) ", text, re.MULTILINE))
    assert shown == {s["segment"][2:] for s in report["segments"]}


def test_text_and_json_of_dumpheap_have_the_same_numbers(lab, roots):
    text, report = text_of(lab, roots, "dumpheap -stat"), lab.report(roots, "dumpheap -stat")
    rows = re.findall(r"^([0-9a-f]{12}) +([\d,]+) +([\d,]+) (\S.*)$", text, re.MULTILINE)
    assert [(f"0x{mt}", number(c), number(s), name) for mt, c, s, name in rows] == [(t["mt"], t["count"], t["size"], t["type"]) for t in report["types"]]
    count, size = map(number, re.search(r"^Total ([\d,]+) objects, ([\d,]+) bytes$", text, re.MULTILINE).groups())
    assert (count, size) == (report["total_count"], report["total_size"])
    assert count == sum(t["count"] for t in report["types"]) and size == sum(t["size"] for t in report["types"])


def test_tsv_is_the_main_table(lab, leak):
    report = lab.report(leak, "dumpheap -stat")
    lines = lab.linger("dumpheap", leak, "-stat", "--tsv").out.splitlines()
    assert lines[0] == "mt\tcount\tsize\ttype"
    assert [line.split("\t")[:3] for line in lines[1:]] == [[t["mt"], str(t["count"]), str(t["size"])] for t in report["types"]]


# ---- dumpheap ----

def test_the_list_of_objects_adds_up_to_the_statistics(lab, roots):
    report = lab.report(roots, "dumpheap")
    objects = report["objects"]
    addresses = [int(o["address"], 16) for o in objects]
    assert addresses == sorted(set(addresses))
    assert (len(objects), sum(o["size"] for o in objects)) == (report["total_count"], report["total_size"])
    counted = {}
    for o in objects:
        count, size = counted.get(o["type"], (0, 0))
        counted[o["type"]] = count + 1, size + o["size"]
    assert counted == {t["type"]: (t["count"], t["size"]) for t in report["types"]}
    assert by_type(lab.report(roots, "dumpheap -stat")) == by_type(report)
    assert {o["generation"] for o in objects} <= {"gen0", "gen1", "gen2", "loh", "poh", "foh"}


@pytest.mark.parametrize("mode", ["workstation", "server", "segments"])
def test_parts_of_the_heap_add_up_to_the_whole(lab, mode):
    core = lab.core("Roots", mode)
    eeheap, whole = lab.reports(core, ["eeheap -gc", "dumpheap -stat"])

    def total(reports):
        return sum(r["total_count"] for r in reports), sum(r["total_size"] for r in reports)

    every = total([whole])
    assert total(lab.reports(core, [f"dumpheap -stat -gen {g}" for g in ("gen0", "gen1", "gen2", "loh", "poh", "foh")])) == every
    assert total(lab.reports(core, [f"dumpheap -stat -heap {i}" for i in range(eeheap["gc_heaps"])])) == every
    assert total(lab.reports(core, [f"dumpheap -stat -segment {s['begin']}" for s in eeheap["segments"]])) == every
    assert total(lab.reports(core, [f"dumpheap -stat -segment {s['segment']}" for s in eeheap["segments"]])) == every
    full = [s for s in eeheap["segments"] if int(s["allocated"], 16) > int(s["begin"], 16)]
    ranges = [f"dumpheap -stat {s['begin']} {s['allocated']}" for s in full]
    assert total(lab.reports(core, ranges)) == every
    lengths = [f"dumpheap -stat {s['begin'][2:]} L{int(s['allocated'], 16) - int(s['begin'], 16):x}" for s in full]
    assert total(lab.reports(core, lengths)) == every
    assert total(lab.reports(core, ["dumpheap -stat -max 100", "dumpheap -stat -min 101"])) == every
    assert total(lab.reports(core, ["dumpheap -stat -max 4k", "dumpheap -stat -min 0x1001"])) == every


def test_filters_by_type_are_by_part_of_the_name_and_by_method_table(lab, leak):
    whole = by_type(lab.report(leak, "dumpheap -stat"))
    part = lab.report(leak, "dumpheap -stat -type Order")
    assert by_type(part) == {name: t for name, t in whole.items() if "Order" in name} and len(part["types"]) > 1
    one = lab.report(leak, f"dumpheap -mt {whole['Order']['mt']}")
    assert [t["type"] for t in one["types"]] == ["Order"] and {o["type"] for o in one["objects"]} == {"Order"}
    short = text_of(lab, leak, f"dumpheap -short -mt {whole['Order']['mt']}").split()
    assert short == [o["address"][2:] for o in one["objects"]]


@pytest.mark.parametrize("options, key", [("", "size"), ("-sort size", "size"), ("-bycount", "count"), ("-sort count", "count"), ("-sort name", "type")])
def test_statistics_are_sorted_and_cut(lab, leak, options, key):
    whole = lab.report(leak, f"dumpheap -stat {options}")
    rows = whole["types"]
    assert [r[key] for r in rows] == sorted(r[key] for r in rows)
    down = lab.report(leak, f"dumpheap -stat {options} -desc")["types"]
    assert down == rows[::-1]
    top = lab.report(leak, f"dumpheap -stat {options} -top 5")
    assert top["types"] == (rows[:5] if key == "type" else rows[-5:])
    assert top["truncated"] == {"types": len(rows) - 5} and top["total_count"] == whole["total_count"]


def test_objects_are_sorted_and_cut(lab, leak):
    whole = lab.report(leak, "dumpheap -type Byte[]")["objects"]
    by_size = sorted(whole, key=lambda o: (o["size"], int(o["address"], 16)))
    assert lab.report(leak, "dumpheap -type Byte[] -sort size")["objects"] == by_size
    top = lab.report(leak, "dumpheap -type Byte[] -sort size -top 7")
    assert top["objects"] == by_size[-7:] and top["truncated"] == {"objects": len(whole) - 7}
    assert lab.report(leak, "dumpheap -type Byte[] -top 7")["objects"] == whole[:7]
    assert lab.report(leak, "dumpheap -type Byte[] -desc -top 7")["objects"] == whole[::-1][:7]


def test_strings_are_grouped_by_what_they_say(lab, roots):
    report = lab.report(roots, "dumpheap -strings")
    literal = lab.app("Roots", "workstation").truth["literal"]["text"]
    texts = {s["text"]: s for s in report["strings"]}
    assert texts[literal]["count"] == 1
    assert len(texts) == len(report["strings"])
    assert sum(s["count"] for s in report["strings"]) == report["total_count"] == by_type(lab.report(roots, "dumpheap -stat"))["System.String"]["count"]
    assert sum(s["size"] for s in report["strings"]) == report["total_size"]
    sizes = [s["size"] for s in report["strings"]]
    assert sizes == sorted(sizes)


def test_strings_of_leak_are_as_many_as_it_made(lab, leak):
    report = lab.report(leak, "dumpheap -strings -bycount")
    assert {s["text"]: s["count"] for s in report["strings"]}["order 00000000"] == 1 + lab.app("Leak", "workstation").truth["types"][1]["count"]


def test_big_free_blocks_are_named_with_what_follows(lab, leak):
    report = lab.report(leak, "dumpheap -stat")
    listed = lab.report(leak, "dumpheap")
    assert report["fragments"] == listed["fragments"]
    at = {o["address"]: o for o in listed["objects"]}
    for f in report["fragments"]:
        assert at[f["address"]]["type"] == "Free" and at[f["address"]]["size"] == f["size"] >= 512 << 10
        assert at[f["next"]]["type"] == f["next_type"] and int(f["next"], 16) == int(f["address"], 16) + f["size"]


# ---- objects ----

def is_same_nullable(row, told):
    """Reflection unwraps what is nullable; of a primitive in one the truth has no value."""
    inner = {f["name"]: f for f in row["fields"]}
    if told.get("null"):
        return inner["hasValue"]["value"] == "false"
    if [f["name"] for f in told["fields"]] == ["value__"]:
        return inner["hasValue"]["value"] == "true" and inner["value"]["value"] == told["fields"][0]["value"]
    return inner["hasValue"]["value"] == "true" and (not told["fields"] or not wrong_fields(inner["value"]["fields"], told["fields"]))


def is_same_value(row, value):
    if isinstance(value, bool):
        return row["value"] == str(value).lower()
    if row["type"] in ("System.IntPtr", "System.UIntPtr"):
        return int(row["value"], 16) == int(value) % (1 << 64)
    return row["value"] == str(value) or float(row["value"]) == float(value)


def is_same(row, told):
    """Is a row of `fields` what the app says of its field?"""
    kind = told["kind"]
    if kind == "string":
        return row["value"] == "0x0" if told["value"] is None else row["text"] == told["value"]
    if kind == "reference":
        return (row["value"] == "0x0") == told["null"]
    if kind == "struct" and row["type"].startswith("System.Nullable<"):
        return is_same_nullable(row, told)
    if kind == "struct":
        return not wrong_fields(row["fields"], told["fields"])
    return kind == "pointer" or is_same_value(row, told["value"])


def plain(name):
    """The declaring type without its type arguments, which reflection spells in its own way."""
    return re.sub(r"`\d+|<[^+]*>|\[.*\]", "", name)


def wrong_fields(rows, told):
    wrong = []
    for field in told:
        found = [r for r in rows if r["name"] == field["name"] and plain(r["declaring_type"]) == plain(field["declared_in"])]
        if len(found) != 1 or not is_same(found[0], field):
            wrong.append((field, found))
    return wrong


def test_fields_of_every_kind_have_their_values(heap, truth):
    for name, told in truth["values"].items():
        examples = [wrong_fields(heap.dump(o["address"])["fields"], told) for o in heap.by_type[name]]
        assert [] in examples, (name, examples[0])


def test_pointers_have_their_values(heap, truth):
    fields = {f["name"]: f["value"] for f in heap.fields("App.Pointers")}
    assert {name: int(fields[name], 16) for name in truth["pointers"]} == {name: int(value, 16) for name, value in truth["pointers"].items()}


def test_statics_are_among_the_fields(heap):
    some = heap.by_type["System.String"][0]["address"]
    empty = next(f for f in heap.dump(some)["fields"] if f["name"] == "Empty")
    assert empty["static"] and empty["text"] == "" and heap.dump(empty["value"])["length"] == 0


def test_a_thread_static_has_a_value_for_each_thread(lab, types, heap, truth):
    some = heap.by_type["System.Threading.Thread"][0]["address"]
    rows = {f["thread"]: f for f in heap.dump(some)["fields"] if f["name"] == "t_currentThread"}
    for thread in truth["threads"]:
        fields = {f["name"]: f for f in heap.dump(rows[thread["os_id"]]["value"])["fields"]}
        assert fields["_managedThreadId"]["value"] == str(thread["managed_id"]) and fields["_name"]["text"] == thread["name"]
    text = text_of(lab, types, f"dumpobj {some}")
    assert " TLstatic                  t_currentThread\n    Thread static values (Thread:Value)\n    " in text


def test_strings_are_whole_and_readable(lab, types, heap, truth):
    fields = {f["name"]: f for f in heap.fields("App.Strings")}
    for name, told in truth["strings"].items():
        dumped = heap.dump(fields[name]["value"])
        assert (dumped["type"], dumped["length"]) == ("System.String", told["length"])
        raw = bytes.fromhex(told["utf16"])
        wanted = b"".join(raw[i : i + 2][::-1] for i in range(0, len(raw), 2)).decode("utf-16-le", "surrogatepass")
        wanted = wanted.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\u2400")
        assert dumped["string"].startswith(wanted) if told["length"] > 64 else dumped["string"] == wanted, name
        text = text_of(lab, types, f"dumpobj {fields[name]['value']}")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", text), name


def test_arrays_have_their_shape_and_elements(lab, types, heap, truth):
    fields = {f["name"]: f for f in heap.fields("App.Arrays")}
    for name, told in truth["arrays"].items():
        report = lab.report(types, f"dumparray {fields[name]['value']}")
        assert (report["rank"], report["length"], report["size"]) == (len(told["lengths"]), told["length"], told["size"]), name
        assert [e["index"] for e in report["elements"]] == list(range(told["length"]))
        text = text_of(lab, types, f"da {fields[name]['value']}")
        assert f"Array:       Rank {len(told['lengths'])}, Number of elements {told['length']}, Type " in text
        assert len(re.findall(r"^\[\d+\]", text, re.MULTILINE)) == told["length"]
    part = lab.report(types, f"dumparray {fields['Rank3']['value']} -start 5 -length 3")
    assert [e["index"] for e in part["elements"]] == [5, 6, 7] and part["truncated"] == {"elements": 24 - 8}


def test_delegates_name_what_they_call_in_their_order(lab, types, heap, truth):
    fields = {f["name"]: f for f in heap.fields("App.Delegates")}
    for name, told in truth["delegates"].items():
        rows = heap.dump(fields[name]["value"])["delegates"]
        assert len(rows) == len(told), name
        for row, entry in zip(rows, told):
            assert fnmatch.fnmatchcase(re.sub("<System.String>$", "", row["name"]), entry["method"]), (row, entry)
            if entry["target"] is None:
                assert (row["target"], row["target_type"]) == (None, None)
            else:
                assert fnmatch.fnmatchcase(row["target_type"], entry["target"]), (row, entry)
        text = text_of(lab, types, f"do {fields[name]['value']}")
        assert "Target           Method           Name" in text


def test_a_struct_is_dumped_where_it_lies(lab, types, heap):
    field = next(f for f in heap.fields("App.Structs") if f["name"] == "Point")
    report = lab.report(types, f"dumpvc {field['mt']} {field['value']}")
    assert report["type"] == "App.Point" and report["fields"] == field["fields"]
    assert {f["name"]: f["value"] for f in report["fields"]} == {"X": "3", "Y": "-4"}


def test_text_of_an_object_is_that_of_sos(lab, types, heap):
    lines = text_of(lab, types, f"dumpobj {heap.one('App.Primitives')}").splitlines()
    assert re.fullmatch(r"Name:        App\.Primitives", lines[0]) and re.fullmatch(r"MethodTable: [0-9a-f]{16}", lines[1])
    assert re.fullmatch(r"Size:        (\d+)\(0x[0-9a-f]+\) bytes", lines[2]) and lines[3].startswith("File:        /") and lines[4] == "Fields:"
    assert lines[5] == "              MT    Field   Offset                 Type   VT     Attr            Value Name"
    row = next(line for line in lines if line.endswith(" I32"))
    assert re.fullmatch(r"[0-9a-f]{16} [0-9a-f]{8} +[0-9a-f]+         System\.Int32  Yes instance      -2147483648 I32", row)


# ---- handles, finalizers, roots ----

def test_handles_are_those_that_the_app_made(lab, roots):
    report = lab.report(roots, "gchandles")
    truth = lab.app("Roots", "workstation").truth
    rows = [(h["kind"], h["type"]) for h in report["handles"]]
    for told in truth["handles"]:
        assert (told["kind"], told["type"]) in rows
    kinds = {k["kind"]: k["count"] for k in report["kinds"]}
    assert kinds == {kind: len([1 for k, _ in rows if k == kind]) for kind in kinds} and sum(kinds.values()) == len(rows)
    assert "weak-interior-pointer" in kinds  # of the collectible type's statics: peers' fault 5
    types = {o["address"]: o["type"] for o in lab.report(roots, "dumpheap")["objects"]}
    for told in truth["handles"]:
        if "secondary" in told:
            row = next(h for h in report["handles"] if (h["kind"], h["type"]) == (told["kind"], told["type"]))
            assert types[row["secondary"]] == told["secondary"]
    for name in ("Dependent", "dependent", "DEPENDENT"):
        assert {h["kind"] for h in lab.report(roots, f"gchandles -type {name}")["handles"]} == {"dependent"}


def test_finalizers_are_those_that_the_app_planted(lab, roots):
    report = lab.report(roots, "finalizequeue")
    truth = lab.app("Roots", "workstation").truth
    for ready, planted in ((True, truth["f_reachable"]), (False, truth["finalizable"])):
        for name, count in planted.items():
            assert len([1 for o in report["objects"] if o["type"] == name and o["ready"] == ready]) == count
    assert report["ready"] == len([1 for o in report["objects"] if o["ready"]])
    short = text_of(lab, roots, "fq -short").split()
    assert short == [o["address"][2:] for o in report["objects"]]


def test_a_long_list_is_told_in_a_few_lines(lab, roots):
    nodes = lab.report(roots, "dumpheap -type E1_Node")["objects"]
    paths = [(o["address"], lab.report(roots, f"gcroot {o['address']}")["roots"][0]) for o in (nodes[25000],)]
    address, root = paths[0]
    assert root["name"] == "Statics.Head" and root["length"] > 1000
    assert len(root["path"]) == min(root["length"], 10000)
    text = text_of(lab, roots, f"gcroot {address}")
    more = int(re.search(r"^             … (\d+) more of E1_Node \[Next\] …$", text, re.MULTILINE)[1])
    shown = len(re.findall(r"^          -> [0-9a-f]{12}     E1_Node", text, re.MULTILINE))
    assert shown + more == root["length"] and shown < 10
    assert "Statics:\n    " in text and "(static Statics.Head)" in text and text.rstrip().endswith("unique roots.")


def test_limit_and_nostacks(lab, roots):
    address = lab.report(roots, "dumpheap -type E3_InAsyncMethod")["objects"][0]["address"]
    whole = lab.report(roots, f"gcroot {address}")
    cut = lab.report(roots, f"gcroot {address} -limit 1")
    assert cut["roots"] == whole["roots"][:1] and cut["unique_roots"] == whole["unique_roots"] == len(whole["roots"]) > 1
    assert cut["truncated"] == {"roots": whole["unique_roots"] - 1}
    local = lab.report(roots, "dumpheap -type A4_Local")["objects"][0]["address"]
    assert {r["kind"] for r in lab.report(roots, f"gcroot {local}")["roots"]} == {"stack"}
    without = lab.report(roots, f"gcroot {local} -nostacks")
    assert without["roots"] == [] and any("stacks were left out" in s for s in without["incomplete"])


# ---- nonsense ----

BAD = [  # command, exit status, what the one sentence says
    ("dumpobj 1234", 3, r"0x1234 is no object: it lies outside the GC heap"),
    ("dumpobj zz", 2, r"'zz'"),
    ("dumpobj", 2, r"dumpobj"),
    ("gcroot 1234", 3, r"0x1234 is no object: it lies outside the GC heap"),
    ("dumparray 1234", 3, r"0x1234 is no object"),
    ("dumpvc 1234 1234", 3, r"0x1234 is no method table"),
    ("dumpheap -stta", 2, r"unknown option '-stta'; did you mean '-stat'\?"),
    ("dumpheap -gen gen3", 2, r"unknown generation 'gen3': only gen0, gen1, gen2, loh \(large\), poh \(pinned\) and foh \(frozen\) are supported"),
    ("dumpheap -mt 1234", 3, r"0x1234 is no method table"),
    ("dumpheap -min lots", 2, r"'lots'"),
    ("dumpheap -min 5 -max 4", 2, r"-min 5 is more than -max 4"),
    ("dumpheap -sort age", 2, r"cannot sort by 'age'"),
    ("dumpheap 5000 4000", 2, r"start address must be before end address"),
    ("dumpheap hello", 2, r"invalid start address 'hello'"),
    ("dumpheap 1000 2000", 3, r"no segments or objects in range 0x1000-0x2000"),
    ("dumpheap -heap 99", 3, r"no GC heap with index of 99"),
    ("dumpheap -segment 1234", 3, r"no segment at 0x1234"),
    ("finalizequeue -allReady", 3, r"-allReady needs to know exactly what is reachable"),
    ("finalizequeue -short -stat", 2, r"cannot specify both -short and -stat"),
    ("gchandles -type Round", 2, r"unknown handle type 'Round'"),
    ("dumphaep", 2, r"did you mean 'dumpheap'\?"),
]


@pytest.mark.parametrize("command, status, sentence", BAD)
def test_nonsense_is_answered_in_one_sentence(lab, roots, command, status, sentence):
    result = lab.linger("open", roots, "-c", command, status=status)
    errors = [line for line in result.err.splitlines() if not line.startswith("note: ")]
    assert result.out == "" and len(errors) == 1 and re.search(sentence, errors[0]), result


def test_an_address_within_an_object_or_in_free_space_says_so(lab, roots):
    objects = lab.report(roots, "dumpheap")["objects"]
    one = next(o for o in objects if o["type"] == "A1_Static")
    free = next(o for o in objects if o["type"] == "Free" and o["size"] > 100)
    inside, empty = int(one["address"], 16) + 8, int(free["address"], 16) + 16
    for command in ("dumpobj", "gcroot"):
        assert f"is no object: it lies at +0x8 in {one['address']}, A1_Static" in lab.linger("open", roots, "-c", f"{command} {inside:x}", status=3).err
        assert f"{free['size']} bytes from {free['address']} on are free" in lab.linger("open", roots, "-c", f"{command} {empty:x}", status=3).err


def test_a_type_that_nothing_is_of_is_no_error(lab, roots):
    assert text_of(lab, roots, "dumpheap -type NoSuchType") == "No objects of a type whose name contains 'NoSuchType'.\n"
    assert "case matters: A1_Static" in text_of(lab, roots, "dumpheap -type a1_static")
    report = lab.report(roots, "dumpheap -type NoSuchType")
    assert (report["types"], report["objects"], report["total_count"], report["total_size"]) == ([], [], 0, 0)
