"""Names, fields, values, statics, strings, arrays and delegates against what Types printed of itself by reflection."""
import fnmatch
import math
import struct
import subprocess

import pytest

from lab import LIMIT, older


class Heap:
    """Addresses by type, and `dumpobj`, on a core of Types."""

    def __init__(self, lab, target):
        self.lab, self.target = lab, target
        self.rows = lab.report(target, "dumpheap -stat")["types"]
        self.tables = {t["type"]: t["mt"] for t in self.rows}
        self._said = {}

    def objects(self, name):
        return self.lab.report(self.target, f"dumpheap -mt {self.tables[name]}")["objects"] if name in self.tables else []

    def look(self, addresses):
        """dumpobj of each, in one opening."""
        new = [a for a in dict.fromkeys(addresses) if a not in self._said]
        self._said.update(zip(new, self.lab.reports(self.target, [f"dumpobj {a}" for a in new])))
        return [self._said[a] for a in addresses]

    def dumpobj(self, address):
        return self.look([address])[0]

    def the(self, name):
        """An object of a type of which all have the same contents."""
        objects = self.objects(name)
        assert objects, f"no object of {name}"
        return self.dumpobj(objects[0]["address"])


@pytest.fixture(scope="module", params=[("Types", "workstation")] + older("Types"), ids="-".join)
def types(request):
    return request.param


@pytest.fixture(scope="module")
def core(lab, types):
    return lab.core(*types)


@pytest.fixture(scope="module", params=["core", "live"])
def heap(lab, types, request):
    target = lab.core(*types) if request.param == "core" else lab.app(*types).pid
    return lab.once(("heap", *types, request.param), lambda: Heap(lab, target))


@pytest.fixture(scope="module")
def truth(lab, types):
    return lab.app(*types).truth


def field_of(report, name, declaring=None):
    found = [f for f in report["fields"] if f["name"] == name and (declaring is None or f["declaring_type"] == declaring)]
    assert len(found) == 1, f"{len(found)} fields {declaring}.{name} of {report.get('type')}"
    return found[0]


def words_of(text):
    """A string as JSON has it: NUL is shown by its picture, half a surrogate pair by the replacement character."""
    return text.replace("\0", "\u2400") if text is not None else None


def same_number(ours, theirs, element):
    if element in ("System.Single", "System.Double"):
        theirs = float(theirs.replace("Infinity", "inf"))
        ours = float(ours.replace("Infinity", "inf"))
        if element == "System.Single":
            ours, theirs = (struct.pack("<f", x) for x in (ours, theirs))
            return ours == theirs or all(math.isnan(struct.unpack("<f", x)[0]) for x in (ours, theirs))
        return (math.isnan(ours) and math.isnan(theirs)) or struct.pack("<d", ours) == struct.pack("<d", theirs)
    value = int(ours, 0)
    if ours.startswith("0x") and value >= 1 << 63:  # Native integers are told as addresses are.
        value -= (1 << 64) if str(theirs).startswith("-") else 0
    return value == int(theirs)


def is_null(value):
    return value == "0x0"


def check_field(ours, theirs, where, wrong):
    """One field of the truth against linger's row for it; structs go on within."""
    kind, told = theirs["kind"], f"{where}.{theirs['name']}"
    if kind == "value":
        value = theirs["value"]
        if isinstance(value, bool):
            ok = ours["value"] == str(value).lower()
        else:
            ok = ours["value"] is not None and same_number(ours["value"], str(value), ours["type"])
    elif kind == "string":
        value = theirs["value"]
        ok = is_null(ours["value"]) and ours["text"] is None if value is None else ours["text"] == words_of(value)
    elif kind == "struct" and "fields" in theirs:
        inner = ours.get("fields")
        if [f["name"] for f in inner or []] == ["hasValue", "value"]:  # Reflection boxes a Nullable as what is in it.
            ok = inner[0]["value"] == "true" and {f["name"] for f in theirs["fields"]} != {"hasValue"}
            inner = inner[1]["fields"] or [{**inner[1], "name": "value__"}]  # Enums have one field of that name.
            if not ok:
                wrong.append(f"{told}: linger has no value, truth {theirs}")
        for field in theirs["fields"]:
            rows = [f for f in inner or [] if f["name"] == field["name"]]
            if len(rows) == 1:
                check_field(rows[0], field, told, wrong)
            else:
                wrong.append(f"{told}: {len(rows)} fields {field['name']} within")
        return
    elif kind == "struct":  # A Nullable without a value.
        has = [f for f in ours.get("fields") or [] if f["name"] == "hasValue"]
        ok = len(has) == 1 and has[0]["value"] == "false"
    elif kind == "reference":
        ok = is_null(ours["value"]) == theirs["null"]
    else:
        return  # Pointers: test_pointers.
    if not ok:
        wrong.append(f"{told}: linger {ours['value']} {ours['text']}, truth {theirs}")


# ---- names ----


def test_objects_of_every_planted_name_and_size(heap, truth):
    sizes = {}
    for planted in truth["names"]:
        name = planted["type"]
        if name not in sizes:
            sizes[name] = {o["size"] for o in heap.objects(name)}
        assert planted["size"] in sizes[name], planted


# ---- fields and values ----


def test_values_of_every_field(heap, truth):
    wrong = []
    for name, fields in truth["values"].items():
        report = heap.the(name)
        assert report["type"] == name
        instance = [f for f in report["fields"] if not f["static"]]
        assert len(instance) == len(fields), name
        for theirs in fields:
            check_field(field_of(report, theirs["name"], theirs["declared_in"]), theirs, name, wrong)
    assert not wrong, "\n".join(wrong)


def test_pointers(heap, truth):
    report = heap.the("App.Pointers")
    assert {f["name"]: f["value"] for f in report["fields"]} == truth["pointers"]


def test_fields_of_base_classes_come_first(heap):
    declared = [f["declaring_type"] for f in heap.the("App.Last")["fields"]]
    assert declared == ["App.Base"] * 3 + ["App.Derived"] * 2 + ["App.Last"]


# ---- strings ----


def utf16(text):
    return b"".join(struct.pack(">H", unit) for unit in text).hex().upper()


def test_strings(heap, truth):
    """Text as the JSON has it, for the first 64 units; lengths exactly."""
    holder = heap.the("App.Strings")
    reports = dict(zip(truth["strings"], heap.look([field_of(holder, name)["value"] for name in truth["strings"]])))
    for name, theirs in truth["strings"].items():
        units = struct.unpack(f">{len(theirs['utf16']) // 4}H", bytes.fromhex(theirs["utf16"]))
        text = b"".join(struct.pack("<H", unit) for unit in units).decode("utf-16-le", "replace").replace("\0", "\u2400")
        report = reports[name]
        assert report["type"] == "System.String" and report["length"] == theirs["length"], name
        assert report["size"] == max(24, 22 + 2 * theirs["length"])
        if name == "LoneHigh":  # Python drops the half pair and what follows it as one.
            text = "lone \ufffd high"
        assert report["string"][: len(text)] == text and (len(units) == 64 or report["string"] == text), name
        assert len(report["string"].encode("utf-16-le")) // 2 == theirs["length"], name


# ---- arrays ----

ELEMENTS = {
    "One": ["7"],
    "Rank2": ["1", "2", "3", "4", "5", "6"],
    "Bytes": ["1", "2", "255"],
    "Bools": ["true", "false"],
    "Doubles": ["1.5", "NaN"],
    "Colours": ["7"],
    "Pointers": ["0x0", "0x0"],
    "LowerBound": ["0", "0", "0"],
}


def test_arrays(heap, truth):
    holder = heap.the("App.Arrays")
    reports = dict(zip(truth["arrays"], heap.look([field_of(holder, name)["value"] for name in truth["arrays"]])))
    for name, theirs in truth["arrays"].items():
        report = reports[name]
        assert (report["length"], report["rank"], report["size"]) == (theirs["length"], len(theirs["lengths"]), theirs["size"]), name
        assert len(report["elements"]) == theirs["length"]
        assert [e["index"] for e in report["elements"]] == list(range(theirs["length"]))
        if name in ELEMENTS and name != "Colours":
            assert [e["value"] for e in report["elements"]] == ELEMENTS[name], name
    mixed = reports["Mixed"]["elements"]
    assert [e["type"] for e in mixed] == ["System.String", "System.Int32", None, "App.Order"] and mixed[0]["text"] == "text"
    assert [e["text"] for e in reports["Rank3"]["elements"]] == [None] * 23 + ["corner"]
    assert [e["type"] for e in reports["Jagged"]["elements"]] == ["System.Int32[]", "System.Int32[]", None]
    assert reports["LowerBound"]["type"] == "System.Int32[*]"


def test_structs_in_arrays(heap):
    holder = heap.the("App.Arrays")
    points, lines, maybes = heap.look([field_of(holder, name)["value"] for name in ("Structs", "Lines", "Nullables")])
    def within(element):
        return {f["name"]: f["value"] for f in element["fields"]}
    assert [within(e) for e in points["elements"]] == [{"X": "1", "Y": "2"}, {"X": "3", "Y": "4"}]
    assert field_of(lines["elements"][0], "Label")["text"] == "first"
    assert [within(e)["hasValue"] for e in maybes["elements"]] == ["true", "false"]


# ---- delegates ----


def method_matches(name, wanted):
    return wanted == "*" or (name or "").split("(")[0].split("<System")[0] == wanted


def test_delegates(heap, truth):
    holder = heap.the("App.Delegates")
    reports = dict(zip(truth["delegates"], heap.look([field_of(holder, name)["value"] for name in truth["delegates"]])))
    for name, theirs in truth["delegates"].items():
        rows = reports[name]["delegates"]
        assert len(rows) == len(theirs), name
        for row, wanted in zip(rows, theirs):
            assert method_matches(row["name"], wanted["method"]), (name, row)
            if wanted["target"]:
                assert fnmatch.fnmatchcase(row["target_type"] or "", wanted["target"]), (name, row)


# ---- statics ----


class Statics:
    """What typedump prints: slots of references and boxed structs, bytes of the rest."""

    def __init__(self, lab, target):
        done = subprocess.run([str(lab.support("typedump")), str(target), "data"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
        assert done.returncode == 0, done.stderr
        self.slots, self.data = {}, {}
        for line in done.stdout.splitlines():
            words = line.split("\t")
            if words[0] == "static":
                _, _, _, declaring, field, _, _, thread, obj = words
                self.slots[f"{declaring}.{field}", int(thread)] = hex(int(obj, 16))
            elif words[0] == "data":
                _, declaring, field, element, address, content = words
                if int(address, 16):
                    self.data[f"{declaring}.{field}"] = (int(element), bytes.fromhex(content))


FORMATS = {2: "<?", 3: "<H", 4: "<b", 5: "<B", 6: "<h", 7: "<H", 8: "<i", 9: "<I", 10: "<q", 11: "<Q", 12: "<f", 13: "<d", 24: "<q", 25: "<Q"}


@pytest.fixture(scope="module")
def statics(lab, core):
    return Statics(lab, core)


def value_of(statics, name):
    element, content = statics.data[name]
    form = FORMATS[element]
    return struct.unpack(form, content[: struct.calcsize(form)])[0]


def test_statics(lab, truth, core, statics):
    heap = Heap(lab, core)
    wrong = []
    for name, theirs in truth["statics"].items():
        if theirs["kind"] == "value":
            value = theirs["value"]
            ok = value_of(statics, name) == (float(value) if isinstance(value, str) and "." in value else int(value))
        else:
            obj = statics.slots.get((name, 0))
            ok = obj is not None and (obj == "0x0") == bool(theirs.get("null"))
            if ok and obj != "0x0":
                report = heap.dumpobj(obj)
                if theirs["kind"] == "string":
                    ok = report["string"] == theirs["value"]
                elif theirs["kind"] == "struct":
                    for field in theirs["fields"]:
                        check_field(field_of(report, field["name"]), field, name, wrong)
        if not ok:
            wrong.append(f"{name}: {statics.slots.get((name, 0))} {statics.data.get(name)}, truth {theirs}")
    assert not wrong, "\n".join(wrong)


def test_statics_of_generic_instantiations_without_objects(lab, truth, core, statics):
    some = next(obj for obj in statics.slots.values() if obj != "0x0")
    if any(note.startswith("Statics of generic types") for note in lab.report(core, f"gcroot {some}")["incomplete"]):
        assert truth["runtime"].startswith("8.")  # Its DAC does not tell where they lie, and that is said.
        return
    for name, value in truth["generic_statics"].items():
        if value.isdigit():
            assert value_of(statics, name) == int(value), name
        else:
            assert lab.report(core, f"dumpobj {statics.slots[name, 0]}")["string"] == value, name


def test_thread_statics(lab, truth, core, statics):
    ids = {t["name"]: t["managed_id"] for t in truth["threads"]}
    for thread, values in truth["thread_statics"].items():
        for name, value in values.items():
            static, _, field = name.rpartition(".")
            if static == "App.Statics":
                continue  # A primitive: linger says that its slot is not known.
            report = lab.report(core, f"dumpobj {statics.slots[static, ids[thread]]}")
            assert field_of(report, field)["value"] == str(value), (thread, name)


def test_what_is_no_static_storage(truth, statics):
    known = {name for name, _ in statics.slots} | set(statics.data)
    assert not known & set(truth["not_static_storage"])
    assert not [name for (name, _), obj in statics.slots.items() if name.startswith(truth["never_initialised"] + ".") and obj != "0x0"]
