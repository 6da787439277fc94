"""Managed stacks and the references on them: equal to ClrMD's on the same core, thread by thread; on a live process too.

ClrMD asks the same DAC, but in its own process and with its own reading of memory: what is compared is all that lies between.
"""
import collections
import re
import shutil

import pytest

from lab import MODES, older, runtime_folder, wait_until
from test_schema import check

every = pytest.mark.parametrize("app, mode", [("Roots", mode) for mode in MODES] + [("Web", "workstation"), ("Leak", "server")] + older("Roots"))


def number(text):
    return int(text, 16) if text else 0


def ours(thread):
    return collections.Counter((number(r["slot"]), number(r["object"]), "interior" if r["interior"] else "object", f["method"] or f["kind"])
                               for f in thread["frames"] for r in f["references"] if r["object"])


def theirs(thread):
    """ClrMD tells of a reference into what is no object too, as object 0."""
    return collections.Counter((number(slot), number(address), kind, frame) for slot, address, kind, frame in thread["stack_roots"] if number(address))


def compare_with_clrmd(report, oracle):
    """Thread by thread; how many references there were."""
    threads = {t["os_id"]: t for t in report["threads"]}
    compared = 0
    for thread in oracle["threads"]:
        if not thread["stack_roots"]:
            assert not thread["alive"] or not ours(threads[thread["os_id"]]), f"thread {thread['os_id']}: ClrMD has no reference at all"
            continue
        # A by-ref that leads outside the heap, to a struct on the stack mostly: ClrMD takes what it finds there for the object.
        outside = {number(r["slot"]) for f in threads[thread["os_id"]]["frames"] for r in f["references"] if r["interior"] and not r["object"]}
        got, expected = ours(threads[thread["os_id"]]), theirs(thread)
        expected = collections.Counter({k: n for k, n in expected.items() if k[2] != "interior" or k[0] not in outside})
        assert got == expected, f"thread {thread['os_id']}: only linger {got - expected}, only ClrMD {expected - got}"
        compared += sum(got.values())
    assert not [t for t in report["threads"] if t["missing"]]
    return compared


@every
def test_stack_references_are_those_of_clrmd(lab, app, mode):
    oracle, _ = lab.oracle(app, mode)
    assert compare_with_clrmd(check(lab.said(app, mode, "clrstack -gc")), oracle) > 5


def is_stopped_in_managed_code(lab, process):
    """Stopped in the midst of a collection, which does not end then, it is refused, and no thread may be in managed code: it goes on."""
    process.stop()
    done = lab.linger("clrthreads", process.pid, "--json", status=None)
    if done.status == 0 and any(t["gc_mode"] == "cooperative" for t in done.reports()[0]["threads"]):
        return True
    assert done.status == 0 or "a garbage collection was under way" in done.err, done
    process.go_on()
    return False


@pytest.mark.parametrize("program, mode", [("Churn", "workstation"), ("Churn", "server"), ("Web", "server")])
def test_stacks_of_threads_in_managed_code(lab, program, mode):
    """Threads that are stopped wherever they were, in the midst of managed code too: ClrMD and linger on a full core say the
    same, and so does linger on the process and on other cores. (ClrMD itself has no stacks in a gcore: the code is in files.)"""
    process = lab.start(program, mode, lines=2 if program == "Web" else 1, arguments=["--self-load", "1"] if program == "Web" else ["--threads", "6"])
    if program == "Web":
        process.stop()
    else:
        assert wait_until(lambda: is_stopped_in_managed_code(lab, process))
    full = lab.dump(process, "full", f"managed-{process.pid}.core")
    stacks, threads = lab.reports(full, ["clrstack -gc", "clrthreads"])
    assert compare_with_clrmd(stacks, lab.ask_oracle(full, "--threads")) > 5
    assert program == "Web" or sum(t["gc_mode"] == "cooperative" for t in threads["threads"]) > 0
    full.unlink()
    for kind in ("normal", "gcore") if mode == "workstation" else ("normal",):
        core = lab.dump(process, kind, f"managed-{process.pid}-{kind}.core")
        others = lab.report(core, "clrstack -gc")["threads"]
        if kind == "normal":  # Without the objects: what is referred to has no type.
            def told(stack):
                return [(t["os_id"], [(f["method"] or f["kind"], f["sp"], [(r["place"], r["slot"], r["value"]) for r in f["references"]]) for f in t["frames"]])
                        for t in stack]
            assert told(others) == told(stacks["threads"])
        else:
            assert others == stacks["threads"]
        core.unlink()
    process.kill()


def test_live_and_core_have_the_same_stacks(lab):
    """Of threads that wait for ever: others may have gone on in between."""
    app = lab.app("Roots", "workstation")
    live, core = ({t["name"]: t for t in lab.report(target, "clrstack -gc")["threads"] if (t["name"] or "").startswith("roots-worker")}
                  for target in (app.pid, lab.core("Roots", "workstation")))
    assert live == core and len(live) == 2


def test_text_is_that_of_sos(lab):
    text = lab.linger("clrstack", lab.core("Roots", "workstation"), "-gc").out
    assert re.search(r"^OS Thread Id: 0x[0-9a-f]+\n        Child SP               IP Call Site\n"
                     r"[0-9A-F]{16} [0-9a-f]{16} \[InlinedCallFrame: [0-9a-f]{16}\]", text, re.MULTILINE)
    assert re.search(r"^[0-9A-F]{16} [0-9A-F]{16} Threads\.Wait\(A4_Local\) \[/_/tests/e2e/apps/Roots/\w+\.cs @ \d+\]\n        rbp-[0-9a-f]+: [0-9a-f]{16}\n"
                     r"          -> [0-9a-f]{12}     A4_Local$", text, re.MULTILINE)


def test_one_thread(lab):
    core = lab.core("Roots", "workstation")
    worker = next(t for t in lab.app("Roots", "workstation").truth["threads"] if t["name"] == "roots-worker-1")
    report = lab.report(core, f"clrstack -thread {worker['os_id']:x}")
    assert [(t["os_id"], t["name"]) for t in report["threads"]] == [(worker["os_id"], "roots-worker-1")]
    assert "no managed thread 0x1" in lab.linger("clrstack", core, "-thread", "1", status=3).err


@every
def test_threads_are_those_of_clrmd(lab, app, mode):
    oracle, _ = lab.oracle(app, mode)
    report = check(lab.said(app, mode, "clrthreads"))
    ours = {(number(t["thread"]), t["managed_id"], t["os_id"], t["finalizer"]) for t in report["threads"] if not t["dead"]}
    assert ours == {(number(t["address"]), t["managed_id"], t["os_id"], t["finalizer"]) for t in oracle["threads"] if t["alive"]}
    assert report["thread_count"] == len(report["threads"]) == len(oracle["threads"])
    assert report["dead"] == sum(t["dead"] and t["os_id"] == 0 for t in report["threads"])


@pytest.mark.parametrize("app, mode", [("Roots", "workstation"), ("Web", "workstation")])
def test_stack_objects_have_all_that_is_precise(lab, app, mode):
    """The words on the stack are a superset of the slots that the DAC tells of."""
    words = {(o["slot"], o["object"]) for t in check(lab.said(app, mode, "dumpstackobjects"))["threads"] for o in t["objects"]}
    precise = {(r["slot"], r["object"]) for t in lab.said(app, mode, "clrstack -gc")["threads"] for f in t["frames"] for r in f["references"]
               if r["slot"] and r["object"] and not r["interior"]}
    assert precise and precise <= words, precise - words


def test_text_of_threads_and_stack_objects_is_that_of_sos(lab):
    core = lab.core("Roots", "workstation")
    assert re.search(r"^ DBG   ID     OSID ThreadOBJ           State GC Mode     GC Alloc Context                  Domain           Count Apt Exception\n"
                     r"   0    1 +[0-9a-f]+ [0-9A-F]{16} +[0-9a-f]+ Preemptive  [0-9A-F]{16}:[0-9A-F]{16} [0-9A-F]{16} -00001 Ukn$",
                     lab.linger("clrthreads", core).out, re.MULTILINE)
    assert re.search(r"^OS Thread Id: 0x[0-9a-f]+ \(0\)\n          SP/REG           Object Name\n {4}[0-9a-f]{12} {5}[0-9a-f]{12} \S",
                     lab.linger("dso", core).out, re.MULTILINE)


# ---- roots ----

@pytest.mark.parametrize("app, mode", [("Roots", mode) for mode in MODES])
def test_a_local_is_told_with_its_frame_and_slot(lab, app, mode):
    core = lab.core(app, mode)
    for local in lab.report(core, "dumpheap -type A4_Local -short")["objects"]:
        roots = lab.report(core, f"gcroot {local['address']}")["roots"]
        assert any(root["frame"] == "Threads.Wait(A4_Local)" and re.fullmatch(r"r[a-z0-9]+([+-][0-9a-f]+)?", root["place"]) for root in roots), roots
        assert all(root["kind"] == "stack" and root["conservative"] == (not root["frame"]) for root in roots)


def test_without_the_dac_roots_are_conservative_and_said_to_be(lab):
    core = lab.core("Roots", "workstation")
    local = lab.report(core, "dumpheap -type A4_Local -short")["objects"][0]["address"]
    exact, report = lab.reports(core, [f"gcroot {local}", f"gcroot {local} --dac none"])
    assert all(root["conservative"] for root in report["roots"]) and report["unique_roots"] >= 1
    assert any(note.startswith("stack roots are conservative") and "--dac none" in note for note in report["incomplete"])
    assert not any("roots are conservative" in note for note in exact["incomplete"])


# ---- trust ----

def dac_of(lab):
    return runtime_folder(lab.app("Roots", "workstation").truth["runtime"]) / "libmscordaccore.so"


def refused(lab, dac):
    return lab.linger("clrstack", lab.core("Roots", "workstation"), "--dac", dac, status=3).err


@pytest.mark.sanitized
def test_a_dac_that_was_brought_along(lab, tmp_path):
    copy = shutil.copy(dac_of(lab), tmp_path)
    report = lab.report(lab.core("Roots", "workstation"), f"clrstack --dac {copy}")
    assert report["dac"] == str(copy) and report["threads"]


def test_a_dac_that_others_can_write(lab, tmp_path):
    copy = tmp_path / "dac.so"
    shutil.copy(dac_of(lab), copy)
    copy.chmod(0o664)
    assert re.search(r"can be written by others than its owner.*chmod go-w", refused(lab, copy))


def test_a_dac_of_another_build(lab, tmp_path):
    copy = tmp_path / "dac.so"
    copy.write_bytes(dac_of(lab).read_bytes().replace(b"@(#)Version 10.", b"@(#)Version 99."))
    assert re.search(r"is of another build than the runtime: it says 'Version 99\..*the runtime says 'Version 10\.", refused(lab, copy))


def test_what_is_no_dac(lab, tmp_path):
    text = tmp_path / "dac.so"
    text.write_text("nothing")
    assert "is no x86-64 library" in refused(lab, text)
    assert "No such file" in refused(lab, tmp_path / "missing.so")
    assert "is no file" in refused(lab, tmp_path)


def test_single_file_programs_take_the_dac_of_the_same_build_or_say_which(lab):
    result = lab.linger("clrstack", lab.app("Roots:single-file", "workstation").pid, status=None)
    assert "Threads.Wait(A4_Local)" in result.out if result.status == 0 else re.search(r"build-id [0-9a-f]{40}", result.err)
