"""`run`: a command is started, followed from its first allocation on, and its exit status passed on; whatever goes wrong is told in one
sentence, and nothing of the port is left. Standard input and output are the command's."""
import contextlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import tempfile
import time

import pytest

import lab as lab_module
from test_alloc import Sites, check_planted
from test_schema import check as validate

@pytest.fixture
def tmp_path():
    """A short one: the name of a socket has 107 letters at most, and pytest's own folders with -n leave too few."""
    with tempfile.TemporaryDirectory(prefix="lg-", dir="/tmp") as folder:
        yield pathlib.Path(folder)


VERSIONS = ["Sites", "Sites@9", "Sites@8"]


class Run(Sites):
    """linger, and the app that it has started."""

    def __init__(self, lab, folder, *words, environment=(), is_app=True, **keywords):
        self.lab, self.folder = lab, folder
        environment = lab_module.clean_environment({"TMPDIR": str(folder), **dict(environment)})
        self.started = contextlib.ExitStack()
        self.linger = self.started.enter_context(lab_module.running([lab.linger_program, "run", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                                    stderr=subprocess.PIPE, text=True, env=environment, **keywords))
        self.app = self.linger
        self.pid = int(self.linger.stdout.readline().split()[1]) if is_app else None

    def __exit__(self, *_):
        if self.pid and self.linger.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        super().__exit__()

    def end(self, *lines):
        """Its exit status, and what it said on standard error."""
        out, err = self.linger.communicate("".join(line + "\n" for line in lines), timeout=300)
        assert not list(self.folder.glob("linger-run-*")), "the port is left"
        self.pid = None
        return self.linger.returncode, err, out


def refused(lab, folder, *words, environment=()):
    with Run(lab, folder, *words, environment=environment, is_app=False) as run:
        return run.end()


@pytest.mark.parametrize("name", VERSIONS)
def test_a_command_that_runs_on_tells_what_is_alive_and_its_status_is_passed_on(lab, tmp_path, name):
    with Run(lab, tmp_path, "--json", "-top", 0, lab.program(name)) as run:
        assert run.ask("leak 8") == "leaked\n"
        run.linger.send_signal(signal.SIGINT)  # To linger alone.
        report = json.loads(run.linger.stderr.readline())
        validate(report)
        assert report["ended_by"] == "an interrupt" and report["lost_events"] == 0
        assert report["unplaced"] <= 0.01 * report["samples"]  # As in test_alloc.
        assert report["tracked"] >= report["confirmed"] >= 0.99 * report["tracked"]
        run.app = type("App", (), {"pid": run.pid})
        found = check_planted(run, report)
        run.app = run.linger
        assert "StaticInitialiser" in found and len(found) >= 3
        run.linger.send_signal(signal.SIGINT)  # It has been looked at: that is the command's affair.
        assert run.ask("truth").startswith("{")
        assert run.end("exit 7")[0] == 7


@pytest.mark.parametrize("name", VERSIONS)
def test_a_command_that_ends_tells_what_was_made(lab, tmp_path, name):
    with Run(lab, tmp_path, "-o", tmp_path / "report.json", "--json", "-top", 0, "--", lab.program(name)) as run:
        status, err, out = run.end("leak 2", "exit 3")
    assert (status, out) == (3, "leaked\n") and "linger" not in err
    report = json.loads((tmp_path / "report.json").read_text())
    validate(report)
    assert report["ended_by"] == "the end of the session" and report["survivors"] == []
    assert "which objects are alive is unknown: the process ended, and its memory with it" in report["incomplete"]
    assert any(row["type"] == "Planted" and row["stack"][0]["method"] == "Program.Garbage" for row in report["sites"])


def test_after_for_the_command_runs_on_and_exports_go_beside_the_report(lab, tmp_path):
    with Run(lab, tmp_path, "-for", "500ms", "-o", tmp_path / "x.folded", lab.program("Sites")) as run:
        assert run.ask("truth").startswith("{")
        status, err, _ = run.end("leak 1", "exit 0")
    assert status == 0 and " samples" in err and (tmp_path / "x.folded").exists()


def test_signals_are_the_commands(lab, tmp_path):
    with Run(lab, tmp_path, "--json", lab.program("Sites")) as run:
        run.linger.send_signal(signal.SIGTERM)  # Handed on.
        status, err, _ = run.end()
        assert status == 128 + signal.SIGTERM and validate(json.loads(err.splitlines()[0]))["survivors"] == []
    # As a terminal's Ctrl-C: both have it. What is left of the process may or may not be seen.
    with Run(lab, tmp_path, "--json", lab.program("Sites"), start_new_session=True) as run:
        os.killpg(run.linger.pid, signal.SIGINT)
        status, err, _ = run.end()
        assert status == 128 + signal.SIGINT and validate(json.loads(err.splitlines()[0]))["report"] == "alloc"


def test_a_script_with_several_runtimes_the_first_is_followed(lab, tmp_path):
    first, second = lab.program("Sites"), lab.program("Sites@8")
    script = f'echo exit 4 | "{first}"; echo exit 5 | "{second}" & wait $!'
    with Run(lab, tmp_path, "--json", "-top", 0, "--", "sh", "-c", script) as run:
        status, err, out = run.end()
    assert status == 5 and out.startswith("ready ")  # The first has told its number already.
    assert validate(json.loads(err.splitlines()[0]))["sampling"] == "AllocationSampled"


def test_a_runtime_that_a_script_leaves_behind_is_followed(lab, tmp_path):
    script = f'(echo exit 4 | "{lab.program("Sites")}") & exit 6'
    with Run(lab, tmp_path, "--json", "--", "sh", "-c", script) as run:
        status, err, _ = run.end()
    assert status == 6
    assert validate(json.loads(next(line for line in err.splitlines() if line.startswith("{"))))["report"] == "alloc"


WAITS = "linger: run: the command has ended; linger waits for what it left behind, until that ends or an interrupt\n"
GIVEN_UP = ("linger: run: what the command left behind is not waited for any longer: a .NET runtime that it starts from now on hangs, "
            "as its port is gone\n")


@pytest.fixture
def left_behind(lab, tmp_path):
    """A command that has a runtime, ends, and leaves a shell behind that starts another one when it reads a line."""
    sites = lab.program("Sites")
    script = f'exec 3<&0; echo exit 3 | "{sites}"; (read x <&3 && echo exit 4 | "{sites}"; echo second $?) & exit 5'
    with Run(lab, tmp_path, "-o", tmp_path / "report", "--", "sh", "-c", script) as run:
        assert WAITS in iter(run.linger.stderr.readline, "")
        run.pid = None
        yield run


def test_a_runtime_that_starts_when_the_command_has_ended_comes_up(left_behind):
    status, err, out = left_behind.end("go")
    assert (status, err) == (5, "") and out.startswith("ready ") and out.endswith("\nsecond 4\n")


# Not SIGHUP: under nohup it is ignored from the start, and stays so.
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_waiting_for_what_a_command_left_behind(left_behind, number):
    left_behind.linger.send_signal(number)
    assert left_behind.linger.stderr.readline() == GIVEN_UP
    assert left_behind.linger.wait(timeout=300) == 5
    assert left_behind.end()[2].startswith("second ")  # It reads on until the end of its input.


def test_what_has_no_port_and_is_left_behind_is_not_waited_for(lab, tmp_path):
    script = 'exec 3<&0; (env -u DOTNET_DiagnosticPorts sh -c "read x; echo read \\$x" <&3) & echo ready $$; exit 3'
    with Run(lab, tmp_path, "sh", "-c", script) as run:
        assert run.linger.wait(timeout=300) == 3  # What is left behind reads on.
        assert run.end("words")[2] == "read words\n"


def test_ports_that_were_asked_for_already_stay(lab, tmp_path):
    other = tmp_path / "other"
    with Run(lab, tmp_path, "--json", lab.program("Sites"), environment={"DOTNET_DiagnosticPorts": f"{other},nosuspend"}) as run:
        environment = (lab_module.pathlib.Path(f"/proc/{run.pid}/environ")).read_bytes()
        assert f",suspend;{other},nosuspend\0".encode() in environment
        assert run.end("exit 0")[0] == 0


def test_what_cannot_be_followed_is_told_in_a_sentence(lab, tmp_path):
    nothing = "it ended before a .NET runtime had come up: it is no .NET program, or its diagnostics are switched off"
    assert refused(lab, tmp_path, "echo", "-n", "words")[::2] == (0, "words")
    assert refused(lab, tmp_path, "sh", "-c", "exit 9") == (9, f"linger: run: 'sh': {nothing}\n", "")
    assert refused(lab, tmp_path, "sh", "-c", "kill -9 $$") == (137, f"linger: run: 'sh': {nothing}\n", "")
    assert refused(lab, tmp_path, "/no/such") == (127, "linger: run: cannot run '/no/such': No such file or directory\n", "")
    assert refused(lab, tmp_path, tmp_path)[:2] == (126, f"linger: run: cannot run '{tmp_path}': Permission denied\n")
    assert refused(lab, tmp_path)[0] == 2
    with Run(lab, tmp_path, lab.program("Sites"), environment={"DOTNET_EnableDiagnostics": "0"}) as run:
        assert run.end("exit 8")[:2] == (8, f"linger: run: '{lab.program('Sites')}': {nothing}\n")
    old = refused(lab, tmp_path, lab.program("Leak@3.1"), "--seconds", 3)
    assert old[0] == 0 and "its runtime is older than .NET 5" in old[1]
    assert lab.linger("open", lab.app("Leak", "workstation").pid, "-c", "run true", status=2).err.endswith("only of use in the shell: 'linger run'\n")


def test_a_command_that_is_interrupted_before_a_runtime_is_up_goes_on(lab, tmp_path):
    with Run(lab, tmp_path, "sh", "-c", 'trap "" INT; echo ready $$; read x; exit $x') as run:
        run.linger.send_signal(signal.SIGINT)
        assert run.linger.stderr.readline() == "linger: run: 'sh': interrupted before a .NET runtime had come up\n"
        assert run.end("12")[0] == 12


def test_what_a_command_leaves_behind_is_not_waited_for_after_a_sigterm(lab, tmp_path):
    script = 'exec 3<&0; (read x <&3) & echo ready $$; exit 3'
    with Run(lab, tmp_path, "sh", "-c", script) as run:
        shell = pathlib.Path(f"/proc/{run.pid}")
        assert lab_module.wait_until(lambda: not shell.exists())  # Reaped.
        assert run.linger.stderr.readline() == WAITS
        run.linger.send_signal(signal.SIGTERM)
        run.linger.wait(timeout=300)  # What is left behind reads on.
        status, err, _ = run.end()
        assert (status, err) == (3, "linger: run: 'sh': interrupted before a .NET runtime had come up\n" + GIVEN_UP)


@pytest.mark.parametrize("delay", [0.09, 0.12, 0.15])
def test_a_second_interrupt_ends_what_the_first_has_begun(lab, tmp_path, delay):
    """Whatever that is at the time: linger never turns in circles until it gives up waiting."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Run(lab, tmp_path, lab.program("Sites")) as run:
        run.linger.send_signal(signal.SIGINT)
        time.sleep(delay)
        run.linger.send_signal(signal.SIGINT)
        assert run.end("exit 5")[0] == 5
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 30
