"""`linger diff` and `linger watch`: what an app says that it did between two pictures is what differs, whatever the pictures are, and nothing else does."""
import json
import os
import signal
import subprocess

import pytest

import test_schema
from lab import LIMIT, older, process_state, running, wait_until

CACHE = "static OrderCache.orders -> Dictionary values"
OF_APP = ("Order", "Session", "Ticket", "Churned")


class Story:
    """Leak, which does as it is told, and pictures of it."""

    def __init__(self, lab, name="Leak", mode="workstation", suffix=""):
        self.lab, self.key = lab, f"{name}-{mode}{suffix}"
        fifo = lab.folder / f"{self.key}.fifo"
        os.mkfifo(fifo)
        self.app = lab.start(name, mode, ["--objects", "1000", "--commands", fifo])
        self.commands = open(fifo, "w")  # Waits until the app reads.
        self.order = next(t["size"] for t in self.app.truth["types"] if t["type"] == "Order") + self.app.truth["note_size"] + self.app.truth["blob_size"]

    def tell(self, *lines):
        for line in lines:
            self.commands.write(line + "\n")
            self.commands.flush()
            assert self.app.line().decode() == line

    def snapshot(self, target, name):
        path = self.lab.folder / f"{self.key}-{name}.snap"
        self.lab.linger("snapshot", target, "-o", path)
        return path

    def core(self, name):
        return self.lab.dump(self.app, "withheap", f"{self.key}-{name}.core")


def diff(lab, *words):
    report, = lab.linger("diff", *words, "--top=0", "--json").reports()
    return test_schema.check(report)


def of_app(report):
    """What differs of the types of the app itself."""
    return {row["type"]: row["growth_count"] for row in report["types"] if row["type"] in OF_APP}


def at(report, table, **keys):
    rows = [row for row in report[table] if all(row[key] == value for key, value in keys.items())]
    assert len(rows) == 1, (keys, report[table])
    return rows[0]


@pytest.fixture(scope="module")
def story(lab):
    """1,000 orders in a snapshot; 500 more, tickets and garbage in a core; 500 more in the process."""
    story = Story(lab)
    story.first = story.snapshot(story.app.pid, "first")
    story.tell("orders 500", "tickets 7", "garbage 50")
    story.second = story.core("second")
    story.tell("orders 500")
    yield story
    story.app.kill()


def test_counts_are_exact_and_the_holder_is_named(lab, story):
    report = diff(lab, story.first, story.app.pid)
    assert [t["kind"] for t in report["targets"]] == ["snapshot", "process"]
    assert of_app(report) == {"Order": 1000, "Ticket": 7}
    order = at(report, "types", type="Order")
    sessions = next(t["count"] for t in story.app.truth["types"] if t["type"] == "Session")
    assert (order["before_count"], order["after_count"]) == (1000 + sessions, 2000 + sessions)
    # The stacks of the app may hold what is of an order, too: what looks like a reference counts.
    assert 990 * story.order <= order["growth_retained"] <= 1000 * story.order and order["assembly"].startswith("Leak")
    top = report["holders"][0]
    assert (top["type"], top["name"]) == ("Order", CACHE)
    assert (top["before_count"], top["growth_count"], top["growth_size"], top["state"]) == (1000, 1000, 1000 * story.order, None)
    # Notes and blobs went along with their orders, and are no rows of their own.
    assert not [row for row in report["holders"] if row["name"].startswith(CACHE) and row is not top]
    assert report["after"] - report["before"] == sum(row["growth_size"] for row in report["types"]) == sum(row["growth_size"] for row in report["holders"])


def test_new_types_say_so_and_hang_on_what_brought_them(lab, story):
    report = diff(lab, story.first, story.second)
    ticket = at(report, "types", type="Ticket")
    assert (ticket["state"], ticket["before_count"], ticket["after_count"], ticket["after_size"]) == ("new", 0, 7, 7 * 24)
    desk = at(report, "holders", name="static Desk.open")
    assert desk["type"].endswith("List<Ticket>") and desk["state"] == "new" and desk["growth_size"] >= 32 + 7 * 24
    by_name = diff(lab, story.first, story.second, "-type", "Ticket", "-by", "holder")
    assert at(by_name, "holders", type="Ticket")["name"] == "static Desk.open -> List items"
    assert "types" not in by_name and {row["type"] for row in by_name["holders"]} >= {"Ticket"}


def test_dead_objects_count_only_with_all(lab, story):
    stat, live = lab.reports(story.second, ["dumpheap -stat -type Ticket", "dumpheap -stat -live -type Ticket"])
    count = {key: next(t["count"] for t in report["types"] if t["type"] == "Ticket") for key, report in (("all", stat), ("live", live))}
    assert count["live"] == 7 and count["all"] >= 7
    assert at(diff(lab, story.first, story.second), "types", type="Ticket")["after_count"] == count["live"]
    report = diff(lab, story.first, story.second, "--all")
    assert at(report, "types", type="Ticket")["after_count"] == count["all"] and all(t["counts_dead"] for t in report["targets"])
    dead = [row["growth_count"] for row in report["holders"] if (row["type"], row["name"]) == ("Ticket", "no root")]
    assert sum(dead) == count["all"] - count["live"]


@pytest.fixture(scope="module")
def dumps(lab, story):
    """The first and the second picture as .gcdump files."""
    paths = {which: lab.folder / f"story-{which}.gcdump" for which in ("first", "second")}
    for which, path in paths.items():
        lab.linger("snapshot", getattr(story, which), "-o", path)
    return paths


@pytest.mark.parametrize("before, after", [("dump", "snapshot"), ("snapshot", "dump"), ("dump", "dump")])
def test_a_gcdump_on_either_side_counts_exactly(lab, story, dumps, before, after):
    first, second = dumps["first"] if before == "dump" else story.first, dumps["second"] if after == "dump" else story.second
    report, whole = diff(lab, first, second), diff(lab, story.first, story.second)
    assert of_app(report) == of_app(whole) == {"Order": 500, "Ticket": 7}
    keys = "type", "assembly", "before_count", "after_count", "before_size", "after_size", "growth_count", "growth_size", "state"
    assert [[row[key] for key in keys] for row in report["types"]] == [[row[key] for key in keys] for row in whole["types"]]
    assert (report["before"], report["after"]) == (whole["before"], whole["after"])
    if before == after:  # Ways are those of both.
        assert {row["type"] for row in report["holders"]} >= {"Order"}
    else:
        assert "holders" not in report and any("by fields, which a .gcdump has not" in note for note in report["incomplete"])
        assert "by fields" in lab.linger("diff", first, second, "-by", "holder", status=3).err


def test_three_pictures_tell_what_grows_steadily(lab, story):
    report = diff(lab, story.first, story.second, story.app.pid)
    assert [t["kind"] for t in report["targets"]] == ["snapshot", "core", "process"]
    top = report["holders"][0]
    assert (top["type"], top["name"], top["grows"]) == ("Order", CACHE, True)
    assert [point["count"] for point in top["series"]] == [1000, 1500, 2000]
    assert (top["count_rate"], top["size_rate"], top["confidence"]) == (500, 500 * story.order, 0.75)
    ticket = at(report, "types", type="Ticket")
    assert ([point["count"] for point in ticket["series"]], ticket["grows"]) == ([0, 7, 7], False)
    text = lab.linger("diff", story.first, story.second, story.app.pid).out
    row = next(line for line in text.splitlines() if line.endswith(f"Order <- {CACHE}"))
    assert row.split()[3:7] == ["+1,000", f"+{1000 * story.order:,}", "+500", f"+{500 * story.order:,}"] and " 75% " in row
    assert "leak" not in text.replace(str(story.first.parent), "").replace("Leak-workstation", "")


def test_the_same_differs_in_nothing(lab, story):
    of_core = story.snapshot(story.second, "of-core")
    for one, other in [(story.second, story.second), (story.second, of_core), (of_core, story.second)]:
        report = diff(lab, one, other)
        assert report["types"] == [] and report["holders"] == [] and report["before"] == report["after"] > 0
    text = lab.linger("diff", story.second, of_core).out
    assert "No holder differs." in text and "No type differs." in text


def test_another_run_differs_in_what_the_app_says(lab, story):
    """Every address is another one, and the heap is laid out in another way."""
    other = Story(lab, mode="datas", suffix="-other")
    other.tell("orders 500", "tickets 7")
    report = diff(lab, story.second, other.app.pid)
    assert of_app(report) == {}
    assert not [row for row in report["holders"] if row["name"].startswith(("static OrderCache", "static Bus", "static Desk"))]
    other.tell("orders 250", "close")
    report = diff(lab, story.second, other.app.pid)
    assert of_app(report) == {"Order": 250, "Ticket": -7}
    assert at(report, "types", type="Ticket")["state"] == "gone"
    assert at(report, "holders", name="static Desk.open")["state"] == "gone"
    assert at(report, "holders", name=CACHE)["growth_count"] == 250
    other.app.kill()


def test_at_a_prompt_what_is_open_is_the_last(lab, story):
    there, = lab.linger("open", story.second, "-c", f"diff {story.first} --top=0", "--json").reports()
    here = diff(lab, story.first, story.second)
    assert there["types"] == here["types"] and there["holders"] == here["holders"] and there["targets"] == here["targets"]
    assert there["target"]["path"] == str(story.second) and here["target"] is None


def test_options(lab, story):
    one = lab.linger("diff", story.first, story.second, "-top", "1", "--json").reports()[0]
    assert len(one["types"]) == len(one["holders"]) == 1 and one["truncated"]["types"] > 1
    large = diff(lab, story.first, story.second, "-min", "10k")
    assert large["types"] and all(abs(row["growth_size"]) >= 10240 for row in large["types"] + large["holders"])
    assert "holders" not in diff(lab, story.first, story.second, "-by", "type")
    tsv = [line.split("\t") for line in lab.linger("diff", story.first, story.second, "--tsv", "-type", "Ticket").out.splitlines()]
    assert dict(zip(tsv[0], next(row for row in tsv[1:] if "Ticket" in row)))["growth_count"] == "7"
    assert "expected diff" in lab.linger("diff", story.first, status=2).err
    assert "cannot compare by 'colour'" in lab.linger("diff", story.first, story.second, "-by", "colour", status=2).err
    assert "no-such" in lab.linger("diff", story.first, "no-such.core", status=3).err


@pytest.mark.parametrize("name, mode", older("Leak"), ids=lambda value: value)
def test_older_runtimes(lab, name, mode):
    story = Story(lab, name, mode)
    first = story.snapshot(story.app.pid, "first")
    story.tell("orders 300", "tickets 5")
    report = diff(lab, first, story.app.pid)
    assert of_app(report) == {"Order": 300, "Ticket": 5}
    top = report["holders"][0]
    assert (top["type"], top["name"], top["growth_count"], top["growth_size"]) == ("Order", CACHE, 300, 300 * story.order)
    story.app.kill()


# ---- watch ----


class Watch:
    """A linger that takes a round for each line it is sent, and one to begin with."""

    def __init__(self, lab, *words):
        self.running = running([lab.linger_program, "watch", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        self.process = self.running.__enter__()
        return self

    def __exit__(self, *exception):
        return self.running.__exit__(*exception)

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def round(self):
        return test_schema.check(json.loads(self.process.stdout.readline()))

    def end(self):
        """Standard input ends; the rest of what it says."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        out, err = self.process.stdout.read(), self.process.stderr.read()
        assert self.process.wait(LIMIT) == 0, err
        return out, err


@pytest.fixture(scope="module")
def growing(lab):
    story = Story(lab, suffix="-watched")
    yield story
    story.app.kill()


def test_a_watch_tells_what_grows_per_step_and_what_holds_it(lab, growing):
    with Watch(lab, growing.app.pid, "-steps", "-graph", "--json") as watch:
        rounds = [watch.round()]
        for number in range(5):
            growing.tell("orders 70", f"garbage {500 * (number % 2)}")
            watch.step()
            rounds.append(watch.round())
        out, err = watch.end()
    assert out == "" and [r["round"] for r in rounds] == [1, 2, 3, 4, 5, 6] and {r["unit"] for r in rounds} == {"step"}
    assert rounds[0]["holders"] == rounds[1]["holders"] == rounds[1]["types"] == []
    for after in rounds[2:]:
        top = after["holders"][0]
        assert (top["type"], top["name"], top["grows"]) == ("Order", CACHE, True)
        assert (top["before_count"], top["growth_count"]) == (1000, 70 * (after["round"] - 1))
        assert (top["count_rate"], top["size_rate"]) == (70, 70 * growing.order)
        assert top["confidence"] == pytest.approx(1 - 0.5 ** (after["round"] - 1))
        assert not [row for row in after["types"] if row["type"] == "Ticket"]
        assert at(after, "types", type="Order")["growth_count"] == 70 * (after["round"] - 1)
    assert growing.app.is_running() and wait_until(lambda: process_state(growing.app.pid) == "S")


def test_a_watch_without_the_graph_counts_all_objects_by_type(lab, growing):
    with Watch(lab, growing.app.pid, "-steps", "--json", "-type", "Order") as watch:
        rounds = [watch.round()]
        for _ in range(3):
            growing.tell("orders 40")
            watch.step()
            rounds.append(watch.round())
        watch.end()
    last = rounds[-1]
    assert "holders" not in last and last["counts_dead"] and any("-graph" in sentence for sentence in last["incomplete"])
    order = at(last, "types", type="Order")
    assert (order["growth_count"], order["count_rate"], order["after_retained"]) == (120, 40, None)


def test_what_does_not_grow_is_not_told(lab, growing):
    with Watch(lab, growing.app.pid, "-steps", "-graph") as watch:
        for number in range(4):
            growing.tell(f"garbage {300 * (number % 2)}")
            watch.step()
        out, _ = watch.end()
    assert out.count("Round ") == 5 and out.count("No holder grows steadily.") == out.count("No type grows steadily.") == 3


def test_ctrl_c_ends_a_watch_with_what_there_is_and_nothing_is_left(lab, growing):
    with Watch(lab, growing.app.pid, "-every", "1h") as watch:
        first = watch.process.stdout.readline()
        assert first.startswith("Round 1, ") and " objects, " in first
        watch.process.send_signal(signal.SIGINT)
        out, err = watch.end()
    assert "told from the third round on" in out and growing.app.is_running()
    assert lab.linger("watch", growing.app.pid, "-every", "100ms", "-rounds", "2").out.count("Round ") == 2


def test_the_end_of_the_process_is_told_with_the_table_so_far(lab):
    story = Story(lab, suffix="-ends")
    with Watch(lab, story.app.pid, "-steps", "-graph", "--json") as watch:
        watch.round()
        for _ in range(2):
            story.tell("orders 100")
            watch.step()
            before = watch.round()
        story.app.kill()
        watch.step()
        last = watch.round()
        assert watch.process.wait(LIMIT) == 0  # By itself: standard input is still open.
        out, err = watch.end()
    assert f"process {story.app.pid} has ended: this is of the 3 rounds before" in last["incomplete"]
    assert last["round"] == 3 and last["holders"] == before["holders"] != [] and last["types"] == before["types"] and out == ""


def test_what_cannot_be_watched_is_refused(lab, story):
    assert "only what runs can be watched" in lab.linger("watch", story.second, status=2).err
    for words, what in [(["-every", "1ms"], "100 ms"), (["-rounds", "0"], "no round"), (["-steps", "-every", "1s"], "exclude"), (["-for", "soon"], "duration")]:
        assert what in lab.linger("watch", story.app.pid, *words, status=2).err
    assert "standard input is the prompt's" in lab.linger("open", story.app.pid, "-c", "watch -steps", status=2).err
    assert lab.linger("open", story.app.pid, "-c", "watch -every 100ms -rounds 3 -graph").out.count("Round ") == 3
