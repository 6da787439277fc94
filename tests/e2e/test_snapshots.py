"""Snapshots: what commands say of one is what they say of the core that it was taken of, and nothing else is in it."""
import re
import resource
import signal

import pytest

SAME = ["dumpheap", "dumpheap -stat", "dumpheap -stat -live", "dumpheap -dead", "dumpheap -type String -min 100", "dumpheap -stat -gen gen2", "retained",
        "retained -top 0", "retained -by type -top 0", "retained -by namespace -top 0", "retained -by assembly -top 0", "retained -by root -top 0",
        "retained -type String -top 10", "retained -set System.String", "gcroot -type Dictionary", "gcroot -type String -limit 40", "eeheap", "gchandles",
        "modules", "finalizequeue", "finalizequeue -stat", "dumpdomain", "clrthreads", "clrstack", "clrstack -gc", "dumpstackobjects", "dumpalc",
        "vadump", "vadump -detail", "vadump -by file -top 5", "vadump -by thread", "limits"]
HEAPS = [("Roots", "workstation"), ("Roots", "server"), ("Roots", "segments"), ("Types", "workstation"), ("Plugins", "workstation")]
heaps = pytest.mark.parametrize("name, mode", HEAPS, ids=[f"{name}-{mode}" for name, mode in HEAPS])


def snapshot(lab, target, key, *options):
    path = lab.folder / f"{key}.snap"
    lab.once(("snapshot", key), lambda: lab.linger("snapshot", target, *options, "-o", path))
    return path


def without_target(report):
    return {key: value for key, value in report.items() if key != "target"}


def without_names(report):
    """What is a string or a value in the process, and not in a snapshot of shapes: names of load contexts and of threads, keys, methods."""
    if isinstance(report, list):
        return [without_names(item) for item in report]
    if isinstance(report, dict):
        return {key: without_names(value) for key, value in report.items() if key not in ("load_context", "thread_name", "meaning")}
    return report


def without_lines(report):
    """Of frames: neither their code nor their assemblies are in a snapshot."""
    if isinstance(report, list):
        return [without_lines(item) for item in report]
    if isinstance(report, dict):
        hidden = ("il", "file", "line", "no_line") if "no_line" in report else ()
        return {key: without_lines(value) for key, value in report.items() if key not in hidden}
    return report


def without_own_names(report, command):
    """The same of commands that are about threads and load contexts."""
    for key in {"clrthreads": ["threads"], "clrstack": ["threads"], "dumpalc": ["contexts"]}.get(command.split()[0], []):
        for row in report[key]:
            del row["name"]
        report["incomplete"] = [sentence for sentence in report["incomplete"] if "without --contents" not in sentence]
    return report


def examples(lab, core):
    """An object of every type."""
    objects = lab.report(core, "dumpheap")["objects"]
    return sorted({o["type"]: o["address"] for o in objects if o["type"] != "Free"}.values())


@heaps
def test_reports_are_those_of_the_core(lab, name, mode):
    core = lab.core(name, mode)
    file = snapshot(lab, core, f"{name}-{mode}")
    addresses = examples(lab, core)[::12]
    commands = SAME + [f"gcroot {a}" for a in addresses]
    for command, there, here in zip(commands, lab.reports(core, commands), lab.reports(file, commands)):
        assert here["target"]["kind"] == "snapshot"
        if command in ("clrthreads", "clrstack", "dumpalc"):
            assert any("without --contents" in sentence for sentence in here["incomplete"]), command
        here, there = (without_own_names(without_names(without_lines(without_target(report))), command) for report in (here, there))
        assert here == there, command


@pytest.mark.parametrize("command", ["dumpheap -stat", "retained -top 30", "gcroot -type Dictionary", "eeheap", "modules", "dumpheap -live"])
def test_text_is_that_of_the_core(lab, command):
    core = lab.core("Roots", "workstation")
    file = snapshot(lab, core, "Roots-workstation")
    verb, *options = command.split()
    there, here = (re.sub(r" \((calls|closure) .*\)$", "", lab.linger(verb, target, *options).out, flags=re.MULTILINE) for target in (core, file))
    assert there == here


def test_with_contents_nothing_differs(lab):
    core = lab.core("Plugins", "workstation")
    file = snapshot(lab, core, "Plugins-contents", "--contents")
    commands = SAME + ["dumpheap -strings", "modules -v"] + [f"{verb} {a}" for a in examples(lab, core)[::20] for verb in ("gcroot", "dumpobj")]
    for command, there, here in zip(commands, lab.reports(core, commands), lab.reports(file, commands)):
        if command.startswith("dumpobj"):  # Statics of primitive types lie outside the heap, code does too.
            there.pop("delegates", None), here.pop("delegates", None)
            for one, other in zip(there["fields"], here["fields"]):
                if one["static"]:
                    other["value"] = one["value"]
        there, here = (without_names(r) if command.startswith("gcroot") else r for r in (there, here))  # What delegates call is code.
        assert without_target(without_lines(here)) == without_target(without_lines(there)), command


def test_without_contents_references_are_there_and_values_are_unknown(lab):
    core = lab.core("Types", "workstation")
    file = snapshot(lab, core, "Types-workstation")
    commands = [f"dumpobj {a}" for a in examples(lab, core)]
    references = values = 0
    for there, here in zip(lab.reports(core, commands), lab.reports(file, commands)):
        assert (here["address"], here["type"], here["size"], here["generation"]) == (there["address"], there["type"], there["size"], there["generation"])
        assert any("without --contents" in sentence for sentence in here["incomplete"])
        for one, other in zip(there.get("fields", []), here.get("fields", [])):
            assert (one["name"], one["type"], one["offset"]) == (other["name"], other["type"], other["offset"])
            assert other["text"] is None
            if one["static"] or one["fields"] or one["value"] is None:
                continue
            assert other["value"] in (None, one["value"])
            references += other["value"] is not None
            values += other["value"] is None
            if one["type"] in ("System.Int32", "System.Boolean", "System.Int64", "System.Byte", "System.Double", "System.Char", "System.IntPtr"):
                assert other["value"] is None
    assert references > 100 and values > 100


def test_no_string_of_the_process_is_in_the_file(lab):
    core = lab.core("Types", "workstation")
    data = snapshot(lab, core, "Types-workstation").read_bytes()
    strings = [row["text"] for row in lab.report(core, "dumpheap -strings")["strings"]]
    strings = [text for text in strings if text and len(text) >= 8 and " " in text and "<" not in text]  # Names may be in it.
    assert len(strings) > 10
    for text in strings:
        assert text.encode() not in data and text.encode("utf-16-le") not in data, text


def test_a_snapshot_of_a_running_process(lab):
    app = lab.app("Roots", "workstation")
    file = snapshot(lab, app.pid, "Roots-live")
    report = lab.report(file, "dumpheap -stat")
    for command in ("dumpheap -stat", "dumpheap -stat -live", "retained -by static -top 0"):
        assert without_target(lab.report(file, command)) == without_target(lab.report(app.pid, command)), command
    assert report["target"]["pid"] == app.pid and "pause_ms" not in report["target"]
    info = lab.linger("info", file, "--json").reports()[0]
    assert (info["of"], info["of_pid"], info["has_contents"]) == ("process", app.pid, False)
    assert info["objects"] == sum(t["count"] for t in report["types"] if t["type"] != "Free")


def test_what_it_does_not_hold_is_refused_by_name(lab):
    file = snapshot(lab, lab.core("Roots", "workstation"), "Roots-workstation")
    assert "--contents" in lab.linger("dumpheap", file, "-strings", status=3).err
    assert "a snapshot already" in lab.linger("snapshot", file, "-o", lab.folder / "again.snap", status=2).err
    assert not (lab.folder / "again.snap").exists()


def test_a_damaged_file_is_told(lab):
    file = snapshot(lab, lab.core("Roots", "workstation"), "Roots-workstation")
    damaged = lab.folder / "damaged.snap"
    data = bytearray(file.read_bytes())
    data[20000] ^= 0x40  # Within HEAP, which comes first.
    damaged.write_bytes(data)
    assert "page" in lab.linger("info", damaged, status=3).err
    for command in ("dumpheap -stat -live", "dumpheap", "retained -top 0"):
        verb, *options = command.split()
        result = lab.linger(verb, damaged, *options, status=3)
        assert "is damaged: page" in result.err and result.out == ""
    cut = lab.folder / "cut.snap"
    cut.write_bytes(data[:-7])
    assert "is damaged: it has" in lab.linger("dumpheap", cut, "-stat", status=3).err


def test_what_cannot_be_written_leaves_what_was_there(lab, tmp_path):
    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    there = tmp_path / "there.snap"
    there.write_text("mine")
    result = lab.linger("snapshot", lab.core("Roots", "workstation"), "-o", there, status=3, preexec_fn=little_room)
    assert "writing" in result.err and there.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["there.snap"]
    assert "create" in lab.linger("snapshot", lab.core("Roots", "workstation"), "-o", tmp_path / "no/where", status=3).err
