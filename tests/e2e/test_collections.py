"""What is asked of a running runtime: full collections before a look (--gc), and each collection as it happens (gcs)."""
import json
import os
import pathlib
import signal
import subprocess

import pytest
import test_schema
from lab import clean_environment, process_state, wait_until



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


@pytest.mark.parametrize("environment, message", [
    ({"DOTNET_EnableDiagnostics": "0"}, "it has no diagnostics socket: EnableDiagnostics=0 in its environment"),
    ({"COMPlus_EnableDiagnostics": "0"}, "it has no diagnostics socket: EnableDiagnostics=0 in its environment"),
])
def test_a_process_without_a_socket_is_refused_by_name(lab, environment, message):
    app = lab.start("Collect", environment)
    result = lab.linger("dumpheap", app.pid, "--gc", "-stat", status=3)
    assert result.err == f"linger: dumpheap: --gc: process {app.pid}: {message}\n"
    app.kill()


def test_what_is_not_dotnet_is_refused_by_name(lab):
    process = subprocess.Popen(["sleep", "3600"])
    try:
        result = lab.linger("dumpheap", process.pid, "--gc", status=3)
        assert result.err == f"linger: dumpheap: --gc: process {process.pid}: it runs no .NET\n"
        result = lab.linger("dumpheap", lab.linger_program, "--gc", status=2)
        assert result.err == f"linger: dumpheap: --gc: '{lab.linger_program}' is no running process\n"
    finally:
        process.kill()
        process.wait()


def test_a_process_that_is_stopped_is_refused_at_once(lab):
    app = lab.start("Collect")
    os.kill(app.pid, signal.SIGSTOP)
    assert wait_until(lambda: process_state(app.pid) == "T")
    result = lab.linger("dumpheap", app.pid, "--gc", status=3)
    assert result.err == "linger: dumpheap: --gc: starting a session: the process is stopped, and answers nothing until it goes on\n"
    app.kill()


def test_a_runtime_that_waits_at_its_start_is_refused_by_name(lab):
    program = lab.program("Collect")
    process = subprocess.Popen([str(program)], env=clean_environment({"DOTNET_DefaultDiagnosticPortSuspend": "1"}), stdout=subprocess.DEVNULL)
    try:
        start = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        assert wait_until(pathlib.Path(os.environ.get("TMPDIR", "/tmp"), f"dotnet-diagnostic-{process.pid}-{start}-socket").exists, 60)
        result = lab.linger("dumpheap", process.pid, "--gc", status=3)
        assert "it waits at its start to be let go" in result.err, result
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


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


def follow(lab, app, *options):
    """A linger that follows an app; the session is there."""
    process = subprocess.Popen([str(lab.linger_program), "gcs", str(app.pid), *options], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
    assert wait_until(lambda: sessions(app.pid) == 1 or process.poll() is not None, 60) and process.poll() is None, process.stderr.read()
    return process


@pytest.mark.parametrize("name, mode", [("Collect", "workstation"), ("Collect", "server"), ("Collect@9", "workstation"), ("Collect@8", "workstation"), ("Collect@8", "segments")])
def test_collections_are_those_that_the_app_sees(lab, name, mode):
    go = lab.folder / f"go-{name}-{mode}"
    app = lab.start(name, mode, ["--go", go])
    linger = follow(lab, app, "--json")
    go.touch()
    truth = json.loads(app.line())
    linger.send_signal(signal.SIGINT)
    out, err = linger.communicate(timeout=120)
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
    linger = follow(lab, app)
    linger.kill()
    linger.communicate()
    go.touch()
    assert json.loads(app.line())["collections"]
    assert wait_until(lambda: sessions(app.pid) == 0, 60)  # The runtime notices when it writes.
    assert lab.linger("dumpheap", app.pid, "-stat", "-top", 1, "--gc").status == 0
    app.kill()


def test_a_process_that_ends_ends_the_report(lab):
    app = lab.start("Collect", arguments=["--go", lab.folder / "go-never"])
    linger = follow(lab, app)
    app.kill()
    out, err = linger.communicate(timeout=120)
    assert linger.returncode == 0
    assert "0 collections in " in out and "note: the process, or its session, ended after " in err


def test_what_cannot_be_followed_is_refused(lab):
    assert lab.linger("gcs", lab.linger_program, status=2).err.endswith("is no running process: it collects nothing any more\n")
    app = lab.start("Collect", {"DOTNET_EnableDiagnostics": "0"})
    assert "it has no diagnostics socket: EnableDiagnostics=0" in lab.linger("gcs", app.pid, "-for", "1s", status=3).err
    app.kill()
