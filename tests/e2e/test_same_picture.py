"""A live process and cores of it, in one frozen state: the same reports.

The target is stopped by SIGSTOP meanwhile, as a shell's Ctrl-Z does, so that nothing can move between the pictures: apart from
`target`, what is said has to be equal byte for byte. linger must leave such a target stopped as it was.
"""
import json
import re
import shutil
import struct

import pytest

from lab import older, process_state, thread_states, wait_until
from test_snapshots import without_lines

COMMANDS = ["eeheap -gc", "dumpheap -stat", "dumpheap -gen gen0", "dumpheap -strings -stat", "gchandles", "finalizequeue",
            "clrthreads", "clrstack -gc", "dumpstackobjects", "dumpalc", "dumpdomain"]
TYPES = {"Roots": ["A1_Static", "A3_ThreadStatic", "A4_Local", "B1_DependentVal", "C8_InMixedArray", "Fin", "G1_InCollectibleStatic"],
         "Types": ["App.Primitives", "App.Structs", "App.Strings", "App.Arrays", "App.Delegates", "App.Pointers"]}


class Frozen:
    def __init__(self, lab, app, mode):
        self.lab, self.app = lab, lab.start(app, mode)
        # In a call that is being bound, a heap core does not tell the references (test_exceptions).
        assert wait_until(lambda: "System.Threading.Thread.Sleep(Int32)" in self.top())
        self.app.stop()
        names = {t["type"]: t["mt"] for t in lab.report(self.app.pid, "dumpheap -stat")["types"]}
        lists = lab.reports(self.app.pid, [f"dumpheap -short -mt {names[t]}" for t in TYPES[app.split("@")[0]]])
        addresses = [r["objects"][0]["address"] for r in lists]
        self.commands = COMMANDS + [f"{verb} {a}" for a in addresses for verb in ("dumpobj", "gcroot")]
        self.live = lab.reports(self.app.pid, self.commands)

    def top(self):
        """The innermost frames of the main thread."""
        return [f["method"] for t in self.lab.report(self.app.pid, "clrstack")["threads"] if t["os_id"] == self.app.pid for f in t["frames"][:4]]

    def end(self):
        self.app.kill()


@pytest.fixture(params=[("Roots", "workstation"), ("Types", "workstation"), ("Roots", "datas"), ("Roots", "segments")] + older("Roots"), ids="-".join, scope="module")
def frozen(lab, request):
    frozen = Frozen(lab, *request.param)
    yield frozen
    frozen.end()


def without_target(report, notes=True):
    report = {k: v for k, v in report.items() if k != "target" and (notes or k != "incomplete")}
    if "dac" in report:  # The same file, as seen from outside the process's file system.
        report["dac"] = re.sub("^/proc/[0-9]+/root/", "/", report["dac"])
    return json.dumps(report, ensure_ascii=False)


def chunks(path):
    """What is in a snapshot, by the names of its chunks (docs/format-snapshot.md)."""
    data = path.read_bytes()
    count, table = struct.unpack_from("<I8xQ", data, 12)
    entries = [struct.unpack_from("<4s4xQQ", data, table + 32 * i) for i in range(count)]
    return {name.decode(): data[offset:offset + size] for name, offset, size in entries}


def test_snapshots_of_a_process_and_of_its_core_are_the_same(lab, frozen):
    files = [lab.folder / f"frozen-{frozen.app.pid}-{kind}.snap" for kind in ("live", "core")]
    core = lab.dump(frozen.app, "full", f"frozen-{frozen.app.pid}-2.core")
    for target, file in zip((frozen.app.pid, core), files):
        lab.linger("snapshot", target, "-o", file, "--contents")
    core.unlink()
    live, dead = map(chunks, files)
    assert live.keys() == dead.keys()
    different = {name for name in live if live[name] != dead[name]}
    # Of what they were taken, and what a core does not tell of: residency, bounds.
    assert different <= {"META", "PICT", "LIMI", "FRAM"}, different
    commands = COMMANDS + ["retained -top 50", "gcroot -type String -limit 20"]
    for command, process, one, other in zip(commands, lab.reports(frozen.app.pid, commands), *(lab.reports(file, commands) for file in files)):
        for report in (one, other):
            assert without_target(without_lines(report), notes=False) == without_target(without_lines(process), notes=False), command
            assert set(process["incomplete"]) <= set(report["incomplete"])  # It also says what other commands would have met.
    for file in files:
        file.unlink()


def test_live_and_full_core_say_the_same(lab, frozen):
    core = lab.dump(frozen.app, "full", f"frozen-{frozen.app.pid}.core")
    for command, live, dead in zip(frozen.commands, frozen.live, lab.reports(core, frozen.commands)):
        assert (live["target"]["kind"], dead["target"]["kind"]) == ("process", "core")
        assert without_target(live) == without_target(dead), command
    for command in frozen.commands[:3]:  # The text too.
        assert lab.linger("open", frozen.app.pid, "-c", command).out == lab.linger("open", core, "-c", command).out
    core.unlink()


@pytest.mark.parametrize("kind", ["withheap", "gcore"])
def test_live_and_other_cores_say_the_same(lab, frozen, kind):
    """A heap core and one of gdb's lack what the files on disk have; that they say, and it is all the difference."""
    if kind == "gcore" and not shutil.which("gcore"):
        pytest.skip("gdb is not installed: no gcore")
    core = lab.dump(frozen.app, kind, f"frozen-{frozen.app.pid}-{kind}.core")
    for command, live, dead in zip(frozen.commands, frozen.live, lab.reports(core, frozen.commands)):
        assert without_target(live, notes=False) == without_target(dead, notes=False), command
    core.unlink()


def test_a_stopped_target_stays_stopped_and_goes_on(lab, frozen):
    assert wait_until(frozen.app.is_stopped)  # A thread that was let go has to run to stop again.
    before = frozen.lab.report(frozen.app.pid, "dumpheap -stat")
    assert before["target"]["pause_ms"] >= 0
    assert wait_until(frozen.app.is_stopped)
    frozen.app.go_on()
    assert wait_until(lambda: "T" not in thread_states(frozen.app.pid).values())
    assert frozen.app.is_running() and wait_until(lambda: process_state(frozen.app.pid) in ("S", "R"))
