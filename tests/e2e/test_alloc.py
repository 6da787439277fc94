"""`alloc`: every survivor was made where linger says, by what the object itself says.

An app makes objects at known sites, on command, with collections of every kind in between; each object of the class `Planted` has
the number of its site in its first field. Afterwards nothing moves any more, so that field can be read where linger says
that the object is."""
import collections
import contextlib
import ctypes
import errno
import json
import math
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

import lab as lab_module
from pprof import Profile
from test_schema import check as validate

PLACES = ["", "Constructor", "Factory", "Async", "Generic", "GenericOther", "Lambda", "StaticInitialiser", "Threads", "Local", "Iterator"]
# The innermost frames of each site; the caller stands there where the compiler put one into the other.
METHODS = {
    "Constructor": r"Holder\.\.ctor",
    "Factory": r"OrderFactory\.Create",
    "Async": r"async OrderService\.Submit",
    "Generic": r"Generic<System\.__Canon>\.Make",
    "GenericOther": r"Generic<System\.Int32>\.Make",
    "Lambda": r"Program\.<lambda in Leak>",
    "StaticInitialiser": r"Initialised\.Fill",
    "Threads": r"Program\.Worker",
    "Local": r"Program\.<Local in Round>",
    "Iterator": r"iterator Program\.Several|Program\.Round",
}
ROUNDS = 8


class Sites:
    """The app, and linger that follows it."""

    def __init__(self, lab, name, mode):
        self.lab, self.started = lab, contextlib.ExitStack()
        environment = lab_module.clean_environment(lab_module.MODES[mode])
        self.app = self.started.enter_context(lab_module.running([lab.program(name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment))
        assert self.app.stdout.readline() == f"ready {self.app.pid}\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.started.close()

    def ask(self, line):
        self.app.stdin.write(line + "\n")
        self.app.stdin.flush()
        return self.app.stdout.readline()

    def follow(self, *options):
        linger = self.started.enter_context(lab_module.running([self.lab.linger_program, "alloc", self.app.pid, "--json", "-top", "0", *options],
                                                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        said = linger.stderr.readline()
        assert said.startswith(f"following {self.app.pid}"), said + linger.communicate()[1]
        return linger

    def site_of(self, address):
        with open(f"/proc/{self.app.pid}/mem", "rb", 0) as memory:
            memory.seek(int(address, 16) + 8)
            return PLACES[int.from_bytes(memory.read(8), "little")]


def end(linger):
    linger.send_signal(signal.SIGINT)
    out, err = linger.communicate(timeout=300)
    assert linger.returncode == 0, err
    report = json.loads(out)
    validate(report)
    return report


FACTS = ["samples", "tracked", "confirmed", "alive", "gcs", "background_gcs", "became_blocking", "moved", "lost_events", "dropped_lost",
         "missing_gcs", "dropped_missing", "dropped_confused", "dropped_background", "dropped_window", "unplaced", "frames", "unknown_frames"]


def facts(report):
    return {name: report[name] for name in FACTS}


def check_planted(sites, report):
    found = set()
    for survivor in report["survivors"]:
        row = report["sites"][survivor["site"]]
        if row["type"] != "Planted":
            continue
        place = sites.site_of(survivor["address"])
        if row["stack"][0]["method"] is None:
            continue
        if row["stack"][0]["method"] is None:  # Told as unknown, and counted as such.
            continue
        assert re.match(METHODS[place], row["stack"][0]["method"]), (place, row["stack"][:3], survivor)
        assert row["stack"][0]["module"] == "Sites.dll"
        found.add(place)
    return found


def others(report, kind):
    """Innermost methods of the app at the sites of a type."""
    return {next(frame["method"] for frame in row["stack"] if frame["module"] == "Sites.dll") for row in report["sites"]
            if row["type"] == kind and row["survivors"] and any(frame["module"] == "Sites.dll" for frame in row["stack"])}


def made(report, kind):
    """Estimate of how many objects of a type were made, with its deviation; every sample stands for one over its share."""
    rows = [row for row in report["sites"] if row["type"] == kind]
    return sum(row["made_count"] for row in rows), sum(row["samples"] for row in rows)


HEAPS = [("Sites", "workstation"), ("Sites", "server"), ("Sites", "datas"), ("Sites", "segments"), ("Sites@9", "workstation"), ("Sites@9", "datas"),
         ("Sites@9", "segments"), ("Sites@8", "workstation"), ("Sites@8", "server"), ("Sites@8", "segments")]


@pytest.mark.parametrize("name, mode", HEAPS)
def test_survivors_were_made_where_they_say(lab, name, mode):
    with Sites(lab, name, mode) as sites:
        linger = sites.follow("-all")
        assert sites.ask(f"leak {ROUNDS}") == "leaked\n"
        report = end(linger)
        assert report["ended_by"] == "an interrupt"
        assert report["sampling"] == ("AllocationSampled" if name == "Sites" else "AllocationTick")
        assert report["lost_events"] == 0, facts(report)
        # The runtime may leave a few in doubt, and they are told as unknown: code that goes on in a place of other code, an object that died unseen.
        assert report["unplaced"] <= 0.01 * report["samples"] and report["unknown_frames"] <= 0.05 * report["frames"], facts(report)
        assert report["gcs"] >= ROUNDS and report["moved"] > 0, facts(report)
        assert report["tracked"] >= report["confirmed"] >= 0.99 * report["tracked"], facts(report)
        found = check_planted(sites, report)
        assert "StaticInitialiser" in found and len(found) >= 3
        assert others(report, "System.Byte[]") <= {"Program.SmallArray", "Program.Round"}
        assert "Program.LargeObject" in others(report, "System.Int32[]") | {"Program.LargeObject" if "System.Int32[]" not in
                                                                            {row["type"] for row in report["sites"]} else ""}
        holders = {row["holder"] for row in report["sites"] if row["type"] == "Planted" and row["survivors"]}
        assert holders <= {"static Program.kept -> List items", "static Initialised.Items -> Planted[] items"}
        truth = json.loads(sites.ask("truth"))
        total = sum(truth[place] for place in PLACES[1:])
        count = sum(row["count"] for row in report["sites"] if row["type"] == "Planted")
        assert 0 < count < 3 * total
        for row in (row for row in report["sites"] if row["survivors"] == 0):  # As many as 3.7 samples stand for may have been missed.
            assert row["bytes"] == row["bytes_low"] == row["count_low"] == 0
            assert row["bytes_high"] == pytest.approx(3.688879 * row["made_bytes"] / row["samples"], rel=0.01, abs=8)
        # By chance: six deviations, once in 500 million runs.
        if report["sampling"] == "AllocationSampled":
            estimate, samples = made(report, "System.Byte[]")
            exact = ROUNDS * 800 * 201  # Garbage() and SmallArray()
            assert abs(estimate / exact - 1) < 6 * 1.3 / math.sqrt(samples)


def test_a_target_that_ends_tells_what_was_made_and_no_survivors(lab):
    with Sites(lab, "Sites", "workstation") as sites:
        linger = sites.follow()
        assert sites.ask("leak 2") == "leaked\n"
        sites.app.kill()
        out, err = linger.communicate(timeout=300)
        report = json.loads(out)
        validate(report)
        assert report["ended_by"] == "the end of the session" and report["survivors"] == []
        assert any("which objects are alive is unknown" in sentence for sentence in report["incomplete"])
        assert all(row["survivors"] is None for row in report["sites"])


@pytest.mark.parametrize("name", ["Sites", "Sites@8"])
def test_lost_events_cost_samples_and_never_make_a_wrong_site(lab, name):
    with Sites(lab, name, "workstation") as sites:
        linger = sites.follow("-all", "-buffer", "1")
        try:
            linger.send_signal(signal.SIGSTOP)
            assert lab_module.wait_until(lambda: lab_module.process_state(linger.pid) == "T", 60)
            assert sites.ask("leak 24") == "leaked\n"  # Some 5 MB of events: four times what there is room for.
            linger.send_signal(signal.SIGCONT)
            assert sites.ask("leak 4") == "leaked\n"
            report = end(linger)
        finally:
            linger.kill()
        assert report["lost_events"] > 0, facts(report)
        assert any("events were lost" in sentence for sentence in report["incomplete"])
        assert report["confirmed"] <= report["tracked"] <= report["samples"], facts(report)
        check_planted(sites, report)


def shut_down_stream(pid):
    """Ends the connection of a process, as if its other end had: through copies of its descriptors. Whether it has one."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            fd = libc.syscall(438, pidfd, int(name), 0)  # pidfd_getfd
            if fd < 0:
                assert ctypes.get_errno() == errno.EBADF, os.strerror(ctypes.get_errno())  # It was there for a moment.
                continue
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.close(fd)
                continue
            with socket.socket(fileno=fd) as stream:
                stream.shutdown(socket.SHUT_RDWR)
                return True
        return False
    finally:
        os.close(pidfd)


def test_a_session_that_is_cut_has_no_survivors(lab):
    with Sites(lab, "Sites", "workstation") as sites:
        linger = sites.follow()
        try:
            assert sites.ask("leak 2") == "leaked\n"
            assert shut_down_stream(linger.pid)
            out, err = linger.communicate(timeout=300)
        finally:
            linger.kill()
        assert linger.returncode == 0, err
        report = json.loads(out)
        validate(report)
        assert report["ended_by"] == "the end of the session" and report["survivors"] == []
        assert any("which objects are alive is unknown" in sentence for sentence in report["incomplete"])


def test_a_process_whose_socket_is_gone_has_a_report_when_it_ends(lab):
    """One that ends takes it away first, and cannot be asked to stop a session any more."""
    with Sites(lab, "Sites", "workstation") as sites:
        linger = sites.follow()
        assert sites.ask("leak 2") == "leaked\n"
        for name in pathlib.Path(os.environ.get("TMPDIR", "/tmp")).glob(f"dotnet-diagnostic-{sites.app.pid}-*-socket"):  # Killed processes leave theirs.
            name.unlink()
        linger.send_signal(signal.SIGINT)
        time.sleep(1)  # Whether it has been looked at by now changes nothing of this.
        sites.app.stdin.write("exit 0\n")
        sites.app.stdin.flush()
        out, err = linger.communicate(timeout=300)
        assert linger.returncode == 0 and validate(json.loads(out))["samples"] > 0, err


def alloc(lab, file, *options):
    done = subprocess.run([str(lab.linger_program), "alloc", str(file), "--json", *options], stdout=subprocess.PIPE, text=True, check=True)
    report = json.loads(done.stdout)
    validate(report)
    return report


def check_pprof(lab, file, out, folded):
    """The same stacks and bytes as in the other export, which has the type for a frame."""
    alloc(lab, file, "-o", str(out))
    profile = Profile(out)
    assert profile.types == [("alloc_objects", "count"), ("alloc_space", "bytes")] and profile.default == "alloc_space"
    stacks, others = collections.Counter(), collections.Counter()
    for (path, values), places, labels in zip(profile.samples, profile.places, profile.labels):
        frames = [f"{method} ({place})" if place else method for method, place in zip(path, places)]
        stacks[";".join([*frames, labels["type"]])] += values[1]
    for line in folded.read_text().splitlines():
        others[line.rsplit(" ", 1)[0]] += int(line.rsplit(" ", 1)[1])
    assert stacks == pytest.approx(others, abs=len(profile.samples)) and len(stacks) > 3
    assert profile.modules["Program.Main"] == "Sites.dll" and "System.Private.CoreLib.dll" in profile.modules.values()


def check_tree(lab, file, report):
    """What is below a row sums up to it, and all of it to what all types were made of."""
    def close(value):
        return pytest.approx(value, abs=len(rows) + len(report["sites"]))
    whole = alloc(lab, file, "-tree", "-min", "0")
    rows = whole["tree"]
    assert rows[0]["depth"] == 0 and rows[0]["bytes"] is None and rows[0]["calls"] == "(all)"
    assert rows[0]["samples"] == sum(row["samples"] for row in report["sites"])
    assert rows[0]["made_bytes"] == close(sum(row["made_bytes"] for row in report["sites"]))
    parents = []
    for row in rows:
        del parents[row["depth"]:]
        assert len(parents) == row["depth"] and row["smaller"] is None
        if parents:
            parents[-1].append(row)
        row["below"] = []
        parents.append(row["below"])
    for row in rows:
        assert not row["below"] or len(row["below"]) > 1 or row is rows[0]
        assert (row["type"] is not None) == (row["below"] == [])
        for key in "samples", "made_count", "made_bytes":
            assert not row["below"] or row[key] == close(sum(below[key] for below in row["below"]))
        weights = [below["made_bytes"] for below in row["below"]]
        assert weights == sorted(weights, reverse=True)
    planted = [row for row in rows if row["type"] == "Planted" and row["frames"] and row["frames"][-1]["method"] == "async OrderService.Submit"]
    assert all(row["calls"].endswith("async OrderService.Submit -> new Planted") for row in planted)
    cut = alloc(lab, file, "-tree", "-depth", "2", "-min", "50")["tree"]
    assert {row["depth"] for row in cut} == {0, 1, 2} and cut[0] == {key: value for key, value in rows[0].items() if key != "below"}
    assert all(row["smaller"] or row["made_bytes"] + 1 >= cut[0]["made_bytes"] / 2 for row in cut)
    for depth in 1, 2:
        assert sum(row["samples"] for row in cut if row["depth"] == depth) <= cut[0]["samples"]


def test_a_recorded_file_tells_what_was_made(lab, tmp_path):
    file, folded, speedscope = tmp_path / "x.nettrace", tmp_path / "x.folded", tmp_path / "x.speedscope.json"
    with Sites(lab, "Sites", "workstation") as sites:
        linger = sites.follow("-o", str(file), "-all", "-by", "type")
        assert sites.ask("leak 2") == "leaked\n"
        live = end(linger)
    for out in folded, speedscope:
        done = subprocess.run([str(lab.linger_program), "alloc", str(file), "--json", "-top", "0", "-by", "type", "-o", str(out)],
                              stdout=subprocess.PIPE, text=True, check=True)
    report = json.loads(done.stdout)
    validate(report)
    assert report["samples"] == live["samples"] and report["gcs"] == live["gcs"] and report["target"] is None
    weights = {line.rsplit(";", 1)[1].rsplit(" ", 1)[0]: 0 for line in folded.read_text().splitlines()}
    for line in folded.read_text().splitlines():
        stack, weight = line.rsplit(" ", 1)
        weights[stack.rsplit(";", 1)[1]] += float(weight)
    assert weights["Planted"] == pytest.approx(next(row["made_bytes"] for row in report["sites"] if row["type"] == "Planted"), abs=len(weights) + 100)
    profile = json.loads(speedscope.read_text())
    assert sum(profile["profiles"][0]["weights"]) == pytest.approx(sum(weights.values()), rel=1e-6)
    assert all(index < len(profile["shared"]["frames"]) for sample in profile["profiles"][0]["samples"] for index in sample)
    check_pprof(lab, file, tmp_path / "x.pb.gz", folded)
    check_tree(lab, file, report)

    def refuse(*args):
        done = subprocess.run([str(lab.linger_program), "alloc", *map(str, args)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, check=False)
        assert done.returncode != 0 and done.stdout == ""
        return done.stderr
    whole = file.read_bytes()
    assert "is a file of events" in refuse(file, "-o", file) and file.read_bytes() == whole
    narrow = bytearray(whole)
    start = narrow.index((1000000000).to_bytes(8, "little"))  # ticks a second, then the size of a pointer
    assert narrow[start + 8:start + 12] == b"\x08\0\0\0"
    narrow[start + 8] = 4
    (tmp_path / "narrow.nettrace").write_bytes(narrow)
    assert "32-bit process" in refuse(tmp_path / "narrow.nettrace")
    assert sorted(at.name for at in tmp_path.iterdir()) == ["narrow.nettrace", "x.folded", "x.nettrace", "x.pb.gz", "x.speedscope.json"]


def test_a_snapshot_tells_where_its_objects_were_made(lab, tmp_path):
    file = tmp_path / "x.snap"
    with Sites(lab, "Sites", "workstation") as sites:
        linger = sites.follow("-o", str(file), "-type", "Planted")
        assert sites.ask("leak 4") == "leaked\n"
        report = end(linger)
        planted = {survivor["address"]: survivor["site"] for survivor in report["survivors"] if report["sites"][survivor["site"]]["type"] == "Planted"}
        places = {address: sites.site_of(address) for address in planted}
        later = lab.linger("snapshot", sites.app.pid, "-o", tmp_path / "later.snap")
    assert planted and later.status == 0

    def ask(*words):
        return validate(lab.linger(*words, "--json").reports()[0])
    for address in list(planted)[:3] + list(planted)[-3:]:
        stack = ask("dumpobj", file, address)["allocated_at"]
        told = [{key: value for key, value in frame.items() if key != "no_line"} for frame in report["sites"][planted[address]]["stack"]]
        assert stack[:len(told)] == told
        assert stack[0]["method"] is None or re.match(METHODS[places[address]], stack[0]["method"])
        assert ask("gcroot", file, address)["allocated_at"] == stack
        assert f"at {stack[0]['method'] or '(unknown code)'}" in lab.linger("dumpobj", file, address).out
    other = next(row["address"] for row in ask("dumpheap", file, "-type", "Planted")["objects"] if row["address"] not in planted and row["type"] == "Planted")
    assert ask("dumpobj", file, other)["allocated_at"] is None
    assert "Allocated at: not known" in lab.linger("gcroot", file, other).out
    sites = ask("retained", file, "-by", "site", "-top", "0")
    assert sites["sampled_count"] == sum(row["sampled"] for row in sites["sites"]) >= report["alive"] - report["own_samples"]
    rows = [row for row in sites["sites"] if row["type"] == "Planted"]
    assert sum(row["sampled"] for row in rows) == len(planted)
    assert sum(row["count"] for row in rows) == pytest.approx(sum(row["count"] for row in report["sites"] if row["type"] == "Planted"), abs=2 * len(planted))
    assert all(row["retained"] >= row["sampled"] and row["count_low"] <= row["count"] <= row["count_high"] for row in rows)
    assert "allocated_at" not in ask("dumpobj", tmp_path / "later.snap", other)
    assert "is not known" in lab.linger("retained", tmp_path / "later.snap", "-by", "site", status=3).err


def test_the_prompt_keeps_where_objects_were_made(lab):
    """Of the copy in which that was found, and of no other."""
    with Sites(lab, "Sites", "workstation") as sites:
        pid = str(sites.app.pid)
        linger = subprocess.Popen([str(lab.linger_program), "open", pid, "-c", f"alloc {pid} --json", "-c", "retained -by site -top 0 --json", "-c", "refresh", "-c", "retained -by site"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            for line in linger.stderr:
                if line.startswith("following"):
                    break
            assert sites.ask("leak 2") == "leaked\n"
            linger.send_signal(signal.SIGINT)
            out, err = linger.communicate(timeout=300)
        finally:
            linger.kill()
            linger.wait()
    report, retained = (json.loads(line) for line in out.splitlines())
    assert retained["sampled_count"] == report["alive"] > 0
    assert linger.returncode == 3 and "is not known" in err
