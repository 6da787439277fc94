"""Exceptions on their way, and what hangs on them, are roots of their threads: in a filter, in a finally, behind another one."""
import pytest

from test_schema import check

CARGO = {"InFilter": "FilterCargo", "InFinally": "FinallyCargo", "Outer": "OuterCargo", "Inner": "InnerCargo"}


@pytest.fixture(scope="module", params=["live", "withheap", "gcore"])
def target(request, lab):
    app = lab.app("Throws", "workstation")
    return app.pid if request.param == "live" else lab.core("Throws", "workstation", request.param)


def roots_of(lab, target, type_name, *options):
    objects = [o for o in lab.report(target, f"dumpheap -type {type_name}")["objects"] if o["type"] == type_name]
    assert len(objects) == 1, objects
    return check(lab.report(target, " ".join(["gcroot", objects[0]["address"], *options])))


@pytest.mark.parametrize("dac", [(), ("--dac", "none")])
@pytest.mark.parametrize("exception", CARGO)
def test_the_exception_holds_what_hangs_on_it(lab, target, exception, dac):
    thread = next(r["thread"] for r in lab.app("Throws", "workstation").truth["roots"] if r["type"] == exception)
    report = roots_of(lab, target, CARGO[exception], *dac)
    found = [r for r in report["roots"] if r["name"] == "in-flight exception"]
    assert [(r["kind"], r["thread_name"], r["conservative"]) for r in found] == [("frame", thread, False)], report["roots"]
    assert [hop["type"] for hop in found[0]["path"]] == [exception, CARGO[exception]]
    assert not any(r["kind"] == "strong" for r in report["roots"]), "its handle is told twice"


@pytest.mark.parametrize("thread", ["filter", "finally", "nested", "fault"])
def test_threads_in_every_pass_are_walked_or_said_to_be_conservative(lab, target, thread):
    """.NET 10's DAC dies of the first pass where it finds no copy of the stack (reference clr.md A.8)."""
    os_id = next(t["os_id"] for t in lab.app("Throws", "workstation").truth["threads"] if t["name"] == thread)
    report = check(lab.report(target, f"clrstack -thread {os_id:x} -gc"))
    frames = [f["method"] or f["kind"] for f in report["threads"][0]["frames"]]
    if report["threads"][0]["missing"]:
        notes = roots_of(lab, target, "FilterCargo")["incomplete"]
        assert any(note.startswith(f"the stack roots of thread 0x{os_id:x} are conservative: ") for note in notes), notes
    else:
        assert "Program.Stay()" in frames and any(f.startswith("Program.F") or f == "Program.Nested()" for f in frames), frames


def test_what_was_caught_is_dead(lab, target):
    assert lab.report(target, "dumpheap -stat -type Caught")["total_count"] == 0


def test_text_names_the_exception_before_the_words(lab):
    app = lab.app("Throws", "workstation")
    address = lab.report(app.pid, "dumpheap -type InFinally")["objects"][0]["address"]
    lines = lab.linger("gcroot", app.pid, address).out.splitlines()
    assert "exception, thread " in lines[1] and lines[1].endswith("'finally')"), lines
    assert any("(in-flight exception, thread " in line for line in lines)


@pytest.mark.parametrize("kind", ["full", "withheap", "gcore"])
def test_a_call_that_is_being_bound(lab, kind):
    """What such a Frame refers to stands in the data of the compiled assembly, which a heap core lacks: then that is said, and nothing missed."""
    app = lab.once("Throws in a load", lambda: lab.start("Throws", arguments=["--load", "1"]))
    command = f"clrstack -thread {app.pid:x} -gc"
    live = lab.once("its stack", lambda: check(lab.report(app.pid, command)))["threads"][0]
    assert live["missing"] is None and "ExternalMethodFrame" in [f["kind"] for f in live["frames"]]
    core = lab.dump(app, kind, f"in-load-{kind}.core")
    dead = lab.report(core, command)["threads"][0]
    if kind == "withheap":
        assert "wanted memory that is not there" in dead["missing"]
        notes = roots_of(lab, core, "FilterCargo")["incomplete"]
        assert any(note.startswith(f"the stack roots of thread 0x{app.pid:x} are conservative: ") for note in notes), notes
    else:
        assert dead == live
    core.unlink()
