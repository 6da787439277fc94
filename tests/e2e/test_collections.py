"""What is asked of a running runtime: full collections before a look (--gc), and each collection as it happens (gcs)."""
import os
import pathlib
import signal
import subprocess

import pytest
from lab import clean_environment, process_state, wait_until

APPS = ["Collect", "Collect@9", "Collect@8"]


@pytest.fixture(params=APPS)
def busy(lab, request):
    """An app that has garbage and waits to be told what to do with it."""
    go = lab.folder / f"go-{request.param}-{os.urandom(4).hex()}"
    app = lab.start(request.param, arguments=["--go", go])
    yield app, go
    app.kill()


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
        assert wait_until(pathlib.Path(f"/tmp/dotnet-diagnostic-{process.pid}-{start}-socket").exists, 60)
        result = lab.linger("dumpheap", process.pid, "--gc", status=3)
        assert "it waits at its start to be let go" in result.err, result
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
