"""A heap whose graph has no room in linger's control group: refused in a sentence by whatever builds one, and nobody is killed."""
import os
import re
import signal
import subprocess

import pytest

from lab import LIMIT, clean_environment, wait_until
from test_limits import group, inside

TICKETS = 1_200_000  # 24 bytes each.
ROOM, ENOUGH = 32 << 20, 256 << 20


@pytest.fixture(scope="module")
def core(lab, app):
    return lab.dump(app, "withheap", "room.core")


@pytest.fixture(scope="module")
def app(lab):
    fifo = lab.folder / "room.fifo"
    os.mkfifo(fifo)
    app = lab.start("Leak", "workstation", ["--objects", "1000", "--commands", fifo])
    with open(fifo, "w") as commands:  # Waits until the app reads.
        commands.write(f"tickets {TICKETS}\n")
        commands.flush()
        assert app.line(600).decode() == f"tickets {TICKETS}"
        app.stop()
        yield app


def within(lab, folder, *words):
    command = [*inside(folder), lab.linger_program, *map(str, words)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, env=clean_environment())


def test_what_has_no_room_is_refused_and_says_what_would_help(lab, app, core):
    snapshot = lab.folder / "room.snap"
    lab.linger("snapshot", core, "-o", snapshot)
    address = lab.linger("dumpheap", core, "-type", "Session", "-short").out.split()[0]
    graphs = [["retained"], ["gcroot", address], ["gcroot", "-all", address], ["gcroot", "-type", "Ticket"], ["dumpheap", "-stat", "-live"],
              ["objsize", address], ["pathto", address, address], ["gcheapstat", "-unreachable"]]
    with group("") as (folder, limit):
        limit.write_text(str(ROOM))
        runs = [(name, within(lab, folder, name, target, *rest))
                for name, *rest in graphs for target in ([core, snapshot] if name in ("gcroot", "dumpheap") else [core])]
        runs += [("diff", within(lab, folder, "diff", core, core)), ("live", within(lab, folder, "retained", app.pid)), ("live", within(lab, folder, "gcroot", app.pid, "-type", "Session")),
                 ("watch", within(lab, folder, "watch", app.pid, "-graph", "-every", "1s", "-for", "1s")),
                 ("snapshot", within(lab, folder, "snapshot", core, "-o", lab.folder / "refused.snap")),
                 ("gcdump", within(lab, folder, "snapshot", core, "-o", lab.folder / "refused.gcdump"))]
        counted = within(lab, folder, "dumpheap", core, "-stat")
        limit.write_text(str(ENOUGH))
        had = within(lab, folder, "retained", core, "-top", "1")
    assert "Ticket" in counted.stdout and counted.returncode == 0, counted
    assert "live objects" in had.stdout and had.returncode == 0, had
    for name, run in runs:
        assert run.returncode == 3, (name, run)
        assert re.search(r"would take \d+ MB of memory, and \d+ MB are left until the limit of linger's control group: raise the limit", run.stderr), (name, run)
    assert not list(lab.folder.glob("refused.*"))


@pytest.mark.parametrize("name", ["ended.snap", "ended.gcdump", "ended.pb.gz"])
def test_told_to_end_while_it_writes_it_leaves_nothing(lab, core, tmp_path, name):
    """As soon as its unfinished file is there, it stands still until the signal waits for it. It may be done all the same before it is heard."""
    linger = subprocess.Popen([lab.linger_program, "snapshot", core, "-o", tmp_path / name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, env=clean_environment(), preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        assert wait_until(lambda: list(tmp_path.iterdir()) or linger.poll() is not None, LIMIT)
        linger.send_signal(signal.SIGSTOP)
        linger.send_signal(signal.SIGINT)
        linger.send_signal(signal.SIGCONT)
        status = linger.wait(LIMIT)
    finally:
        linger.kill()
        linger.wait()
    left = [path.name for path in tmp_path.iterdir()]
    assert (status, left) in [(-signal.SIGINT, []), (-signal.SIGINT, [name]), (0, [name])], (status, left)
