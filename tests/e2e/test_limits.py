"""`limits`: the same app under each setting in each place, against what it says of itself; bounds against /proc, and in
control groups that the tests make."""
import contextlib
import json
import os
import pathlib
import resource
import subprocess

import pytest

from lab import is_removed, wait_until
from test_schema import check

# Setting of ours -> key of GC.GetConfigurationVariables(), where both mean the same.
VARIABLES = {
    "gcServer": "ServerGC", "gcConcurrent": "ConcurrentGC", "GCRetainVM": "RetainVM", "GCNoAffinitize": "NoAffinitize",
    "GCLargePages": "GCLargePages", "GCLOHThreshold": "LOHThreshold", "GCMaxHeapCount": "MaxHeapCount",
    "GCHighMemPercent": "GCHighMemPercent", "GCHeapHardLimit": "GCHeapHardLimit", "GCHeapHardLimitPercent": "GCHeapHardLimitPercent",
    "GCHeapHardLimitSOH": "GCHeapHardLimitSOH", "GCHeapHardLimitLOH": "GCHeapHardLimitLOH",
    "GCHeapHardLimitPOH": "GCHeapHardLimitPOH", "GCHeapHardLimitSOHPercent": "GCHeapHardLimitSOHPercent",
    "GCHeapHardLimitLOHPercent": "GCHeapHardLimitLOHPercent", "GCHeapHardLimitPOHPercent": "GCHeapHardLimitPOHPercent",
    "GCConserveMemory": "GCConserveMem", "GCName": "GCName", "GCPath": "GCPath", "GCHeapAffinitizeRanges": "GCHeapAffinitizeRanges",
}
MIB = 1 << 20


class Run:
    def __init__(self, lab, app):
        self.truth, self.pid = app.truth, app.pid
        self.report = check(lab.linger("limits", app.pid, "--json").reports()[0])
        self.settings = {row["name"]: row for row in self.report["settings"]}

    def value(self, name):
        return self.settings[name]["value"]

    def source(self, name):
        return self.settings[name]["source"]

    def bounds(self, name):
        return [row for row in self.report["bounds"] if row["name"] == name]


def spelled(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def compare(run):
    """Whatever the app can say of itself, linger says."""
    said, truth = run.settings, run.truth["variables"]
    wrong = {name: (said[name], truth[key]) for name, key in VARIABLES.items() if said[name]["value"] != spelled(truth[key])}
    assert not wrong
    assert run.report["total_available"] == run.truth["available"]
    assert run.report["high_memory"] == run.truth["high"]
    assert run.value("PROCESSOR_COUNT") == str(run.truth["processors"])
    if run.truth["server"]:
        assert run.value("GCDynamicAdaptationMode") == str(truth["GCDynamicAdaptationMode"])
    if not run.truth["server"] or not truth["GCDynamicAdaptationMode"]:
        assert run.value("GCHeapCount") == str(truth["HeapCount"])
    if truth.get("GCRegionRange"):
        least = int(run.value("GCRegionSize"))
        assert 0 <= truth["GCRegionRange"] - int(run.value("GCRegionRange")) < 2 * least
    if truth.get("GCRegionSize"):
        assert run.value("GCRegionSize") == str(truth["GCRegionSize"])
    if run.source("GCGen0MaxBudget") is not None:
        assert run.value("GCGen0MaxBudget") == str(truth["GCGen0MaxBudget"])
    if not truth["GCHeapAffinitizeRanges"]:
        assert int(run.value("GCHeapAffinitizeMask"), 16) == truth["GCHeapAffinitizeMask"]
    assert run.report["incomplete"] == []


@contextlib.contextmanager
def started(lab, **keywords):
    app = lab.start("Limits", **keywords)
    try:
        yield app
    finally:
        app.kill()


def configured(lab, tmp_path, properties):
    """Words to run the app with a runtimeconfig.json of these properties."""
    file = json.loads(lab.program("Limits").with_suffix(".runtimeconfig.json").read_text())
    file["runtimeOptions"]["configProperties"] = properties
    path = tmp_path / "other.runtimeconfig.json"
    path.write_text(json.dumps(file))
    return {"host": ["dotnet", "exec", "--runtimeconfig", path], "suffix": ".dll"}


def test_defaults_and_a_property_from_msbuild(lab):
    with started(lab) as app:
        run = Run(lab, app)
    compare(run)
    assert (run.value("GCRetainVM"), run.source("GCRetainVM")) == ("true", "AppContext")
    assert run.source("GCConserveMemory") == "default"
    assert run.report["settings"][0]["source"] == "runtime"


ENVIRONMENTS = {
    "hexadecimal": ({"DOTNET_GCHeapHardLimit": "0xC800000", "DOTNET_GCHighMemPercent": "50", "DOTNET_GCConserveMemory": " 3",
                     "DOTNET_GCLOHThreshold": "20000", "DOTNET_gcConcurrent": "0", "DOTNET_GCgen0size": "4000000",
                     "DOTNET_GCRetainVM": "0", "DOTNET_TieredCompilation": "0"},
                    {"GCHeapHardLimit": "209715200", "GCHighMemPercent": "80", "GCConserveMemory": "3", "GCLOHThreshold": "131072",
                     "gcConcurrent": "false", "GCgen0size": "67108864", "GCRetainVM": "false", "TieredCompilation": "false"}),
    "old prefix, empty, no number": ({"DOTNET_GCHighMemPercent": "", "COMPlus_GCHighMemPercent": "40", "DOTNET_GCConserveMemory": "zz",
                                      "COMPlus_GCConserveMemory": "4", "DOTNET_gcServer": "true", "DOTNET_PROCESSOR_COUNT": "0x10"},
                                     {"GCHighMemPercent": "64", "gcServer": "false"}),
    "DATAS": ({"DOTNET_gcServer": "1", "DOTNET_GCMaxHeapCount": "2", "DOTNET_GCGen0MaxBudget": "2000000"},
              {"gcServer": "true", "GCDynamicAdaptationMode": "1", "GCGen0MaxBudget": "33554432"}),
    "server": ({"DOTNET_gcServer": "1", "DOTNET_GCDynamicAdaptationMode": "0", "DOTNET_GCHeapAffinitizeMask": "1",
                "DOTNET_GCTotalPhysicalMemory": "40000000"},
               {"GCHeapHardLimit": str(0x40000000 * 75 // 100), "GCTotalPhysicalMemory": str(0x40000000)}),
    "limits of each heap": ({"DOTNET_GCHeapHardLimitSOH": "8000000", "DOTNET_GCHeapHardLimitLOH": "6000000",
                             "DOTNET_GCHeapHardLimitPOH": "2000000", "DOTNET_GCHeapHardLimitPercent": "5"},
                            {"GCHeapHardLimit": str(0x10000000)}),
    "percentages of each heap": ({"DOTNET_GCHeapHardLimitSOHPercent": "A", "DOTNET_GCHeapHardLimitLOHPercent": "A",
                                  "DOTNET_GCHeapHardLimitPOHPercent": "5"}, {"GCHeapHardLimitSOHPercent": "10"}),
    "segments": ({"DOTNET_GCName": "libclrgc.so"}, {"GCName": "libclrgc.so", "GCRegionRange": None}),
    "one processor": ({"DOTNET_gcServer": "1", "DOTNET_PROCESSOR_COUNT": "1"}, {"gcServer": "false", "PROCESSOR_COUNT": "1"}),
    "range and size": ({"DOTNET_GCRegionRange": "100000000", "DOTNET_GCRegionSize": "200000"}, {"GCRegionSize": str(2 * MIB)}),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment(lab, name):
    environment, expected = ENVIRONMENTS[name]
    with started(lab, mode=environment) as app:
        run = Run(lab, app)
    compare(run)
    assert {key: run.value(key) for key in expected} == expected
    for variable, value in environment.items():
        setting = run.settings[variable.split("_", 1)[1]]
        if setting["source"] == "environment":
            assert setting["from"].split("=", 1)[0] in environment
    if name == "one processor":
        assert "DOTNET_gcServer=1 asks for true" in run.settings["gcServer"]["differs"]


PROPERTIES = {
    "numbers": ({"System.GC.HeapHardLimit": 209715200, "System.GC.HighMemoryPercent": 70, "System.GC.ConserveMemory": 5,
                 "System.GC.LOHThreshold": 200000, "System.GC.Concurrent": False, "System.GC.Gen0Size": 67108864},
                {"GCHeapHardLimit": "209715200", "GCHighMemPercent": "70", "gcConcurrent": "false", "GCgen0size": None}),
    "text": ({"System.GC.HeapHardLimit": "0xC800000", "System.GC.HighMemoryPercent": "0110", "System.GC.Server": True,
              "System.GC.NoAffinitize": True, "System.GC.HeapCount": 2, "System.GC.RetainVM": "TRUE"},
             {"GCHeapHardLimit": "209715200", "GCHighMemPercent": "72", "gcServer": "true", "GCNoAffinitize": "true",
              "GCRetainVM": "false"}),
    "percent, and what is none": ({"System.GC.HeapHardLimitPercent": 10, "System.GC.ConserveMemory": "many", "System.GC.Server": "1"},
                                  {"GCHeapHardLimitPercent": "10", "GCConserveMemory": "0", "gcServer": "false"}),
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_runtimeconfig(lab, tmp_path, name):
    properties, expected = PROPERTIES[name]
    with started(lab, **configured(lab, tmp_path, properties)) as app:
        run = Run(lab, app)
    compare(run)
    assert {key: run.value(key) for key in expected} == expected
    assert "AppContext" in {row["source"] for row in run.report["settings"]}


def test_places_that_contradict_each_other(lab, tmp_path):
    properties = {"System.GC.Concurrent": True, "System.GC.HeapHardLimit": 209715200, "System.GC.ConserveMemory": 2,
                  "System.GC.RetainVM": True, "System.GC.HighMemoryPercent": 60}
    words = configured(lab, tmp_path, properties)
    environment = {"DOTNET_gcConcurrent": "0", "DOTNET_GCHeapHardLimit": "10000000", "DOTNET_GCConserveMemory": "zz", "DOTNET_GCRetainVM": "zz"}
    with started(lab, mode=environment, **words) as app:
        configured(lab, tmp_path, {**properties, "System.GC.HighMemoryPercent": 61})  # Too late for the runtime.
        run = Run(lab, app)
    compare(run)
    differs = {name: row["differs"] for name, row in run.settings.items() if row["differs"]}
    assert "wins" in differs["gcConcurrent"] and "the environment wins" in differs["GCHeapHardLimit"]
    assert "is no number" in differs["GCConserveMemory"] and "is 61 in" in differs["GCHighMemPercent"]


def test_a_limit_that_the_program_changed_is_unknown(lab):
    with started(lab, arguments=["--refresh", 300 * MIB]) as app:
        run = Run(lab, app)
    assert app.truth["available"] == 300 * MIB
    assert run.value("GCHeapHardLimit") is None and "RefreshMemoryLimit" in run.settings["GCHeapHardLimit"]["effect"]
    assert run.report["hard_limit"] is None and run.report["total_available"] is None


def test_the_bounds_are_those_of_proc(lab):
    with started(lab) as app:
        resource.prlimit(app.pid, resource.RLIMIT_NOFILE, (1234, 4321))
        resource.prlimit(app.pid, resource.RLIMIT_DATA, (1 << 40, 1 << 40))
        app.stop()  # What it has open and mapped stays as it is.
        run = Run(lab, app)
        proc = pathlib.Path(f"/proc/{app.pid}")
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        files, mappings = len(list((proc / "fd").iterdir())), len((proc / "maps").read_text().splitlines())
    bounds = {row["name"]: row for row in run.report["bounds"]}
    assert (bounds["open files"]["limit"], bounds["open files"]["current"]) == (1234, files)
    assert bounds["data"]["limit"] == 1 << 40
    assert abs(bounds["data"]["current"] - int(status["VmData"].split()[0]) * 1024) < 64 * MIB  # It runs on.
    assert abs(bounds["mappings"]["current"] - mappings) < 100
    assert bounds["mappings"]["limit"] == int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
    meminfo = dict(line.split(":", 1) for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
    assert bounds["physical memory"]["limit"] == int(meminfo["MemTotal"].split()[0]) * 1024
    for row in run.report["bounds"]:
        if row["limit"] is not None and row["current"] is not None:
            assert row["headroom"] == max(0, row["limit"] - row["current"])
    assert abs(bounds["managed heap"]["current"] - app.truth["committed"]) < 4 * MIB


def test_a_program_without_dotnet_has_bounds_only(lab):
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            report = check(lab.linger("limits", process.pid, "--json").reports()[0])
            text = lab.linger("limits", process.pid).out
        finally:
            process.kill()
    assert report["settings"] == [] and report["incomplete"] == [] and report["hard_limit"] is None
    assert {"open files", "mappings", "physical memory"} <= {row["name"] for row in report["bounds"]}
    assert "Smallest headroom" in text and "SETTING" not in text


def test_a_core_tells_its_settings(lab):
    core = lab.core("Leak", "datas")
    report = check(lab.linger("limits", core, "--json").reports()[0])
    settings = {row["name"]: row for row in report["settings"]}
    assert settings["gcServer"]["value"] == "true" and settings["gcServer"]["from"] == "DOTNET_gcServer=1"
    assert settings["GCDynamicAdaptationMode"]["source"] == "runtime"
    assert settings["GCConserveMemory"] == {**settings["GCConserveMemory"], "value": "0", "source": "default"}
    assert settings["GCTotalPhysicalMemory"]["value"] is None and report["total_available"] is None
    assert [row["name"] for row in report["bounds"]] == ["managed heap"]
    assert any("control groups" in sentence for sentence in report["incomplete"])
    (at_prompt,) = lab.reports(core, ["limits"])
    assert check(at_prompt)["settings"] == report["settings"]


def test_a_stopped_process_and_one_that_is_gone(lab):
    with started(lab) as app:
        app.stop()
        run = Run(lab, app)
        app.go_on()
        compare(run)
    assert "no such process" in lab.linger("limits", app.pid, status=3).err


# ---- control groups ----

def memory_group():
    """A fresh group of ours and the name of its limit's file, or a skip that says why not."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        root, mount = fields.split()[3:5]
        kind, _, options = rest.split()[:3]
        version = 2 if kind == "cgroup2" else 1
        if kind == "cgroup" and "memory" in options.split(",") or kind == "cgroup2" and (
                pathlib.Path(mount) / "cgroup.controllers").exists() and "memory" in (pathlib.Path(mount) / "cgroup.controllers").read_text().split():
            return version, pathlib.Path(mount)
    pytest.skip("no control group hierarchy with the memory controller is mounted")


@contextlib.contextmanager
def group(inner):
    version, mount = memory_group()
    name = f"linger-test-{os.getpid()}"
    top = mount / name
    folders = [top, top / inner] if inner else [top]
    made = []
    try:
        try:
            for folder in folders:
                folder.mkdir()
                made.append(folder)
                if version == 2:
                    (folder.parent / "cgroup.subtree_control").write_text("+memory")
            limit = top / ("memory.max" if version == 2 else "memory.limit_in_bytes")
            limit.write_text(str(512 * MIB))
        except OSError as e:
            pytest.skip(f"control groups are not ours to make: {e}")
        yield made[-1], limit
    finally:
        assert all(wait_until(lambda: is_removed(folder)) for folder in reversed(made))


def inside(folder):
    return ["sh", "-c", f'echo $$ > "{folder}/cgroup.procs" && exec "$@"', "sh"]


def test_a_control_group_bounds_memory_and_the_heap(lab):
    with group("") as (folder, limit), started(lab, host=inside(folder)) as app:
        run = Run(lab, app)
        compare(run)
        (row,) = run.bounds("cgroup memory")
        assert row["limit"] == 512 * MIB and 0 < row["current"] < 512 * MIB and folder.name in row["where"]
        assert run.report["hard_limit"] == 384 * MIB and run.source("GCHeapHardLimit") == "default"
        assert "75 %" in run.settings["GCHeapHardLimit"]["effect"]
        assert run.report["nearest"] in ("cgroup memory", "managed heap")
        # The GC keeps what it computed on starting; linger cannot know whether it was asked to refresh it.
        limit.write_text(str(1024 * MIB))
        later = Run(lab, app)
        assert later.bounds("cgroup memory")[0]["limit"] == 1024 * MIB
        assert later.value("GCHeapHardLimit") is None and "set aside" in later.settings["GCHeapHardLimit"]["effect"]


def test_the_limit_of_a_group_above_counts(lab):
    with group("inner") as (folder, limit), started(lab, host=inside(folder)) as app:
        run = Run(lab, app)
        compare(run)
        (row,) = run.bounds("cgroup memory")
        assert row["limit"] == 512 * MIB and not row["where"].split()[0].endswith("inner")
        assert run.report["hard_limit"] == 384 * MIB
