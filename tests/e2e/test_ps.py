"""`linger ps` against what /proc, the app and `eeheap` say."""
import contextlib
import json
import os
import pathlib
import pwd
import re
import signal
import subprocess

import pexpect
import pytest

from lab import LIMIT, MONO, children, clean_environment, running, wait_until


def row_of(lab, pid):
    report, = lab.linger("ps", "--json").reports()
    rows = [r for r in report["processes"] if r["pid"] == pid]
    assert len(rows) == 1, report
    return rows[0]


def row_and_heap(lab, app):
    """What `ps` and `eeheap` say, once both say the same of the GC: a Server GC gives memory back by and by."""
    said = []

    def agree():
        said[:] = row_of(lab, app.pid), lab.report(app.pid, "eeheap -gc")
        return all(said[0][key] == said[1][key] for key in ("gc", "gc_heaps", "gc_committed", "gc_allocated"))
    assert wait_until(agree), said
    return said


@pytest.mark.parametrize("mode", ["workstation", "datas", "segments"])
def test_a_process_is_what_it_and_proc_and_eeheap_say(lab, mode):
    app = lab.app("Leak", mode)
    row, _ = row_and_heap(lab, app)
    assert row["name"] == "Leak" and row["runtime"] == app.truth["runtime"] and row["gc"] == app.truth["gc"]
    assert row["flavour"] == "framework-dependent" and row["problem"] is None
    assert row["command"].startswith(str(lab.program("Leak")))
    assert row["user"] == pwd.getpwuid(os.getuid()).pw_name
    status = pathlib.Path(f"/proc/{app.pid}/status").read_text()
    rss = 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])
    assert abs(row["rss"] - rss) < rss / 10
    assert abs(row["threads"] - int(re.search(r"Threads:\s+(\d+)", status)[1])) <= 2
    assert row["ns_pid"] == app.pid and 0 < row["uptime_s"] < 3600


def test_text_and_tsv_have_the_same_rows(lab):
    app = lab.app("Leak", "workstation")
    text = lab.linger("ps", "Leak").out.splitlines()
    assert text[0].split() == ["PID", "NAME", "RUNTIME", "FLAVOUR", "GC", "RSS", "GC-COMMITTED", "THREADS", "UPTIME", "USER"] + (
        ["CONTAINER"] if "CONTAINER" in text[0] else [])
    cells = next(line.split() for line in text if line.split()[0] == str(app.pid))
    assert cells[1:5] == ["Leak", app.truth["runtime"], "framework-dependent", "workstation"]
    assert re.fullmatch(r"[0-9.]+[KMG]", cells[5]) and re.fullmatch(r"[0-9.]+[KMG]", cells[6])
    header, *rows = lab.linger("ps", "--tsv").out.splitlines()
    row = dict(zip(header.split("\t"), next(r for r in rows if r.startswith(f"{app.pid}\t")).split("\t")))
    assert row["name"] == "Leak" and int(row["rss"]) > 1 << 20


def test_the_biggest_come_first_and_a_name_selects(lab):
    lab.app("Leak", "workstation"), lab.app("Roots", "workstation")
    report, = lab.linger("ps", "--json").reports()
    rss = [r["rss"] for r in report["processes"]]
    assert rss == sorted(rss, reverse=True) and len(rss) >= 2
    only, = lab.linger("ps", "Root", "--json").reports()
    names = {r["name"] for r in only["processes"]}
    assert "Roots" in names and all("Root" in name for name in names)
    none, = lab.linger("ps", "no such name", "--json").reports()
    assert none["processes"] == [] and "No .NET process" in lab.linger("ps", "no such name").out


def test_a_busy_process_has_its_row(lab):
    app = lab.start("Churn", arguments=["--threads", "2", "--thread-churn", "1"])
    for _ in range(10):
        row = row_of(lab, app.pid)
        assert row["gc"] in ("workstation", None)
        assert (row["gc_committed"] is None) == (row["problem"] is not None)
    app.kill()


def test_a_name_opens_one_process_and_lists_several(lab):
    first = lab.start("Types")
    result = lab.linger("open", "Types", "-c", "eeheap -gc", "--json", status=None)
    if result.status == 0:  # Other tests may have such a process, too, and end it any moment.
        assert result.reports()[0]["target"]["pid"] == first.pid
    second = lab.start("Types")
    result = lab.linger("eeheap", "Types", "-gc", status=2)
    assert re.search(r"'Types' is \d+ processes: (\d+ \(Types\), )+.*give the PID of one", result.err), result
    first.kill(), second.kill()


@pytest.mark.parametrize("form", ["single-file", "self-contained"])
def test_a_program_that_brings_its_runtime_is_read_as_any_other(lab, form):
    app = lab.app(f"Roots:{form}", "workstation")
    row, _ = row_and_heap(lab, app)
    assert (row["flavour"], row["runtime"], row["problem"]) == (form, app.truth["runtime"], None)


def test_what_was_compiled_ahead_is_listed_as_what_it_is(lab):
    app = lab.start("Idle:nativeaot")
    row = row_of(lab, app.pid)
    assert (row["name"], row["flavour"], row["runtime"]) == ("Idle", "nativeaot", app.truth["runtime"])
    assert row["gc"] is None and row["gc_committed"] is None and "cannot be read" in row["problem"]
    assert row["rss"] > 1 << 20 and row["threads"] >= 1 and row["user"]
    for words in (["dumpheap", "-stat"], ["dumpheap"], ["diff", app.pid]):
        refused = lab.linger(words[0], app.pid, *words[1:], "--gc", status=3).err
        assert refused.endswith(f"--gc: process {app.pid}: it has no diagnostics socket: it is NativeAOT, built without EventSourceSupport\n"), refused
    app.kill()


def test_mono_is_listed_as_what_it_is(lab):
    if not MONO.exists():
        pytest.skip(f"no {MONO}: scripts/setup installs it")
    app = lab.start("Idle:mono", host=["/usr/bin/mono-sgen"])
    row = row_of(lab, app.pid)
    assert (row["name"], row["flavour"], row["runtime"], row["gc"]) == ("Idle", "mono", None, None)
    assert "Mono does not tell its version" in row["problem"] and row["rss"] > 1 << 20
    app.kill()


# ---- namespaces and rights ----

@contextlib.contextmanager
def in_namespaces(program):
    """A process with PID and mounts of its own, its /tmp empty: as in a container."""
    if os.geteuid() != 0:
        pytest.skip("namespaces of its own are root's to make")
    # The shell is PID 1 in there, and ends with unshare. A checkout in /tmp is not to be hidden.
    hidden = "/var/tmp" if str(program).startswith("/tmp/") else "/tmp"
    script = f'mount -t tmpfs none {hidden} 2>/dev/null && echo mounted || echo refused; "$0" --seconds 600; true'
    shell = subprocess.Popen(["unshare", "-p", "-m", "-f", "--kill-child", "--mount-proc", "sh", "-c", script, str(program)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean_environment())
    try:
        if shell.stdout.readline() != "mounted\n":
            pytest.skip("the kernel refuses namespaces of their own here")
        shell.stdout.readline()  # The truth.
        init, = children(shell.pid)
        pid, = children(init)
        yield pid
    finally:
        shell.kill()
        shell.wait()
        shell.stdout.close()


def test_a_process_in_other_namespaces_is_seen_whole(lab):
    with in_namespaces(lab.program("Idle")) as pid:
        row = row_of(lab, pid)
        assert 1 < row["ns_pid"] < 10 and row["name"] == "Idle" and row["flavour"] == "framework-dependent"
        assert row["problem"] is None and row["gc"] == "workstation" and row["gc_committed"] > 0 and row["runtime"].startswith("10.")


def as_nobody(lab, folder, *arguments):
    """linger as a user without rights; it may not be able to reach the build folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    program = folder / "linger"
    if not program.exists():
        program.write_bytes(lab.linger_program.read_bytes())
        program.chmod(0o755)
    for parent in [folder, *folder.parents]:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    return subprocess.run([str(program), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=LIMIT, env=clean_environment(), user=65534, group=65534, extra_groups=[])


def test_without_rights_cells_are_unknown_and_the_note_says_which_right(lab, tmp_path):
    app = lab.app("Leak", "workstation")
    result = as_nobody(lab, tmp_path, "ps", app.pid)
    cells = result.stdout.splitlines()[1].split()
    assert cells[:5] == [str(app.pid), "Leak", "-", "-", "-"] and cells[6] == "-" and "root" in cells, result
    assert re.search(rf"note: process {app.pid}: no right .*CAP_SYS_PTRACE", result.stderr)
    report = json.loads(as_nobody(lab, tmp_path, "ps", app.pid, "--json").stdout)
    row, = report["processes"]
    assert row["gc"] is row["runtime"] is row["flavour"] is row["gc_committed"] is None
    assert row["rss"] > 1 << 20 and "CAP_SYS_PTRACE" in row["problem"] and row["problem"] in report["incomplete"][0]


def test_without_rights_threads_tell_what_is_dotnet_in_another_namespace(lab, tmp_path):
    with in_namespaces(lab.program("Idle")) as pid:
        row, = json.loads(as_nobody(lab, tmp_path, "ps", pid, "--json").stdout)["processes"]
        assert row["name"] == "Idle" and row["gc"] is None
        shell = as_nobody(lab, tmp_path, "ps", "sh", "--json")
        assert "sh" not in {r["name"] for r in json.loads(shell.stdout)["processes"]}


# ---- which, and how often ----

def test_names_pids_and_patterns_select(lab):
    leak, roots = lab.app("Leak", "workstation"), lab.app("Roots", "workstation")

    def pids(*patterns):
        return {r["pid"] for r in lab.linger("ps", *patterns, "--json").reports()[0]["processes"]}
    assert pids(leak.pid) == {leak.pid}
    assert pids(leak.pid, roots.pid) == {leak.pid, roots.pid}
    assert leak.pid in pids("L*k") and roots.pid not in pids("L*k") and leak.pid not in pids("L*a")
    assert leak.pid in pids(f"{str(leak.pid)[:-1]}?") and {leak.pid, roots.pid} <= pids("eak", "[RX]oots")


def test_a_tree_has_children_below_their_parents(lab):
    app = lab.app("Leak", "workstation")
    report, = lab.linger("ps", "-tree", "--json").reports()
    rows = {r["pid"]: r for r in report["processes"]}
    assert app.pid in rows and rows[app.pid]["ppid"] == os.getpid()
    seen = set()
    for row in report["processes"]:
        assert row["parent"] is None or row["parent"] in seen
        seen.add(row["pid"])


def watch(lab, *arguments, **keywords):
    return running([lab.linger_program, "ps", *arguments], **{"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, **keywords})


def test_a_watch_prints_one_report_after_the_other_with_growth(lab):
    app = lab.app("Leak", "workstation")
    with watch(lab, app.pid, "-watch", 1, "--json", stderr=subprocess.PIPE) as process:
        rounds = [json.loads(process.stdout.readline())["processes"][0] for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 0 and process.stderr.read() == ""
    assert rounds[0]["rss_per_min"] is None and rounds[0]["gc_committed_per_min"] is None
    assert all(isinstance(r["rss_per_min"], (int, float)) and r["gc_committed_per_min"] == 0 for r in rounds[1:])
    assert [r["gc_committed"] for r in rounds] == [rounds[0]["gc_committed"]] * 3


def test_a_watch_of_a_growing_process_tells_how_fast(lab):
    app = lab.start("Leak", arguments=["--rate", "2000", "--objects", "10000000"])
    with watch(lab, app.pid, "-watch=1", "--json") as process:
        def grows():
            row, = json.loads(process.stdout.readline())["processes"]
            return (row["gc_committed_per_min"] or 0) > 0
        assert wait_until(grows, 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == -signal.SIGTERM
    app.kill()


def test_a_watch_in_text_has_a_time_and_a_table_each(lab):
    app = lab.app("Leak", "workstation")
    with watch(lab, "-watch", "1", app.pid) as process:
        lines = [process.stdout.readline() for _ in range(7)]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n", lines[0]) and lines[3] == "\n" and re.match(r"\d{4}-", lines[4])
    assert lines[1] == lines[5] and re.search(r"RSS  +RSS/MIN  GC-COMMITTED +GC/MIN ", lines[1])


def test_a_watch_on_a_terminal_paints_in_place_and_leaves_it_as_it_was(lab):
    app = lab.app("Leak", "workstation")
    terminal = pexpect.spawn(str(lab.linger_program), ["ps", str(app.pid), "-watch", "1"], env=clean_environment({"TERM": "xterm"}), timeout=LIMIT,
                             dimensions=(20, 100))
    for _ in range(2):
        terminal.expect_exact("\033[H")
        terminal.expect(r"\d\d:\d\d:\d\d")
        terminal.expect_exact("Leak")
        terminal.expect_exact("\033[J")
    terminal.sendcontrol("c")
    terminal.expect_exact("\033[?7h\033[?25h")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_how_often_is_checked(lab):
    for value in ("0", "86401"):
        assert "1 to 86400" in lab.linger("ps", "-watch", value, status=2).err
    assert "is no number" in lab.linger("ps", "-watch=soon", status=2).err
