#!/usr/bin/python3
"""What `linger alloc` costs a service that allocates 1 GB a second, and itself: seconds with and without it alternate in one process.

usage: bench/alloc.py [--linger FILE] [--rounds N] [--seconds N] [--app FILE] [-- OPTIONS OF linger alloc…]

Throughput: median of the rounds, each with linger against the mean of the seconds before and behind it without; and by processor time of the service,
which other work on the machine disturbs less. Memory in the target: median of RssAnon with linger less that without. CPU and memory of linger:
of its following alone, until it is told to end. Then how long it takes to read the events of one round from a file.
"""
import argparse
import os
import pathlib
import signal
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def status(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Service:
    def __init__(self, program, threads):
        self.process = subprocess.Popen([program, "--threads", str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        self.pid = self.process.pid

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def rate(self, seconds):
        """Requests and bytes a second, CPU of a second, and the median of what is resident."""
        before, used, resident = self.ask(), cpu(self.pid), []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)
            resident.append(status(self.pid, "RssAnon"))
        after = self.ask()
        took = after[2] - before[2]
        return (after[0] - before[0]) / took, (after[1] - before[1]) / took, (cpu(self.pid) - used) / took, statistics.median(resident)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--linger", default=ROOT / "build/release/linger")
    parser.add_argument("--app", default=ROOT / "build/dotnet/Service/Service")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("options", nargs="*")
    args = parser.parse_args()
    trace = f"/tmp/linger-bench-{os.getpid()}.nettrace"
    service = Service(args.app, args.threads)
    try:
        service.rate(2)
        plain, ratios, works, added, own_cpu, own_rss, volume = [service.rate(args.seconds)], [], [], [], [], [], 0
        for _ in range(args.rounds):
            linger = subprocess.Popen([args.linger, "alloc", str(service.pid), "-o", trace, *args.options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            linger.stderr.readline()
            used, began = cpu(linger.pid), time.monotonic()
            with_linger = service.rate(args.seconds)
            own_cpu.append((cpu(linger.pid) - used) / (time.monotonic() - began))
            own_rss.append(status(linger.pid, "VmHWM"))
            linger.send_signal(signal.SIGINT)
            linger.communicate()
            volume = os.path.getsize(trace)
            service.rate(0.5)
            plain.append(service.rate(args.seconds))
            ratios.append(2 * with_linger[0] / (plain[-1][0] + plain[-2][0]))
            works.append(2 * with_linger[0] / with_linger[2] / (plain[-1][0] / plain[-1][2] + plain[-2][0] / plain[-2][2]))
            added.append(with_linger[3] - (plain[-1][3] + plain[-2][3]) / 2)
        print(f"service: {statistics.median(p[0] for p in plain):,.0f} requests/s, {statistics.median(p[1] for p in plain) / 1e9:.2f} GB/s, "
              f"{statistics.median(p[2] for p in plain):.2f} processors, {statistics.median(p[3] for p in plain):.0f} MB")
        print(f"throughput with linger: {100 * statistics.median(ratios):.1f} % (rounds: {', '.join(f'{100 * r:.1f}' for r in ratios)})")
        print(f"requests per second of its processor time: {100 * statistics.median(works):.1f} % (rounds: {', '.join(f'{100 * r:.1f}' for r in works)})")
        print(f"added in the target: {statistics.median(added):.1f} MB (rounds: {', '.join(f'{a:.1f}' for a in added)})")
        print(f"linger: {100 * statistics.median(own_cpu):.1f} % of a processor, {max(own_rss):.1f} MB; {volume / args.seconds / 1e6:.1f} MB/s of events")
    finally:
        service.process.kill()
        service.process.wait()
    times = []
    for _ in range(5):
        began = time.monotonic()
        subprocess.run([args.linger, "alloc", trace], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times.append(time.monotonic() - began)
    print(f"a file of {volume / 1e6:.1f} MB: {statistics.median(times):.3f} s, which reads it twice")
    os.unlink(trace)


if __name__ == "__main__":
    main()
