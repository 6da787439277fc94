"""A thousand looks in a row at an ASP.NET Core server under full load."""
import bisect
import calendar
import json
import os
import statistics
import subprocess
import time

from common import LINGER, Load, Server, check, lab, percentile, what_stays

COMMANDS = ["dumpheap", "-stat"], ["eeheap", "-gc"], ["dumpheap", "-stat"], ["gchandles"]
SLACK = {"fds": 2, "threads": 4, "mappings": 64}  # That come and go with the load.


def look(server, number):
    """One run of linger: its report, or None and what it said."""
    name, *options = COMMANDS[number % len(COMMANDS)]
    done = subprocess.run([LINGER, name, str(server.pid), *options, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=lab.clean_environment(), timeout=lab.LIMIT)
    if done.returncode != 0:
        return None, done.stderr.strip()
    return json.loads(done.stdout.splitlines()[0]), None


def window(report):
    """When the process stood still, in ns since 1970; `taken` is cut to a millisecond."""
    seconds, fraction = report["target"]["taken"].rstrip("Z").split(".")
    start = calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(fraction) * 10**6
    return start, start + 10**6 + int(report["target"]["pause_ms"] * 1e6)


def under_way(requests, windows):
    """Indexes of the requests that were under way in one of the windows."""
    requests.sort(key=lambda r: r.sent)
    sent, longest = [r.sent for r in requests], max(r.ended - r.sent for r in requests)
    return {i for start, end in windows for i in range(bisect.bisect_left(sent, start - longest), bisect.bisect_right(sent, end))
            if requests[i].ended >= start}


def tell(name, requests):
    ms = [r.ms for r in requests]
    print(f"       {name:38} {len(ms):9,}  p50 {percentile(ms, .5):7.2f}  p99 {percentile(ms, .99):7.2f}  p99.9 {percentile(ms, .999):7.2f}"
          f"  longest {max(ms, default=0):7.2f} ms", flush=True)
    return percentile(ms, .999)


def freeze(server, count):
    windows, pauses, refusals, left, sizes = [], [], [], [], []
    for number in range(count):
        report, refusal = look(server, number)
        if report:
            windows.append(window(report))
            pauses.append(report["target"]["pause_ms"])
        else:
            refusals.append(refusal)
        left += what_stays(server.pid)
        if (number + 1) % max(count // 10, 1) == 0:
            sizes.append(server.size())
            print(f"       after {number + 1:5}: {sizes[-1]}", flush=True)
    check(not refusals, f"{len(pauses)} looks gave an answer, {len(refusals)} a refusal {refusals[:3] or ''}")
    check(not left, f"after each nothing stood still, and no child and no watchdog was left {left[:5] or ''}")
    return windows, pauses, sizes


def judge_latency(alone, beside, requests, windows, pauses):
    hit = under_way(requests, windows)
    without = tell("without linger", alone)
    usual = tell("linger at work on another process", beside)
    tell("linger at work, not standing still", [r for i, r in enumerate(requests) if i not in hit])
    during = tell("under way while it stood still", [requests[i] for i in hit])
    longest = max(pauses)
    print(f"       pause: median {statistics.median(pauses):.2f}  p99 {percentile(pauses, .99):.2f}  longest {longest:.2f} ms, the {pauses.index(longest) + 1}th of"
          f" {len(pauses)}; then {', '.join(f'{ms:.1f}' for ms in sorted(pauses)[-2:-6:-1])}")
    check(during <= longest + usual, f"p99.9 during freezes {during:.2f} ms <= longest pause {longest:.2f} + p99.9 with linger at another process {usual:.2f} ms"
          f" (without linger: {without:.2f})")


def judge_size(before, sizes, orders):
    for what, slack in SLACK.items():
        check(sizes[-1][what] <= before[what] + slack, f"{what}: {before[what]} before, {sizes[-1][what]} after, most {max(s[what] for s in sizes)}"
              f" ({slack} may come and go)")
    memory = [s["anon_mb"] for s in sizes]
    half = len(memory) // 2
    first, second = statistics.fmean(memory[:half] or memory), statistics.fmean(memory[half:])
    kept = orders * 500 / 1e6  # An order, its document, its place in the dictionary: the server's own leak.
    check(second <= first + kept + 0.1 * first, f"private memory: mean of the first half {first:.0f} MB, of the second {second:.0f} MB; {orders:,} orders kept"
          f" in between are {kept:.1f} MB, a tenth comes and goes with the GC")


def load_for(server, o, folder, seconds, meanwhile=None):
    load, end, number = Load(server, o.connections, folder), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        if meanwhile:
            look(meanwhile, number)
            what_stays(meanwhile.pid)
            number += 1
        else:
            time.sleep(0.1)
    return load.end()


def load_beside(server, o, folder):
    """While linger looks at another process as often: what its own work, and ours, costs on this machine."""
    other = Server()
    try:
        return load_for(server, o, folder, o.normal, other)
    finally:
        other.kill()


def soak(o, folder):
    server = Server()
    try:
        print(f"freezes: server {server.pid}, {o.connections} connections, {len(os.sched_getaffinity(0))} processors, load average {os.getloadavg()[0]:.2f}")
        load_for(server, o, folder, o.normal / 3)  # Until all is compiled.
        alone, beside = load_for(server, o, folder, o.normal), load_beside(server, o, folder)
        load, began = Load(server, o.connections, folder), time.monotonic()
        time.sleep(1)
        before = server.size()
        print(f"       before: {before}")
        windows, pauses, sizes = freeze(server, o.freezes)
        spent = time.monotonic() - began
        requests = load.end()
        print(f"       {len(pauses)} freezes in {spent:.0f} s; {len(alone) / o.normal:,.0f} requests/s without, {len(requests) / spent:,.0f} with linger at work")
        server.check_requests()
        judge_latency(alone, beside, requests, windows, pauses)
        judge_size(before, sizes, sum(r.is_order for r in requests) // 2)
        check(server.is_running(), "the server runs")
    finally:
        server.kill()
