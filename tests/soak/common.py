"""What both soaks share: the server, its load and every request of it, and what linger may have left behind."""
import os
import pathlib
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import lab  # noqa: E402

LAB = lab.Lab()
LINGER = LAB.linger_program
TOOLS = LINGER.parent / "tests" / "soak"
RECORD = struct.Struct("<QIHH")  # load.c
_checked = []


def check(holds, what):
    print(f"{'holds' if holds else 'FAILS'}  {what}", flush=True)
    _checked.append(bool(holds))


def checks():
    return len(_checked)


def failures():
    return _checked.count(False)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


class Request:
    __slots__ = "sent", "ended", "ms", "is_good", "is_order"

    def __init__(self, sent, took, status, is_order):
        self.sent, self.ended, self.ms = sent, sent + took * 1000, took / 1000
        self.is_good, self.is_order = status == 200, is_order


class Server(lab.App):
    def __init__(self):
        super().__init__(LAB.program("Web"))
        self.port = self.truth["url"].rsplit(":", 1)[1]
        self.requests = []  # Of all loads that have ended.

    def size(self):
        proc = pathlib.Path(f"/proc/{self.pid}")
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        return {"fds": len(os.listdir(proc / "fd")), "threads": int(status["Threads"]), "mappings": len((proc / "maps").read_text().splitlines()),
                "rss_mb": int(status["VmRSS"].split()[0]) // 1024, "anon_mb": int(status["RssAnon"].split()[0]) // 1024}

    def check_requests(self):
        """None failed, and none was carried out twice or never."""
        failed = sum(not r.is_good for r in self.requests)
        check(failed == 0, f"of {len(self.requests):,} requests {failed} failed")
        ordered = sum(r.is_order and r.is_good for r in self.requests)
        made = int(subprocess.check_output([sys.executable, "-c", "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())",
                                            f"{self.truth['url']}/order?customer=x"])) - 1
        check(made == ordered, f"the server has made {made:,} orders for {ordered:,} requests to")


class Load:
    """Requests without a break, until it is ended."""

    def __init__(self, server, connections, folder):
        self.server, self.file = server, pathlib.Path(folder) / "requests"
        self.process = subprocess.Popen([TOOLS / "load", server.port, str(connections), "6000", self.file], stdin=subprocess.PIPE)

    def end(self):
        self.process.stdin.close()
        if self.process.wait(120) != 0:
            sys.exit("the load generator failed")
        requests = [Request(*fields) for fields in RECORD.iter_unpack(self.file.read_bytes())]
        self.server.requests += requests
        return requests


def left_behind(pid):
    """What of linger's is there: threads stopped or traced, children, watchdogs."""
    found = [f"thread {tid} in state {state}" for tid, state in lab.thread_states(pid).items() if state in "tT"]
    found += [f"child {child} in state {state}" for child, state in lab.children(pid).items()]
    if "TracerPid:\t0\n" not in pathlib.Path(f"/proc/{pid}/status").read_text():
        found.append("traced")
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text() == "linger watchdog\n" and os.readlink(comm.parent / "fd" / "3") == f"/proc/{pid}":
                found.append(f"watchdog {comm.parent.name}")
        except OSError:
            pass  # It has ended.
    return found


def what_stays(pid):
    """What is still left behind after a while: it takes a moment until what was killed is gone."""
    lab.wait_until(lambda: not left_behind(pid))
    return left_behind(pid)
