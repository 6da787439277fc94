"""SIGKILL of linger at random instants of a look: at a process that watches itself, and at a server under full load."""
import array
import json
import os
import pathlib
import random
import subprocess
import time

from common import LINGER, TOOLS, Load, Server, check, lab, what_stays


class Steady:
    """steady.c: every thread knows what its registers, its memory and its calls have to be."""

    def __init__(self, folder):
        self.progress = pathlib.Path(folder) / "progress"
        self.process = subprocess.Popen([TOOLS / "steady", self.progress, "3600"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.threads = int(self.process.stdout.readline())

    def rounds(self):
        return array.array("Q", self.progress.read_bytes())

    def goes_on(self):
        """All of its threads, after now."""
        before = self.rounds()
        return lab.wait_until(lambda: all(now > then for now, then in zip(self.rounds(), before)))

    def is_running(self):
        return self.process.poll() is None

    def end(self):
        self.process.stdin.close()
        said = json.loads(self.process.stdout.read())
        self.process.wait(60)
        return said

    def kill(self):
        if self.is_running():
            self.process.kill()
        self.process.wait()


def command(pid):
    return [str(LINGER), "dumpheap", str(pid), "-stat"]


def run(pid, seconds=None):
    """Starts linger and kills it after so long; True: it was not too late for that."""
    began = time.monotonic()
    reader = subprocess.Popen(command(pid), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=lab.clean_environment())
    while reader.poll() is None and (seconds is None or time.monotonic() - began < seconds):
        pass  # A sleep would prefer some instants.
    reader.kill()
    return reader.wait() < 0


def kill_at_random(target, count, seed, goes_on):
    """`count` kills that came in time, spread over what a whole look takes."""
    rng, killed, late, left, stuck = random.Random(seed), 0, 0, [], 0
    spans = []
    for _ in range(5):
        began = time.monotonic()
        run(target.pid)
        spans.append(time.monotonic() - began)
    whole = sorted(spans)[len(spans) // 2]
    while killed < count and late < 10 * count:
        hit = run(target.pid, rng.uniform(0, whole))
        killed, late = killed + hit, late + (not hit)
        left += what_stays(target.pid)
        stuck += not goes_on()
        if not target.is_running():
            break
    print(f"       a whole look takes {whole * 1000:.0f} ms; {killed} kills came in time, {late} too late")
    check(killed >= count, f"linger was killed at {killed} random instants (seed {seed})")
    check(target.is_running(), "the target runs on")
    check(stuck == 0, f"every thread of it went on after each, but for {stuck} times")
    check(not left, f"nothing stood still, no child, no zombie, no watchdog was left {left[:5] or ''}")


def soak_steady(o, folder):
    steady = Steady(folder)
    try:
        print(f"kills: process {steady.pid} that watches itself, {steady.threads} threads, load average {os.getloadavg()[0]:.2f}")
        kill_at_random(steady, o.kills, o.seed, steady.goes_on)
        said = steady.end()
        print(f"       {said}")
        check(said["wrong"] == 0, f"registers, vector state, red zone, memory and results of calls in {said['rounds']:,} rounds of its threads: {said['wrong']} wrong")
        check(said["signals_sent"] == said["signals_had"], f"it had {said['signals_had']:,} of {said['signals_sent']:,} signals")
        print(f"       {said['cut_short']} calls with a time limit ended with EINTR: those that linger died in the midst of")
    finally:
        steady.kill()


def soak_server(o, folder):
    server = Server()
    try:
        print(f"kills: server {server.pid} under full load, {o.connections} connections, load average {os.getloadavg()[0]:.2f}")
        load = Load(server, o.connections, folder)
        time.sleep(o.normal / 3)
        before = server.size()

        def goes_on():
            size = load.file.stat().st_size  # It is written to as answers come.
            return lab.wait_until(lambda: load.file.stat().st_size > size)

        kill_at_random(server, o.kills, o.seed + 1, goes_on)
        after = server.size()
        load.end()
        print(f"       before {before}, after {after}")
        server.check_requests()
    finally:
        server.kill()
