"""What is asked of a running runtime: full collections before a look (--gc), and each collection as it happens (gcs)."""
import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest
import test_schema
from lab import LIMIT, clean_environment, running, wait_until



# ---- --gc ----

@pytest.mark.parametrize("name, mode", [("Collect", "workstation"), ("Collect", "server"), ("Collect@9", "workstation"), ("Collect@8", "segments")])
def test_a_full_collection_is_made_first(lab, name, mode):
    app = lab.start(name, mode)
    app.line()
    before = lab.linger("dumpheap", app.pid, "-stat", "--json").reports()[0]
    after = lab.linger("dumpheap", app.pid, "-stat", "--json", "--gc").reports()[0]
    target = after["target"]
    assert "gc_ms" not in before["target"]
    assert target["gc_ms"] > 0 and target["gc_after"] <= target["gc_before"], target
    # The heap as the walk finds it: what has been allocated since the collection lies on it as well.
    walked = sum((row["size"] + 7 * row["count"]) for row in after["types"])
    assert walked >= target["gc_after"], (walked, target)
    assert sum(row["count"] for row in after["types"] if row["type"] == "Garbage") == 0
    assert sum(row["count"] for row in before["types"] if row["type"] == "Garbage") == 1000
    assert lab.linger("dumpheap", app.pid, "-stat", "-top", 1, "--gc").err.startswith("note: full collection first, paused ")
    app.kill()


def test_what_a_collection_frees_is_told_by_type(lab):
    """Garbage that the app has made is there before, and not after; what it keeps stays. In text, JSON and TSV."""
    app = lab.start("Collect")
    litter = 1000
    try:
        app.line()
        report = test_schema.check(lab.linger("dumpheap", app.pid, "-stat", "--gc", "--json").reports()[0])
        rows = {row["type"]: row for row in report["collected"]}
        garbage = rows["Garbage"]
        assert (garbage["before_count"], garbage["after_count"], garbage["state"]) == (litter, 0, "gone")
        assert garbage["freed"] == garbage["before_size"] == litter * 24 and garbage["assembly"].startswith("Collect")
        before, after = report["targets"]
        assert (before["pid"], after["pid"]) == (app.pid, app.pid) and before["pause_ms"] > 0 and after["pause_ms"] > 0
        assert before["gc_ms"] is None and after["gc_ms"] == report["target"]["gc_ms"] > 0
        # The changes are all that there is between both totals, and the statistics are those afterwards.
        assert before["size"] - after["size"] == sum(row["before_size"] - row["after_size"] for row in report["collected"])
        assert (after["count"], after["size"]) == (report["total_count"], report["total_size"]) and report["after"] == after["size"]
        assert report["total_size"] == sum(row["size"] for row in report["types"])
        for row in report["collected"]:
            assert row["freed"] == (row["before_size"] - row["after_size"] if row["before_size"] >= row["after_size"] else None)
        order = [row["after_size"] - row["before_size"] for row in report["collected"]]
        assert order == sorted(order)

        text = lab.linger("dumpheap", app.pid, "-stat", "--gc", "-type", "Garbage").out
        assert "No objects of a type whose name contains 'Garbage'." in text and "\nNo type differs.\n" in text
        assert re.search(r"\nBefore the collection: 0 objects, 0 bytes; paused [0-9.]+ ms for this look\nAfter the collection: 0 objects, ", text)
        tsv = lab.linger("dumpheap", app.pid, "-stat", "--gc", "--tsv").out.splitlines()
        assert tsv[0].split("\t") == list(garbage)
        refused = lab.linger("attach", app.pid, "-c", "dumpheap -stat --gc", status=2)
        assert refused.err.endswith("linger: dumpheap: option '-gc' belongs to 'open' here, or before the first -c\n")
    finally:
        app.kill()


def test_each_live_target_of_diff_is_collected(lab):
    """A snapshot has the garbage; of the process each look is after a collection of its own."""
    app = lab.start("Collect")
    file = lab.folder / "collect-diff.snap"
    try:
        app.line()
        lab.linger("snapshot", app.pid, "-o", file)
        result = lab.linger("diff", file, app.pid, app.pid, "--gc", "-all", "-by", "type", "-type", "Garbage", "--json")
        report = test_schema.check(result.reports()[0])
        first, second, third = report["targets"]
        assert first["gc_ms"] is None and second["gc_ms"] > 0 and third["gc_ms"] > 0
        assert [point["count"] for point in report["types"][0]["series"]] == [1000, 0, 0]
        assert lab.linger("diff", file, app.pid, "--gc").out.count("\n   full collection first, paused ") == 1
        refused = lab.linger("diff", file, file, "--gc", status=2)
        assert refused.err == "linger: diff: --gc: none of these is a running process\n"
        refused = lab.linger("dumpheap", file, "--gc", status=2)
        assert refused.err == f"linger: dumpheap: --gc: '{file}' is no running process\n"
        # At a prompt it is for what is open.
        at_prompt = lab.linger("attach", app.pid, "--json", "-c", f"diff {file} --gc", "-c", "watch -rounds 2 -every 100ms --gc", "-c", "vadump --gc").reports()
        assert [t["gc_ms"] is not None for t in at_prompt[0]["targets"]] == [False, True]
        ends = [r["target"]["gc_ms"] > 0 for r in at_prompt[1:]]
        assert ends == [True] * 3, at_prompt
        refused = lab.linger("open", file, "-c", "vadump --gc", status=2)
        assert refused.err == "linger: vadump: only a live process can make a collection\n"
    finally:
        app.kill()


def test_each_round_of_watch_is_after_a_collection(lab):
    app = lab.start("Collect")
    try:
        app.line()
        result = lab.linger("watch", app.pid, "-rounds", 3, "-every", "100ms", "--gc")
        assert result.err.count("note: full collection first, paused ") == 3, result.err
        rounds = lab.linger("watch", app.pid, "-rounds", 2, "-every", "100ms", "--gc", "--json").reports()
        assert all(report["target"]["gc_ms"] > 0 for report in rounds)
    finally:
        app.kill()


@pytest.mark.parametrize("command", [["snapshot", "-o", "FILE"], ["vadump"], ["alloc", "-for", "100ms"], ["gcheapstat"], ["retained", "-top", "1"]], ids=lambda c: c[0])
def test_other_commands_on_a_process_too(lab, collect, command):
    words = [str(lab.folder / "collect.snap") if word == "FILE" else word for word in command[1:]]
    assert "note: full collection first, paused " in lab.linger(command[0], collect.pid, *words, "--gc").err


@pytest.fixture(scope="module")
def collect(lab):
    app = lab.start("Collect")
    yield app
    app.kill()


# ---- killed ----

SOCKET_CALLS = {41, 42, 44, 45, 46, 47, 48, 1, 20}  # socket connect sendto recvfrom sendmsg recvmsg shutdown write writev
TRACEME, SYSCALL, PEEKUSER, SETOPTIONS, SYSGOOD, EXITKILL, ORIG_RAX = 0, 24, 3, 0x4200, 1, 1 << 20, 120
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes, ptrace.restype = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p], ctypes.c_long


def killed_before(lab, step, *arguments):
    """Runs linger and kills it before its `step`th call to a socket, with SIGKILL; False: it made fewer."""
    command = [str(lab.linger_program), *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment(),
                               preexec_fn=lambda: ptrace(TRACEME, 0, None, None))
    begins, calls, signal_to_pass = True, 0, 0
    os.waitpid(process.pid, 0)
    ptrace(SETOPTIONS, process.pid, None, SYSGOOD | EXITKILL)
    while ptrace(SYSCALL, process.pid, None, signal_to_pass) == 0:
        _, status = os.waitpid(process.pid, 0)
        if not os.WIFSTOPPED(status):
            process.returncode = os.waitstatus_to_exitcode(status)
            return False
        signal_to_pass = os.WSTOPSIG(status)
        if signal_to_pass != signal.SIGTRAP | 0x80:
            continue
        signal_to_pass = 0
        calls += begins and ptrace(PEEKUSER, process.pid, ORIG_RAX, None) in SOCKET_CALLS
        begins = not begins
        if calls > step:
            process.kill()
            process.wait()
            return True
    raise AssertionError(f"linger is not traced: {os.strerror(ctypes.get_errno())}")


def test_linger_may_be_killed_at_any_step(lab, collect):
    """What it leaves is a session whose other end is closed: the runtime ends it as soon as it writes to it."""
    for step in itertools.count():
        if not killed_before(lab, step, "dumpheap", collect.pid, "-stat", "--gc"):
            break
        assert collect.is_running()
        if step % 8 == 7:  # The next collection ends what is left.
            assert lab.linger("dumpheap", collect.pid, "-stat", "-top", 1, "--gc").status == 0
            assert wait_until(lambda: sessions(collect.pid) == 0)
    assert step >= 6, step  # At least: a session asked for, answered, read; its end asked for, answered, read.
    assert lab.linger("dumpheap", collect.pid, "-stat", "-top", 1, "--gc").err.startswith("note: full collection first, paused ")
    assert wait_until(lambda: sessions(collect.pid) == 0)


@pytest.mark.parametrize("environment, message", [
    ({"DOTNET_EnableDiagnostics": "0"}, "it has no diagnostics socket: EnableDiagnostics=0 in its environment"),
    ({"COMPlus_EnableDiagnostics": "0"}, "it has no diagnostics socket: EnableDiagnostics=0 in its environment"),
])
def test_a_process_without_a_socket_is_refused_by_name(lab, environment, message):
    app = lab.start("Collect", environment)
    result = lab.linger("dumpheap", app.pid, "--gc", "-stat", status=3)
    assert result.err == f"linger: dumpheap: --gc: process {app.pid}: {message}\n"
    told = lab.linger("diff", app.pid, app.pid, "--gc", status=3).err
    assert told == f"linger: diff: '{app.pid}': --gc: process {app.pid}: {message}\n"
    app.kill()


def test_what_is_not_dotnet_is_refused_by_name(lab):
    with running(["sleep", "3600"]) as process:
        result = lab.linger("dumpheap", process.pid, "--gc", status=3)
        assert result.err == f"linger: dumpheap: --gc: process {process.pid}: it runs no .NET\n"
        result = lab.linger("dumpheap", lab.linger_program, "--gc", status=2)
        assert result.err == f"linger: dumpheap: --gc: '{lab.linger_program}' is no running process\n"


def test_a_process_that_is_stopped_is_refused_at_once(lab):
    app = lab.start("Collect")
    app.stop()
    result = lab.linger("dumpheap", app.pid, "--gc", status=3)
    assert result.err == "linger: dumpheap: --gc: starting a session: the process is stopped, and answers nothing until it goes on\n"
    app.kill()


def test_a_runtime_that_waits_at_its_start_is_refused_by_name(lab):
    program = lab.program("Collect")
    with running([program], env=clean_environment({"DOTNET_DefaultDiagnosticPortSuspend": "1"}), stdout=subprocess.DEVNULL) as process:
        start = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        assert wait_until(pathlib.Path(os.environ.get("TMPDIR", "/tmp"), f"dotnet-diagnostic-{process.pid}-{start}-socket").exists, 60)
        result = lab.linger("dumpheap", process.pid, "--gc", status=3)
        assert "it waits at its start to be let go" in result.err, result
        assert process.poll() is None


# ---- gcs ----

def sessions(pid):
    """Threads that write events: one listens on the socket, each session has one."""
    names = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/comm"):
        try:
            names.append(task.read_text())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return names.count(".NET EventPipe\n") - 1


@contextlib.contextmanager
def following(lab, app, *options):
    """A linger that follows an app; the session is there."""
    with running([lab.linger_program, "gcs", app.pid, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert wait_until(lambda: sessions(app.pid) == 1 or process.poll() is not None)
        assert process.poll() is None, process.stderr.read()
        yield process


@pytest.mark.parametrize("name, mode", [("Collect", "workstation"), ("Collect", "server"), ("Collect@9", "workstation"), ("Collect@8", "workstation"), ("Collect@8", "segments")])
def test_collections_are_those_that_the_app_sees(lab, name, mode):
    go = lab.folder / f"go-{name}-{mode}"
    app = lab.start(name, mode, ["--go", go])
    with following(lab, app, "--json") as linger:
        go.touch()
        truth = json.loads(app.line())
        linger.send_signal(signal.SIGINT)
        out, err = linger.communicate(timeout=LIMIT)
        assert linger.returncode == 0 and err == "", err
    report = test_schema.check(json.loads(out))
    app.kill()

    assert report["incomplete"] == [] and report["lost_events"] == 0
    assert report["target"]["runtime"] == truth["runtime"]
    seen = {row["number"]: row for row in report["collections"]}
    assert report["count"] == len(seen) == len(report["collections"])
    first, last = truth["before"] + 1, truth["after"][0]
    assert set(range(first, last + 1)) <= set(seen)
    for generation, count in enumerate(truth["after"]):
        if truth["before"] == 0:
            assert sum(seen[n]["generation"] >= generation for n in range(first, last + 1)) == count
    assert sum(row["count"] for row in report["summary"]) == report["count"]
    kinds = set()
    for told in truth["collections"]:
        row = seen[told["number"]]
        kinds.add(row["kind"])
        assert row["generation"] == told["generation"]
        assert (row["kind"] == "background") == told["concurrent"], (row, told)
        assert [row["after"], row["fragmentation"]] == [told["heap_size"], told["fragmented"]], (row, told)
        if not told["concurrent"]:
            assert row["promoted"] == told["promoted"], (row, told)
        assert [[g["before"], g["free_before"], g["after"], g["free_after"]] for g in row["generations"]] == told["generations"]
        if not told["concurrent"]:
            assert [row["compacting"], row["pinned"], row["finalized"]] == [told["compacted"], told["pinned"], told["finalization"]], (row, told)
        if mode != "server" and told["call"]:
            assert 0 < row["pause_ms"] <= told["call"]  # It lies within the call that asked for it.
    assert "blocking" in kinds


def test_an_app_runs_on_when_linger_is_killed(lab):
    go = lab.folder / "go-killed"
    app = lab.start("Collect", arguments=["--go", go])
    with following(lab, app):
        pass  # Killed.
    go.touch()
    assert json.loads(app.line())["collections"]
    assert wait_until(lambda: sessions(app.pid) == 0, 60)  # The runtime notices when it writes.
    assert lab.linger("dumpheap", app.pid, "-stat", "-top", 1, "--gc").status == 0
    app.kill()


def test_a_process_that_ends_ends_the_report(lab):
    app = lab.start("Collect", arguments=["--go", lab.folder / "go-never"])
    with following(lab, app) as linger:
        app.kill()
        out, err = linger.communicate(timeout=LIMIT)
        assert linger.returncode == 0
    assert "0 collections in " in out and "note: the process, or its session, ended after " in err


def test_what_cannot_be_followed_is_refused(lab):
    assert lab.linger("gcs", lab.linger_program, status=2).err.endswith("is no running process: it collects nothing any more\n")
    app = lab.start("Collect", {"DOTNET_EnableDiagnostics": "0"})
    assert "it has no diagnostics socket: EnableDiagnostics=0" in lab.linger("gcs", app.pid, "-for", "1s", status=3).err
    app.kill()
