"""What the GC has committed, and how often it collected: linger's count against what the GC tells the program."""
import subprocess

import pytest

from lab import MODES, wait_until

PAGE = 4096
STEP = 1 << 18  # What writing a line may take of the GC: a new allocation context, committed in steps of 64 KiB.


def memdump(lab, target):
    """The lines of the support program by their first word."""
    done = subprocess.run([str(lab.support("memdump")), str(target)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=True)
    lines = {}
    for line in done.stdout.splitlines():
        key, *words = line.split("\t")
        lines.setdefault(key, []).append(words)
    return lines


def committed_of(lab, app):
    """As eeheap, ps and vadump have it, once all say the same: a Server GC gives memory back by and by after a GC."""
    said = []

    def agree():
        heap = lab.report(app.pid, "eeheap -gc")
        row, = [r for r in lab.linger("ps", "Memory", "--json").reports()[0]["processes"] if r["pid"] == app.pid]
        picture, = lab.linger("vadump", app.pid, "-detail", "--json").reports()
        said.append((heap, row["gc_committed"], picture["gc_committed"]))
        return heap["gc_committed"] == row["gc_committed"] == picture["gc_committed"]
    assert wait_until(agree), said
    return said[-1][0]


@pytest.mark.parametrize("mode", MODES)
def test_what_the_gc_has_committed_is_what_it_tells_the_program(lab, mode):
    app = lab.start("Memory", mode, ["--go", lab.folder / "never"], seconds=300)
    try:
        heap = committed_of(lab, app)
        said = memdump(lab, app.pid)
    finally:
        app.kill()
    assert heap["gc_committed"] <= app.truth["committed"] + STEP
    if app.truth["gc"] == "workstation":
        assert heap["gc_committed"] >= app.truth["committed"]
    assert [int(n) for n in said["gcs"][0][:3]] == app.truth["collections"]
    frozen = sum(int(s["committed"], 16) - int(s["begin"], 16) // PAGE * PAGE for s in heap["segments"] if s["generation"] == "foh")
    assert heap["gc_committed"] >= heap["gc_segments_committed"] - frozen
