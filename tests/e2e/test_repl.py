"""The prompt at a terminal, scripts, and being told to end."""
import os
import re
import signal
import subprocess
import time

import pexpect
import pytest

from lab import LIMIT, children, clean_environment, process_state, running, thread_states, wait_until


class Prompt:
    """`linger attach` at a terminal."""

    def __init__(self, lab, home, target, **environment):
        env = clean_environment({"HOME": str(home), "TERM": "xterm", "LINGER_PAGER": "", **environment})
        env.pop("XDG_STATE_HOME", None)
        self.child = pexpect.spawn(str(lab.linger_program), ["attach", str(target)], env=env, encoding="utf-8", timeout=LIMIT,
                                   dimensions=(24, 200))
        self.wait()

    def wait(self):
        self.child.expect_exact("linger> ")
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\r", "", self.child.before)

    def __call__(self, line):
        """What a command prints."""
        self.child.send(line + "\r")
        self.child.expect_exact("\n")  # The end of the line that was typed.
        return self.wait()

    def end(self):
        self.child.send("quit\r")
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


@pytest.fixture
def app(lab):
    return lab.app("Leak", "workstation")


@pytest.fixture
def prompt(lab, app, tmp_path):
    prompt = Prompt(lab, tmp_path, app.pid)
    yield prompt
    prompt.child.close(force=True)


def test_commands_follow_each_other_and_errors_do_not_end_it(prompt):
    assert "no command 'dumphaep'; did you mean 'dumpheap'?" in prompt("dumphaep -stat")
    assert "unknown option '-stta'; did you mean '-stat'?" in prompt("dumpheap -stta")
    assert re.search(r"\d+ Order$", prompt("dumpheap -stat -type Order"), re.MULTILINE)
    assert "no command" not in prompt("")
    assert prompt.end() == 0


def test_tab_completes_commands_options_and_types(prompt):
    child = prompt.child
    child.send("dumphe\t")
    child.expect_exact("ap ")
    child.send("-ty\t")
    child.expect_exact("pe ")
    child.send("Sessio\t")
    child.expect(r"n ?")
    child.send("\r")
    assert "Session" in prompt.wait()
    child.send("dumpheap -stat -mt Sessio\t")
    child.expect(r"[0-9a-f]{12} ")
    child.send("\r")
    assert re.search(r"Session$", prompt.wait(), re.MULTILINE)


def test_history_is_kept_in_the_state_folder(prompt, lab, app, tmp_path):
    prompt("help quit")
    assert prompt.end() == 0
    history = tmp_path / ".local/state/linger/history"
    assert "help\\040quit" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0
    again = Prompt(lab, tmp_path, app.pid)
    again.child.send("\x1b[A\x1b[A")
    again.child.expect_exact("help quit")
    again.child.close(force=True)


def test_no_home_is_made(lab, app, tmp_path):
    home = tmp_path / "nowhere"
    prompt = Prompt(lab, home, app.pid)
    prompt("help quit")
    assert prompt.end() == 0
    assert not home.exists()


def test_ctrl_c_throws_away_a_line_and_goes_on(prompt):
    for text in ("typed away", "", "x"):
        prompt.child.send(text)
        prompt.child.sendintr()
        prompt.child.expect_exact("^C")
        prompt.wait()
    assert "leave the prompt" in prompt("help quit")
    prompt.child.sendeof()
    prompt.child.expect(pexpect.EOF)


def test_ctrl_c_that_overtakes_what_was_typed_is_heard(prompt):
    prompt.child.delaybeforesend = None  # The terminal drops typed letters while they are being read.
    for i in range(300):
        prompt.child.send("dropped on the way")
        time.sleep(i * 1e-6)
        prompt.child.sendintr()
        prompt.child.expect_exact("^C")
        prompt.wait()
    assert "leave the prompt" in prompt("help quit")


def test_refresh_takes_another_copy(prompt):
    assert "paused 2 times" in prompt("refresh")
    assert "Order" in prompt("dumpheap -stat -type Order")


def kill_copy(app):
    copies = children(app.pid)
    assert copies
    for pid in copies:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: all(process_state(pid) in (None, "Z") for pid in copies))  # Until then its memory is there.


def test_a_copy_that_is_killed_is_replaced_or_said_to_be_gone(lab, tmp_path):
    app = lab.start("Leak")
    prompt = Prompt(lab, tmp_path, app.pid)
    kill_copy(app)
    said = prompt("dumpheap -stat -type Order")  # The first walk finds out, and takes another.
    assert re.search(r"Order$", said, re.MULTILINE) and "paused 2 times" in said
    kill_copy(app)
    assert "was killed while it was being read; 'refresh' takes another copy" in prompt("dumpheap -type Order")
    assert "paused 3 times" in prompt("refresh")
    assert re.search(r"Order$", prompt("dumpheap -stat -type Order"), re.MULTILINE)
    app.kill()
    assert re.search("error: .*no such process", prompt("refresh"))
    assert "no target is open" in prompt("dumpheap -stat")
    assert prompt.end() == 0


def test_long_output_goes_to_the_pager(lab, app, tmp_path):
    prompt = Prompt(lab, tmp_path, app.pid, LINGER_PAGER="sed 's/^/paged /' | head -3")
    assert prompt("dumpheap -stat").count("paged ") == 3
    assert "paged" not in prompt("help quit")
    assert prompt.end() == 0


def test_input_that_is_not_typed_is_read_to_its_end(lab, app):
    commands = b"# a comment\ndumpheap -stat -type Session\nnonsense\n\nhelp quit\n"
    result = lab.linger("attach", app.pid, status=2, stdin=None, input=commands)
    assert "Session" in result.out and "leave the prompt" in result.out
    assert "error: no command 'nonsense'" in result.err
    result = lab.linger("attach", app.pid, stdin=None, input=b"quit\nnonsense\n")
    assert result.err == "" or "error" not in result.err


def test_a_script_ends_at_the_first_command_that_fails(lab, app):
    result = lab.linger(app.pid, "-c", "help quit", "-c", "dumpobj 12", "-c", "help open", status=3)
    assert "leave the prompt" in result.out and "core file" not in result.out
    assert result.err.count("linger: ") == 1


def test_mistakes_in_arguments_are_told_before_the_target_is_touched(lab, app):
    for words, said in ((["dumpheap", "-gen", "gen7"], "gen7"), (["gcroot", "xyz"], "xyz"), (["dumpobj"], "too few"),
                        (["gchandles", "-type", "x"], "unknown handle type"), (["dumpheap", "-sort", "x"], "sort"),
                        (["eeheap", "2", "1"], "start address")):
        verb, *rest = words
        result = lab.linger(verb, app.pid, *rest, status=2)
        assert result.out == "" and said in result.err and "paused" not in result.err


def test_mistakes_in_a_script_are_told_before_the_target_is_touched(lab, app):
    for wrong, said in (("dumpheap -stta", "did you mean '-stat'?"), ("dumphaep", "did you mean 'dumpheap'?"), ("help 'x", "not closed")):
        result = lab.linger(app.pid, "-c", "help quit", "-c", wrong, status=2)
        assert result.out == "" and said in result.err and "paused" not in result.err


def test_a_note_is_said_once_and_output_goes_to_a_file(lab, app, tmp_path):
    file = tmp_path / "out"
    command = ["-c", "finalizequeue -stat"]
    result = lab.linger("attach", app.pid, *command, *command, "-o", file)
    assert result.out == "" and file.read_text().count("Statistics for all finalizable objects") == 2
    notes = [line for line in result.err.splitlines() if line.startswith("note: ")]
    assert len(notes) == len(set(notes)) >= 2
    result = lab.linger("attach", app.pid, *command, "-o", "/dev/full", status=3)
    assert "No space left on device" in result.err


def test_what_is_ignored_from_the_start_stays_ignored(lab):
    app = lab.start("Leak")
    with running(["nohup", lab.linger_program, "attach", app.pid], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(b"help quit\n")
        process.stdin.flush()
        os.read(process.stdout.fileno(), 1)
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(b"help open\nquit\n", timeout=LIMIT)
        assert process.returncode == 0 and b"core file" in out
    app.kill()


def test_each_report_of_a_script_is_one_line_of_json(lab, app):
    reports = lab.reports(app.pid, ["dumpheap -stat -type Order", "eeheap -gc"])
    assert [r["report"] for r in reports] == ["dumpheap", "eeheap"]
    assert all(r["target"]["kind"] == "process" and r["target"]["pid"] == app.pid for r in reports)
    assert len({r["target"]["taken"] for r in reports}) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_leaves_nothing_behind(lab, number):
    app = lab.start("Leak")
    # Standard input stays open: it waits for a command, with a copy in its hands.
    with running([lab.linger_program, "attach", app.pid], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                 # Ignored signals are inherited, and a shell ignores SIGINT in what it runs behind itself.
                 preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)) as process:
        process.stdin.write(b"help quit\n")
        process.stdin.flush()
        os.read(process.stdout.fileno(), 1)
        assert wait_until(lambda: children(app.pid))
        process.send_signal(number)
        assert process.wait(LIMIT) == -number
    assert wait_until(lambda: not children(app.pid))
    assert app.is_running() and wait_until(lambda: set(thread_states(app.pid).values()) <= {"S", "R", "D"})
    app.kill()


def test_ctrl_c_ends_the_command_that_runs(lab, tmp_path):
    app = lab.start("HeapGen", arguments=["--nodes", "4000000"])
    prompt = Prompt(lab, tmp_path, app.pid)
    prompt.child.send("dumpheap\r")
    prompt.child.expect_exact("\n")
    prompt.child.sendintr()
    assert " objects, " not in prompt.wait(), "it came to its end"
    assert "leave the prompt" in prompt("help quit")
    assert "Node" in prompt("dumpheap -stat -type Node")
    assert prompt.end() == 0
    assert process_state(app.pid) is not None
    app.kill()
