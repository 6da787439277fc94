"""Whose memory it is: vadump against what an app allocates in known places."""
import collections
import json
import re

import pytest

PAGE = 4096


def vadump(lab, app):
    report, = lab.linger("vadump", app.pid, "-detail", "--json").reports()
    return report


# ---- known amounts in known places ----

class Planted:
    """What vadump says before, after data were allocated, and after code and stacks were."""

    def __init__(self, lab):
        self.go = lab.folder / "memory.go"
        environment = {"DOTNET_PerfMapEnabled": "3", "DOTNET_PerfMapJitDumpPath": str(lab.folder)}
        self.app = lab.start("Memory", environment, ["--go", self.go], seconds=300)
        try:
            self.before = vadump(lab, self.app)
            self.go.touch()
            self.data = json.loads(self.app.line())["data"]
            self.between = vadump(lab, self.app)
            self.go.with_name("memory.go.code").touch()
            self.code = json.loads(self.app.line())["code"]
            self.after = vadump(lab, self.app)
            self.methods = self.read_methods(lab.folder / f"perf-{self.app.pid}.map")
        finally:
            self.app.kill()

    @staticmethod
    def read_methods(path):
        """Start and size of everything that the JIT compiled: the runtime's own list. Stubs are named so."""
        words = [line.split(" ", 2) for line in path.read_text().splitlines()]
        return [(int(start, 16), int(size, 16), name) for start, size, name in words if not name.startswith("stub")]


@pytest.fixture(scope="module")
def planted(lab):
    return Planted(lab)


def total(report, belongs):
    return sum(row["total"] for row in report["rows"] if belongs(row))


def named(name):
    return lambda row: row["name"] == name


def assert_grown(before, after, belongs, amount):
    grown = total(after, belongs) - total(before, belongs)
    assert abs(grown - amount) <= amount / 50, [row for row in after["rows"] if belongs(row)]


@pytest.mark.parametrize("place, row", [("small", "GC heap gen2"), ("large", "GC heap LOH"), ("pinned", "GC heap POH")])
def test_objects_are_in_the_row_of_their_generation(planted, place, row):
    assert_grown(planted.before, planted.between, named(row), planted.data[place])


def test_native_memory_of_threads_is_in_their_malloc_arenas(planted):
    assert_grown(planted.before, planted.between, lambda row: row["kind"].startswith("malloc"), planted.data["malloc"])


def test_a_mapped_file_is_a_row_of_its_own(planted):
    assert_grown(planted.before, planted.between, named(planted.data["file_path"]), planted.data["file"])


def test_anonymous_memory_of_nobody_is_listed_with_its_address(planted):
    at = int(planted.data["anonymous_at"], 16)
    row, = [row for row in planted.between["rows"] if row["kind"] == "unknown" and row["start"] and int(row["start"], 16) <= at < int(row["end"], 16)]
    assert abs(row["total"] - planted.data["anonymous"]) <= planted.data["anonymous"] / 50


def test_stacks_are_in_the_rows_of_their_threads(planted):
    def is_deep(row):
        return row["kind"] in ("thread stack", "thread control block") and re.search(r" deep\d+\b", row["name"])
    assert_grown(planted.between, planted.after, is_deep, planted.code["stacks"])
    assert len([row for row in planted.after["rows"] if is_deep(row) and row["kind"] == "thread stack"]) == planted.code["threads"]


def test_a_big_assembly_is_in_the_rows_of_its_file(planted):
    name = planted.code["assembly_path"].rsplit("/", 1)[1]
    assert_grown(planted.between, planted.after, lambda row: row["name"].startswith(name), planted.code["assembly"])


def test_code_of_dynamic_methods_is_in_the_row_of_the_jit(planted):
    assert len([name for _, _, name in planted.methods if "::Planted" in name]) == planted.code["dynamic_methods"]
    pages = {page for start, size, _ in planted.methods for page in range(start // PAGE, (start + size - 1) // PAGE + 1)}
    amount = PAGE * len(pages)
    said = total(planted.after, named("JIT code"))
    assert abs(said - amount) <= amount / 50, (said, amount)


# ---- nobody's memory ----

@pytest.mark.parametrize("mode", ["workstation", "server", "datas"])
def test_of_a_service_under_load_next_to_nothing_is_of_unknown_owner(lab, mode):
    app = lab.start("Web", mode, ["--self-load", 60], seconds=120)
    try:
        report = vadump(lab, app)
    finally:
        app.kill()
    kinds = collections.Counter()
    for row in report["rows"]:
        kinds[row["kind"]] += row["total"]
    assert report["unknown"] <= report["rss"] / 50, kinds
    assert report["unknown"] == kinds["unknown"]
