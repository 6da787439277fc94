"""vadump: its totals are the kernel's, page for page. Whose the rows are: test_owners.py."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

from lab import LIMIT, clean_environment, process_state, running, wait_until
from test_schema import check

KINDS = [["sleep", "300"], ["tail", "-f", "/dev/null"], [sys.executable, "-c", "import time; x = bytearray(5 << 20); time.sleep(300)"],
         ["bash", "-c", "read x"], ["cat"], ["sed", "p"], ["awk", "{print}"], ["sort"], ["perl", "-e", "sleep 300"], ["dd", "status=none"]]
EACH = 5


def rollup(pid):
    """smaps_rollup in bytes, by key."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {key: int(rest.split()[0]) * 1024 for key, rest in (line.split(":") for line in lines)}


def status_of(pid, key):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None


def kernel_says(pid):
    said = {key: size for key, size in rollup(pid).items() if key in ("Rss", "Swap")}
    return said, {key: status_of(pid, key) for key in ("VmPTE", "VmRSS")}


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    assert wait_until(lambda: process_state(pid) == "T")


def check_totals(lab, pid, *options):
    """Of a stopped process. What others map too changes while they live, so only what nobody can change is compared; the kernel may take
    pages from it all the same, or make huge ones of them: then it is asked again."""
    seen = []

    def is_settled():
        before = kernel_says(pid)
        seen[:] = [before, lab.linger("vadump", pid, *options, "--json").reports()[0]]
        return before == kernel_says(pid)
    assert wait_until(is_settled, LIMIT), "it never is the same for as long as linger looks"
    (said, status), report = seen
    check(report)
    totals = {row["category"]: row for row in report["totals"]}
    grand, system = totals["Grand Total Working Set"], totals["Total System"]
    assert grand["total"] - system["total"] == said["Rss"] == report["rss"]
    assert report["page_tables"] == status["VmPTE"]
    assert report["status_rss"] == status["VmRSS"]
    if status["VmRSS"] == said["Rss"]:  # Kernels may count it approximately (docs/commands/vadump.md).
        assert report["status_rss"] == report["rss"]
    assert grand["swapped"] == said["Swap"]
    assert sum(row["total"] for row in report["categories"]) == grand["total"]
    for row in [*report["categories"], *report["totals"], *report.get("rows", [])]:
        assert row["pages"] * report["page_size"] == row["total"]
        assert None in (row["private"], row["shareable"]) or row["private"] + row["shareable"] + row["shared"] == row["total"], row
    if "rows" in report:
        assert sum(row["total"] for row in report["rows"]) == said["Rss"]
    return report


def test_totals_of_fifty_processes_are_those_of_the_kernel(lab):
    processes = [subprocess.Popen(kind, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=clean_environment())
                 for kind in KINDS for _ in range(EACH)]
    try:
        for process in processes:
            assert wait_until(lambda: process_state(process.pid) == "S")
            stop(process.pid)
        for i, process in enumerate(processes):
            check_totals(lab, process.pid, *[[], ["-detail"], ["-by", "file"], ["-by", "kind"], ["-by", "module"]][i % EACH])
            assert wait_until(lambda: process_state(process.pid) == "T")  # It runs for a moment when it is let go.
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.parametrize("name,mode", [("Leak", "workstation"), ("Roots", "datas"), ("Types", "segments")])
def test_totals_of_managed_processes_are_those_of_the_kernel(lab, name, mode):
    app = lab.start(name, mode, seconds=300)
    try:
        stop(app.pid)
        for options in [[], ["-detail"], ["-by", "thread"]]:
            check_totals(lab, app.pid, *options)
    finally:
        app.kill()


def near(said, planted):
    return abs(said - planted) <= 0.02 * planted


def test_what_grew_is_told_of_two_saved_pictures(lab):
    files = [lab.folder / "picture-before", lab.folder / "picture-after"]
    code = "import sys, time; print('started', flush=True); sys.stdin.readline(); x = b'x' * (9 << 20); print('ready', flush=True); time.sleep(300)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        lab.linger("vadump", process.pid, "-detail", "-o", files[0])
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        lab.linger("vadump", process.pid, "-detail", "-o", files[1])
    finally:
        process.kill()
        process.wait()
    report = check(lab.linger("vadump", "-diff", *files, "--json").reports()[0])
    biggest = report["rows"][0]
    assert biggest["category"] == "Heap" and near(biggest["growth"], 9 << 20), report
    assert report["after"] - report["before"] == sum(row["growth"] for row in report["rows"])
    lab.linger("vadump", "-diff", files[0], "/dev/null", status=3)


def test_a_core_names_what_it_cannot_tell(lab):
    report = check(lab.linger("vadump", lab.core("Leak", "workstation", "gcore"), "-detail", "--json").reports()[0])
    assert report["rss"] is None and report["page_tables"] is None
    assert any("core does not tell" in sentence for sentence in report["incomplete"])
    grand = report["totals"][-1]
    assert grand["private"] is None and grand["total"] == sum(row["total"] for row in report["rows"])
    assert sum(row["total"] for row in report["rows"] if row["kind"] == "GC heap") > 0


def test_at_a_prompt_the_process_is_looked_at_anew(lab):
    app = lab.app("Leak", "workstation")
    first, second = lab.reports(app.pid, ["vadump", "eeheap -gc"])
    check(first)
    private = {row["category"]: row["private"] for row in first["categories"]}
    assert private["Heap"] and private["Heap"] >= 0.9 * {row["category"]: row["total"] for row in first["categories"]}["Heap"]
    assert second["gc_allocated"] > 0


def test_more_mappings_than_the_usual_limit(lab):
    """As many as may be made: every other page of a big mapping has another protection."""
    limit = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
    count = min(limit - 200, 70000)
    code = f"""
import ctypes, mmap, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
at = libc.mmap(None, {count} * 4096, 3, 0x22, -1, 0)
ctypes.memset(at, 1, {count} * 4096)
for i in range(0, {count}, 2):
    if libc.mprotect(at + i * 4096, 4096, 1): break
print('ready', flush=True)
time.sleep(300)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        lines = len(pathlib.Path(f"/proc/{process.pid}/maps").read_text().splitlines())
        assert lines > 0.9 * count
        print(f"{lines} mappings of at most {limit}")
        stop(process.pid)
        check_totals(lab, process.pid, "-by", "kind")
    finally:
        process.kill()
        process.wait()


def test_a_watch_shows_what_changed_and_ends_with_ctrl_c(lab):
    process = subprocess.Popen(["sleep", "300"])
    try:
        assert wait_until(lambda: process_state(process.pid) == "S")
        with running([lab.linger_program, "vadump", process.pid, "-watch", "1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as watch:
            rounds = 0
            while rounds < 2:
                line = watch.stdout.readline()
                assert line
                rounds += line.startswith("Category")
            assert line.rstrip().endswith("Change")
            watch.send_signal(signal.SIGINT)
            watch.stdout.read()
            assert watch.wait(LIMIT) == 0
        assert wait_until(lambda: process_state(process.pid) == "S")
    finally:
        process.kill()
        process.wait()


def test_what_cannot_be_read_is_said(lab):
    assert "no such process" in lab.linger("vadump", 4194304 - 1, status=3).err
    assert "none of module" in lab.linger("vadump", 1, "-by", "colour", status=2).err
    assert "expected a target" in lab.linger("vadump", status=2).err
    assert lab.linger("vadump", "-diff", "one", status=2).err


NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture
def anybodys_linger(lab):
    """A copy where everybody may run it: the build's folder may be root's alone."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="linger-e2e-anybody-"))
    folder.chmod(0o755)
    program = folder / "linger"
    shutil.copy(lab.linger_program, program)
    yield program
    shutil.rmtree(folder)


def ask(*words):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, env=clean_environment(), stdin=subprocess.DEVNULL)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_rights_decide_what_is_seen(anybodys_linger):
    """Another user's process is refused with the right that is missing; one's own needs none, and no page frame numbers."""
    other, own = subprocess.Popen(["sleep", "300"]), subprocess.Popen([*NOBODY, "sleep", "300"])
    hidden = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    try:
        assert wait_until(lambda: status_uid(own.pid) == 65534 and process_state(own.pid) == "S")
        refused = ask(*NOBODY, anybodys_linger, "vadump", other.pid)
        assert refused.returncode == 3 and "belongs to user root (0): run linger as that user or with sudo" in refused.stderr
        seen = ask(*NOBODY, anybodys_linger, "vadump", own.pid, "-detail")
        assert seen.returncode == 0 and "Grand Total Working Set" in seen.stdout
        # /proc that hides what is not one's own.
        unseen = ask("unshare", "-m", "sh", "-c", hidden, "sh", *NOBODY, anybodys_linger, "vadump", other.pid)
        if "mount:" in unseen.stderr:
            pytest.skip("cannot mount /proc here: " + unseen.stderr.strip())
        assert unseen.returncode == 3 and "no such process" in unseen.stderr
        seen = ask("unshare", "-m", "sh", "-c", hidden, "sh", *NOBODY, anybodys_linger, "vadump", own.pid)
        assert seen.returncode == 0 and "Grand Total Working Set" in seen.stdout
    finally:
        for process in (other, own):
            process.kill()
            process.wait()


def status_uid(pid):
    line = next(line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Uid:"))
    return int(line.split()[1])


def test_a_process_that_ends_meanwhile_is_one_sentence_or_a_picture(lab):
    for i in range(12):
        process = subprocess.Popen([sys.executable, "-c", f"import time; x = bytearray(20 << 20); time.sleep({i * 0.004})"])
        result = ask(lab.linger_program, "vadump", process.pid)
        process.wait()
        if result.returncode == 0:
            assert "Grand Total Working Set" in result.stdout
        else:
            assert result.returncode == 3 and len(result.stderr.splitlines()) == 1 and not result.stdout, result
