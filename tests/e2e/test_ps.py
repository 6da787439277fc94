"""`linger ps` against what /proc, the app and `eeheap` say."""
import os
import pathlib
import pwd
import re

import pytest


def row_of(lab, pid):
    report, = lab.linger("ps", "--json").reports()
    rows = [r for r in report["processes"] if r["pid"] == pid]
    assert len(rows) == 1, report
    return rows[0]


@pytest.mark.parametrize("mode", ["workstation", "datas", "segments"])
def test_a_process_is_what_it_and_proc_and_eeheap_say(lab, mode):
    app = lab.app("Leak", mode)
    row = row_of(lab, app.pid)
    heap = lab.report(app.pid, "eeheap -gc")
    assert row["name"] == "Leak" and row["runtime"] == app.truth["runtime"] and row["gc"] == app.truth["gc"]
    assert row["flavour"] == "framework-dependent" and row["problem"] is None
    assert [row[k] for k in ("gc_heaps", "gc_committed", "gc_allocated")] == [heap[k] for k in ("gc_heaps", "gc_committed", "gc_allocated")]
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
    assert text[0].split() == ["PID", "NAME", "RUNTIME", "FLAVOUR", "GC", "RSS", "GC-COMMITTED", "THREADS", "UPTIME", "USER"]
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
    assert {r["name"] for r in only["processes"]} == {"Roots"}
    none, = lab.linger("ps", "no such name", "--json").reports()
    assert none["processes"] == [] and "No .NET process" in lab.linger("ps", "no such name").out


def test_a_busy_process_has_its_row(lab):
    app = lab.start("Churn", arguments=["--threads", "2", "--thread-churn", "1"], seconds=60)
    for _ in range(10):
        row = row_of(lab, app.pid)
        assert row["gc"] in ("workstation", None)
        assert (row["gc_committed"] is None) == (row["problem"] is not None)
    app.kill()


def test_a_name_opens_one_process_and_lists_several(lab):
    first = lab.start("Types")
    rows = [r for r in lab.linger("ps", "--json").reports()[0]["processes"] if r["name"] == "Types"]
    if len(rows) == 1:
        assert lab.report("Types", "eeheap -gc")["target"]["pid"] == first.pid
    second = lab.start("Types")
    result = lab.linger("eeheap", "Types", "-gc", status=2)
    assert re.search(r"'Types' is \d+ processes: (\d+ \(Types\), )+.*give the PID of one", result.err), result
    first.kill(), second.kill()
