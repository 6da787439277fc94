"""A target is after linger as it was before: under load, while threads come and go, and when linger is killed at any moment.

Web counts its own requests and Churn checks all that it reads back; both say in the end whether anything was ever wrong.
"""
import contextlib
import itertools
import json
import pathlib
import random
import signal
import subprocess
import time
import urllib.request

import pytest

from lab import LIMIT, children, is_removed, process_state, running, thread_states, wait_until

RUNS = 30
KILLS = 40
_seconds = itertools.count(400)


def start(lab, name, *arguments):
    """With a time limit that nobody else has: the command line then tells its copies from other tests' processes."""
    return lab.start(name, "workstation", arguments, seconds=next(_seconds) + 1000 * (hash(str(lab.folder)) % 1000))


def copies(app):
    """Processes with the command line of the app that are not the app: copies that linger made of it."""
    mine = pathlib.Path(f"/proc/{app.pid}/cmdline").read_bytes()
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == mine and int(path.parent.name) != app.pid:
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def stopped(app):
    return {tid: state for tid, state in thread_states(app.pid).items() if state in "Tt"}


def tracer(app):
    return int(pathlib.Path(f"/proc/{app.pid}/status").read_text().split("TracerPid:")[1].split()[0])


def assert_untouched(app):
    """Nothing of linger's is left in it. A bounded wait: what was killed is not gone that instant."""
    assert_goes_on(app)
    assert wait_until(lambda: not children(app.pid)), f"children left: {children(app.pid)}"


def assert_goes_on(app):
    """The same after linger was killed: its copy, a child of the target, is dead. As nobody is left to have the target wait for
    it, its zombie stays until linger looks at the target again, or the target ends."""
    assert wait_until(lambda: not stopped(app)), f"threads left stopped: {stopped(app)}"
    assert wait_until(lambda: set(children(app.pid).values()) <= {"Z"}), f"children left: {children(app.pid)}"
    assert wait_until(lambda: not copies(app)), f"copies left: {copies(app)}"
    assert wait_until(lambda: tracer(app) == 0), f"still traced by {tracer(app)}"  # linger's watchdog may be at it yet.
    assert app.is_running()


def cpu_time(app):
    fields = pathlib.Path(f"/proc/{app.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def get(url):
    with urllib.request.urlopen(url, timeout=LIMIT) as answer:
        return answer.read().decode()


def count_of(report, name):
    return sum(t["count"] for t in report["types"] if t["type"] == name)


def integrity(app):
    """Ends Churn, which then says what it found."""
    app.process.send_signal(signal.SIGTERM)
    summary = json.loads(app.line())
    assert app.process.wait(LIMIT) == 0
    assert summary["wrong"] == 0 and summary["checks"] > 0
    return summary


@pytest.mark.parametrize("mode, runs", [("workstation", RUNS), ("datas", RUNS // 3)])
def test_a_service_under_load(lab, mode, runs):
    app = lab.start("Web", mode, ["--self-load", 6], seconds=next(_seconds))
    try:
        seen = []
        for _ in range(runs):
            report = lab.linger("dumpheap", app.pid, "-stat", "--json").reports()[0]
            assert wait_until(lambda: not stopped(app))
            if not report["incomplete"]:
                seen.append(count_of(report, "Shop.Order"))
        final = json.loads(app.line())
        assert seen == sorted(seen), "orders are never lost, so no picture may have fewer than one before it"
        assert len(seen) >= runs // 2, f"most pictures are exact: {len(seen)}"
        report = lab.report(app.pid, "dumpheap -stat")
        for planted in final["types"]:
            assert count_of(report, planted["type"]) == planted["count"], planted
        assert seen[-1] <= count_of(report, "Shop.Order")
        orders = int(get(f"{final['url']}/order?customer=last"))
        assert orders == count_of(report, "Shop.Order") + 1
        assert_untouched(app)
    finally:
        app.kill()


def test_hard_allocation_and_threads_that_come_and_go(lab):
    app = start(lab, "Churn", "--threads", 4, "--thread-churn", 1)
    try:
        exact = 0
        for _ in range(RUNS):
            report = lab.linger("dumpheap", app.pid, "-stat", "--json").reports()[0]
            if not report["incomplete"]:
                exact += 1
                assert count_of(report, "Anchor") == 10000
        assert exact >= RUNS // 2, f"most pictures are exact: {exact}"
        assert_untouched(app)
        assert integrity(app)["threads_started"] > 0
    finally:
        app.kill()


def test_roots_in_the_midst_of_hard_allocation(lab):
    """Path and name are those of the copy, whatever the target does meanwhile."""
    app = start(lab, "Churn", "--threads", 2, "--collect", 5)
    try:
        found = 0
        for _ in range(5):
            words = lab.linger("dumpheap", app.pid, "-short", "-type", "Anchor", "-top", "1").out.split()
            # It may have been moved since: then there is nothing at that address, which is said.
            result = lab.linger("gcroot", app.pid, words[0], "--json", status=None)
            assert result.status in (0, 3), result
            if result.status == 0:
                report = result.reports()[0]
                found += any(root["name"] == "Shared.Head" for root in report["roots"])
        assert_untouched(app)
        integrity(app)
        assert found > 0
    finally:
        app.kill()


def kill_at_random(lab, app, times, still_works):
    """Starts linger and kills it, at moments spread over the time that a whole run takes: the fastest so far."""
    command = [str(lab.linger_program), "dumpheap", str(app.pid), "-stat"]
    began = time.monotonic()
    lab.linger(*command[1:])
    whole = time.monotonic() - began
    rng = random.Random(4)
    killed = 0
    for i in range(times):
        began = time.monotonic()
        with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as reader:
            try:
                reader.wait(rng.uniform(0, whole))
                whole = min(whole, time.monotonic() - began)
            except subprocess.TimeoutExpired:
                reader.kill()
                killed += 1
        assert app.is_running(), f"the target died of the {i + 1}th kill"
        assert_goes_on(app)
        still_works()
    lab.linger(*command[1:])
    assert_untouched(app)
    assert killed > times // 4, "most kills came too late to be a test"


def test_linger_is_killed_while_it_looks_at_a_service(lab):
    app = start(lab, "Web")
    try:
        last = [0]

        def still_works():
            order = int(get(f"{app.truth['url']}/order?customer=x"))
            assert order == last[0] + 1
            last[0] = order

        kill_at_random(lab, app, KILLS, still_works)
        assert count_of(lab.report(app.pid, "dumpheap -stat"), "Shop.Order") == last[0]
    finally:
        app.kill()


def test_linger_is_killed_while_it_looks_at_hard_allocation(lab):
    app = start(lab, "Churn", "--threads", 4, "--thread-churn", 1)
    try:
        def still_works():
            before = cpu_time(app)
            assert wait_until(lambda: cpu_time(app) > before), "it stands still"

        kill_at_random(lab, app, KILLS, still_works)
        integrity(app)
    finally:
        app.kill()


def test_linger_is_killed_while_its_target_is_stopped(lab):
    """A target that a shell had stopped stays stopped, and goes on when told to."""
    app = start(lab, "Leak")
    try:
        app.stop()
        rng = random.Random(5)
        for _ in range(10):
            with running([lab.linger_program, "dumpheap", app.pid, "-stat"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as reader:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    reader.wait(rng.uniform(0, 0.05))
            assert wait_until(app.is_stopped), thread_states(app.pid)
            assert wait_until(lambda: tracer(app) == 0)
            assert wait_until(lambda: not copies(app))
        app.process.send_signal(signal.SIGCONT)
        assert_goes_on(app)
        assert wait_until(lambda: process_state(app.pid) in ("S", "R"))
        assert lab.report(app.pid, "dumpheap -stat")["incomplete"] == []
        assert_untouched(app)
    finally:
        app.kill()


@pytest.fixture
def group(lab):
    """A control group whose memory can be limited, and the names of its files."""
    for root, limit, usage in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"), ("/sys/fs/cgroup", "memory.max", "memory.current")):
        folder = pathlib.Path(root) / lab.folder.name
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / limit).exists():
            yield folder, limit, usage
            assert wait_until(lambda: is_removed(folder)), "processes are left in the control group"
            return
        folder.rmdir()
    pytest.skip("no control group with a memory limit can be made here")


def kills_in(folder):
    """By the kernel, for want of memory."""
    texts = [path.read_text() for path in (folder / "memory.oom_control", folder / "memory.events") if path.exists()]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("oom_kill "))


@pytest.mark.parametrize("objects, is_copied", [(200000, False), (1500000, True)])
def test_a_target_at_95_percent_of_its_memory_limit(lab, group, objects, is_copied):
    """It is not killed, and the answer is what it is without a limit. A small one, with less than 10 MB left, is read as it stands still; a
    big one is copied."""
    folder, limit, usage = group
    lab.app("Leak", "workstation")  # The pages of its files are charged to others then.
    join = ["sh", "-c", f'echo $$ >{folder}/cgroup.procs && exec "$@"', "sh"]
    app = lab.start("Leak", arguments=["--objects", objects], host=join)
    try:
        unlimited = lab.report(app.pid, "dumpheap -stat")
        held = int((folder / usage).read_text())
        (folder / limit).write_text(str(held * 100 // 95))
        for _ in range(3):
            report = lab.report(app.pid, "dumpheap -stat")
            assert report["types"] == unlimited["types"]
            assert report["total_count"] > objects
            assert len(report["incomplete"]) == (not is_copied)
            assert is_copied or "stands still while it is read" in report["incomplete"][0]
            assert_untouched(app)
        assert kills_in(folder) == 0
    finally:
        app.kill()
