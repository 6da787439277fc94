#!/usr/bin/python3
"""Measures linger against its peers in one run, on heaps of a known shape; prints medians and ratios.

usage: bench/bench.py [--linger FILE] [--nodes N[,N]] [--rounds N] [--work DIR] [WHAT...]

WHAT: stat     dumpheap -stat of a core, whole process, against ClrMD's loop with its start-up left out
      live     dumpheap -stat of a running process, against ClrMD on the suspended process
      gcroot   gcroot of the far object, whole process, heaps with and without locality
      small    ps, eeheap -gc, dumpheap -stat of small processes, whole process
      pause    how long the target stands still, by its size
      peers    how long a busy thread of a target with a heap of 1 GB can not run: linger, createdump --full, a gcdump
      vadump   a native process of 3 GB in 2,000 mappings: how long it stands still, and the whole process
      alive    dumpheap -stat -live and retained of a core, whole process, the first against ClrMD's mark
      snapshot  size of a snapshot, and what is asked of it
All by default. Run it on an idle machine: rounds of linger and peer alternate, so that what disturbs one
disturbs the other, but a busy machine still measures itself. Results are kept in docs/performance.md.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

import gcdump

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build/dotnet"


def build(project):
    subprocess.run(["dotnet", "build", "-c", "Release", "-nologo", "-v", "q", "--property:WarningLevel=0"],
                   cwd=ROOT / project, check=True, stdout=subprocess.DEVNULL)


class App:
    """One test app, started, with the truth it prints; ended by its pid."""

    def __init__(self, name, *args, **env):
        self.process = subprocess.Popen([OUT / name / name, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **env})
        self.truth = json.loads(self.process.stdout.readline())
        self.pid = str(self.process.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def gap(self):
        """Of an app with --ticks: how long its busy thread stood still at most since this was asked last, in ms."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def rss(self):
        return int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * 4096


def createdump():
    runtimes = subprocess.run(["dotnet", "--list-runtimes"], stdout=subprocess.PIPE, text=True, check=True).stdout
    version, folder = re.findall(r"Microsoft\.NETCore\.App (\S+) \[(.*)\]", runtimes)[-1]
    return f"{folder}/{version}/createdump"


def core_of(app, path):
    if not path.exists():
        subprocess.run([createdump(), "--full", "-f", path, app.pid], check=True, stdout=subprocess.DEVNULL)
    return path


def seconds(*command):
    """A whole process: wall seconds, peak RSS in bytes, stdout."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    spent = time.monotonic() - start
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {status}")
    return spent, usage.ru_maxrss * 1024, out


def oracle(target, *bench):
    out = seconds(OUT / "oracle/oracle", target, "--bench", *bench)[2]
    return {line["bench"]: line for line in map(json.loads, out.splitlines())}


def row(what, ours, peer_name="", peer=None, more=""):
    ratio = f"{peer / ours:6.1f} x {peer_name} {peer:.3f} s" if peer else ""
    print(f"{what:44} {ours:8.4f} s  {ratio}  {more}", flush=True)


def median_of(rounds, *command):
    runs = [seconds(*command) for _ in range(rounds)]
    return statistics.median(run[0] for run in runs), max(run[1] for run in runs), runs[-1][2]


def heap(shape, nodes):
    return App("HeapGen", "--shape", shape, "--nodes", str(nodes))


def bench_stat(o):
    for nodes in o.nodes:
        for shape in "seq", "web":
            path = o.work / f"{shape}-{nodes}.core"
            if not path.exists():
                with heap(shape, nodes) as app:
                    core_of(app, path)
            ours, peer = [], []
            for _ in range(o.rounds):
                ours += [seconds(o.linger, "dumpheap", path, "-stat", "--json") for _ in range(3)]
                peer.append(oracle(path, "stat", "5")["stat-mapped"]["median_s"])
            report = json.loads(ours[-1][2])
            count = report["total_count"]
            spent = statistics.median(run[0] for run in ours)
            row(f"dumpheap -stat, core, {shape} {nodes:,}", spent, "ClrMD mapped, warm", statistics.median(peer),
                f"{count / spent / 1e6:.0f} M objects/s, peak {max(run[1] for run in ours) / 1e6:.0f} MB")


def bench_live(o):
    for nodes in o.nodes:
        with heap("seq", nodes) as app:
            ours, _, out = median_of(3 * o.rounds, o.linger, "dumpheap", app.pid, "-stat", "--json")
            peer = [oracle(app.pid, "stat", "5")["stat-live"]["median_s"] for _ in range(o.rounds)]
            pause = json.loads(out)["target"]["pause_ms"]
            row(f"dumpheap -stat, live, seq {nodes:,}", ours, "ClrMD suspended, warm", statistics.median(peer),
                f"target stood still {pause:.1f} ms at {app.rss() / 1e9:.2f} GB")


def bench_gcroot(o):
    for nodes in o.nodes[:1]:
        for shape in "seq", "web":
            path = o.work / f"{shape}-{nodes}.core"
            if not path.exists():
                with heap(shape, nodes) as app:
                    core_of(app, path)
            far = seconds(o.linger, "dumpheap", path, "-type", "FarObject", "-short")[2].split()[0]
            ours, peak, out = median_of(3 * o.rounds, o.linger, "gcroot", path, far, "--json")
            roots = json.loads(out)["roots"]
            peer = [next(iter(oracle(path, "gcroot", far).values()))["first_s"] for _ in range(o.rounds)]
            row(f"gcroot, core, {shape} {nodes:,}", ours, "ClrMD GCRoot", statistics.median(peer),
                f"{len(roots)} roots, first {roots[0]['name'] or roots[0]['kind']}, peak {peak / 1e6:.0f} MB")


def bench_small(o):
    rounds = 5 * o.rounds
    with App("Leak", "--objects", "1000") as app:
        row("ps", median_of(rounds, o.linger, "ps")[0])
        row("eeheap -gc, small process", median_of(rounds, o.linger, "eeheap", app.pid, "-gc")[0])
    with heap("seq", 100000) as app:
        row("dumpheap -stat, 100,000 objects, live", median_of(rounds, o.linger, "dumpheap", app.pid, "-stat")[0])


def bench_pause(o):
    for nodes in 1000, *o.nodes:
        with heap("seq", nodes) as app:
            pauses = []
            for _ in range(5 * o.rounds):
                out = seconds(o.linger, "eeheap", app.pid, "-gc", "--json")[2]
                pauses.append(json.loads(out)["target"]["pause_ms"])
            allowed = 4 + 20 * app.rss() / 1e9
            print(f"pause at {app.rss() / 1e6:7.0f} MB resident: median {statistics.median(pauses):6.2f} ms, "
                  f"longest {max(pauses):6.2f} ms, allowed {allowed:.1f} ms", flush=True)


def bench_peers(o):
    dump = o.work / "peers.core"
    reported, events = [], []

    def linger():
        reported.append(json.loads(seconds(o.linger, "dumpheap", app.pid, "-stat", "--json")[2])["target"]["pause_ms"])

    def full():
        subprocess.run([createdump(), "--full", "-f", dump, app.pid], check=True, stdout=subprocess.DEVNULL)
        dump.unlink()

    ways = {"nothing": lambda: time.sleep(1), "linger dumpheap -stat": linger, "gcdump": lambda: events.append(gcdump.collect(app.pid)),
            "createdump --full": full}
    gaps = {name: [] for name in ways}
    with App("HeapGen", "--nodes", str(o.peer_nodes), "--ticks") as app:
        print(f"heap of {o.peer_nodes * 48 / 1e9:.2f} GB, {app.rss() / 1e9:.2f} GB resident", flush=True)
        for _ in range(o.rounds):
            for name, look in ways.items():
                app.gap()
                look()
                gaps[name].append(app.gap())
    ours = statistics.median(gaps["linger dumpheap -stat"])
    for name, ms in gaps.items():
        print(f"{name:24} a busy thread stood still {statistics.median(ms):10.2f} ms, at least {min(ms):.2f}, at most {max(ms):.2f}"
              f"   {statistics.median(ms) / ours:8.1f} x linger", flush=True)
    print(f"{'':24} linger itself says {statistics.median(reported):.2f} ms, at most {max(reported):.2f}; a gcdump wrote"
          f" {min(events) / 1e6:,.0f} MB of events, of which its buffer of {gcdump.BUFFER_MB} MB loses what is more", flush=True)


MAPPED = """
import ctypes, sys, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
size, count = int(sys.argv[1]), int(sys.argv[2])
at = libc.mmap(None, size, 3, 0x22, -1, 0)
libc.madvise(at, size, 15)  # Small pages: the hard case.
ctypes.memset(at, 1, size)
piece = size // count // 4096 * 4096
for i in range(0, count, 2):
    libc.mprotect(at + i * piece, piece, 1)
print("ready", flush=True)
time.sleep(3600)
"""


def bench_vadump(o):
    target = subprocess.Popen([sys.executable, "-c", MAPPED, str(3 << 30), "2000"], stdout=subprocess.PIPE, text=True)
    try:
        target.stdout.readline()
        lines = len(pathlib.Path(f"/proc/{target.pid}/maps").read_text().splitlines())
        for options in [], ["-detail"]:
            runs = [seconds(o.linger, "vadump", str(target.pid), *options, "--json") for _ in range(3 * o.rounds)]
            pauses = [json.loads(run[2])["target"]["pause_ms"] for run in runs]
            row(f"vadump {' '.join(options)}, 3 GB, {lines} mappings", statistics.median(run[0] for run in runs),
                more=f"stands still {statistics.median(pauses):.1f} ms, at most {max(pauses):.1f}")
    finally:
        target.kill()
        target.wait()


def bench_alive(o):
    for nodes in o.nodes:
        for shape in "seq", "web":
            path = o.work / f"{shape}-{nodes}.core"
            if not path.exists():
                with heap(shape, nodes) as app:
                    core_of(app, path)
            # ClrMD's own root set and references, marked in a loop as people write it; once: it takes minutes.
            mark = oracle(path, "live", "0") if nodes <= o.mark_nodes else {}
            for command in ["dumpheap", path, "-stat", "-live"], ["retained", path, "-top", "20"]:
                spent, peak, _ = median_of(o.rounds, o.linger, *command, "--json")
                words = " ".join([command[0], *command[2:]])
                peer = mark["live-mapped"]["median_s"] if mark and "-live" in command else None
                row(f"{words}, core, {shape} {nodes:,}", spent, "ClrMD's mark, mapped", peer,
                    f"peak {peak / 1e6:.0f} MB, {peak / nodes:.0f} B an object")


def bench_snapshot(o):
    for nodes in o.nodes:
        for shape in "seq", "web":
            path, file = o.work / f"{shape}-{nodes}.core", o.work / f"{shape}-{nodes}.snap"
            if not path.exists():
                with heap(shape, nodes) as app:
                    core_of(app, path)
            spent, peak, out = median_of(o.rounds, o.linger, "snapshot", path, "-o", file, "--json")
            made = json.loads(out)
            asked = 6 * made["objects"] + 1.5 * made["references"]
            row(f"snapshot, core, {shape} {nodes:,}", spent,
                more=f"{made['file_size'] / 1e6:.1f} MB, asked for {asked / 1e6:.1f}, peak {peak / nodes:.0f} B an object")
            for command in ["dumpheap", file, "-stat"], ["retained", file, "-top", "20"], ["retained", file, "-by", "type"], ["info", file]:
                spent, peak, _ = median_of(o.rounds, o.linger, *command, "--json")
                row(f"{' '.join([command[0], *command[2:]])}, snapshot, {shape} {nodes:,}", spent, more=f"peak {peak / 1e6:.0f} MB")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--linger", default=ROOT / "build/release/linger")
    parser.add_argument("--nodes", default="10000000,30000000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-nodes", type=int, default=(1 << 30) // 48)
    parser.add_argument("--mark-nodes", type=int, default=10000000, help="heaps that ClrMD is asked to mark, at most")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/tmp/linger-bench"))
    parser.add_argument("what", nargs="*")
    o = parser.parse_args()
    o.nodes = [int(n) for n in o.nodes.split(",")]
    o.work.mkdir(exist_ok=True)
    for project in "bench/apps/HeapGen", "tests/e2e/apps/Leak", "tests/e2e/oracle":
        build(project)
    benches = {"stat": bench_stat, "live": bench_live, "gcroot": bench_gcroot, "small": bench_small,
               "pause": bench_pause, "peers": bench_peers, "vadump": bench_vadump, "alive": bench_alive,
               "snapshot": bench_snapshot}
    print(f"load average {os.getloadavg()[0]:.2f}, {len(os.sched_getaffinity(0))} processors")
    for what in o.what or benches:
        benches[what](o)


if __name__ == "__main__":
    main()
