"""File and line of frames: those that the app knows of itself, by PDBs beside assemblies and in them; of no other PDB.

What a PDB says is compared point by point with System.Reflection.Metadata, the reader of the .NET SDK."""
import json
import pathlib
import shutil
import subprocess

import pytest

import lab as lab_module
from test_alloc import METHODS, Sites, end
from test_schema import check as validate

ROUNDS = 6


def test_points_are_those_of_the_sdk_s_reader(lab):
    """Of PDBs beside assemblies, and of one that is embedded."""
    folder = lab.program("oracle").parent
    points = 0
    for file in [folder / "oracle.pdb", lab.program("Sites").parent / "Sites.pdb", lab.program("Sites@9").parent / "Sites.dll"]:
        theirs = subprocess.run([str(lab.program("oracle")), "--lines", str(file)], stdout=subprocess.PIPE, check=True).stdout
        ours = subprocess.run([str(lab.support("pdbdump")), str(file)], stdout=subprocess.PIPE, check=True).stdout
        assert ours == theirs, file
        points += ours.count(b"\n")
    assert points > 1000


def lines_of(row):
    """Lines of the app's own frames, as far as they are known."""
    return [[frame["file"].rsplit("/", 1)[1], frame["line"]] for frame in row["stack"] if frame["module"] == "Sites.dll" and frame["line"]]


def is_part(lines, of):
    """In order; what was inlined is missing."""
    rest = iter(of)
    return all(any(line == other for other in rest) for line in lines)


def check_lines(sites, report, traces):
    found = set()
    for survivor in report["survivors"]:
        row = report["sites"][survivor["site"]]
        if row["type"] != "Planted":
            continue
        truth, lines, place = traces[sites.site_of(survivor["address"])], lines_of(row), sites.site_of(survivor["address"])
        assert lines and is_part(lines, truth["stack"]), (place, row["stack"], truth)
        if not row["stack"][0]["method"].endswith("Round"):  # Not inlined.
            assert lines[0] == ["Program.cs", truth["line"]] == truth["stack"][0], (place, row["stack"], truth)
            found.add(place)
    return found


def check_stack(lab, sites):
    """The app waits for a line. Code of the class library was compiled ahead."""
    source = (lab_module.HERE / "apps" / "Sites" / "Program.cs").read_text().splitlines()
    waits = next(n for n, line in enumerate(source, 1) if "while (Console.ReadLine()" in line)
    frames = [frame for thread in validate(lab.report(sites.app.pid, "clrstack"))["threads"] for frame in thread["frames"] if frame["method"]]
    main = next(frame for frame in frames if frame["method"] == "Program.Main()")
    assert (main["file"], main["line"], main["no_line"]) == ("/_/tests/e2e/apps/Sites/Program.cs", waits, None)
    library = next(frame for frame in frames if frame["method"] == "System.IO.StreamReader.ReadLine()")
    assert library["il"] is not None and library["no_line"] == "no PDB is in its assembly, or beside it"


@pytest.mark.parametrize("name", ["Sites", "Sites@9", "Sites@8"])
def test_frames_have_the_lines_that_the_app_knows(lab, name, tmp_path):
    with Sites(lab, name, "workstation") as sites:
        assert sites.ask("trace") == "traced\n"
        linger = sites.follow("-o", str(tmp_path / "x.speedscope.json"))
        assert sites.ask(f"leak {ROUNDS}") == "leaked\n"
        report = end(linger)
        traces = json.loads(sites.ask("traces"))
        assert set(traces) == set(METHODS)
        check_stack(lab, sites)
        found = check_lines(sites, report, traces)
        assert "StaticInitialiser" in found and len(found) >= 3
    own = [frame for row in report["sites"] for frame in row["stack"] if frame["module"] == "Sites.dll"]
    assert all((frame["line"] is None) == (frame["no_line"] is not None) for frame in own)
    assert sum(frame["line"] is not None for frame in own) >= 0.9 * len(own), {frame["no_line"] for frame in own}
    assert {frame["file"] for frame in own if frame["file"]} <= {"/_/tests/e2e/apps/Sites/Program.cs", "/_/tests/e2e/apps/Sites/Traces.cs"}
    frames = json.loads((tmp_path / "x.speedscope.json").read_text())["shared"]["frames"]
    assert {"name": "Initialised.Fill", "file": "/_/tests/e2e/apps/Sites/Program.cs", "line": traces["StaticInitialiser"]["line"]} in frames


class Copy:
    """The app in a folder of its own, recorded there: what lies in the folder afterwards is the test's business."""

    def __init__(self, lab, folder):
        self.lab, self.folder, self.file = lab, folder / "app", folder / "x.nettrace"
        shutil.copytree(lab.program("Sites").parent, self.folder)

    def program(self, _):
        return self.folder / "Sites"

    @property
    def linger_program(self):
        return self.lab.linger_program

    def record(self):
        with Sites(self, "Sites", "workstation") as sites:
            linger = sites.follow("-o", str(self.file))
            assert sites.ask("leak 1") == "leaked\n"
            return end(linger)

    def read(self):
        done = subprocess.run([str(self.lab.linger_program), "alloc", str(self.file), "--json", "-top", "0"], stdout=subprocess.PIPE, text=True, check=True)
        report = json.loads(done.stdout)
        validate(report)
        frames = [frame for row in report["sites"] for frame in row["stack"] if frame["module"] == "Sites.dll"]
        assert frames
        return frames, report["incomplete"]

    def assert_unknown(self, why):
        frames, notes = self.read()
        assert {frame["line"] for frame in frames} == {frame["file"] for frame in frames} == {None}
        assert why in {frame["no_line"] for frame in frames} and f"no lines of Sites.dll: {why}" in notes
        assert any(frame["il"] is not None for frame in frames)


def test_only_the_pdb_of_the_very_assembly_counts(lab, tmp_path):
    copy = Copy(lab, tmp_path)
    live = copy.record()
    frames, notes = copy.read()
    assert any(frame["line"] for frame in frames) and not any("no lines of" in note for note in notes + live["incomplete"])
    pdb, assembly = copy.folder / "Sites.pdb", copy.folder / "Sites.dll"
    right, image = pdb.read_bytes(), assembly.read_bytes()
    shutil.copy(lab.program("oracle").parent / "oracle.pdb", pdb)
    copy.assert_unknown("'Sites.pdb' is of another build")
    pdb.write_bytes(right[:-200])
    copy.assert_unknown("'Sites.pdb' cannot be read: " + damage(lab, pdb))
    pdb.write_bytes(b"Microsoft C/C++ MSF 7.00\r\n")
    copy.assert_unknown("'Sites.pdb' cannot be read: it is no portable PDB")
    pdb.unlink()
    copy.assert_unknown("no PDB is in its assembly, or beside it")
    pathlib.Path(pdb).mkdir()
    copy.assert_unknown("no PDB is in its assembly, or beside it")
    pdb.rmdir()
    pdb.write_bytes(right)
    shutil.copy(lab.program("oracle").parent / "oracle.dll", assembly)
    copy.assert_unknown("'Sites.dll' is not the assembly that was loaded")
    assembly.unlink()
    copy.assert_unknown("its assembly cannot be read")
    assembly.write_bytes(image)
    assert copy.read()[0] == frames


def damage(lab, pdb):
    done = subprocess.run([str(lab.support("pdbdump")), str(pdb)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, check=False)
    assert done.returncode == 3
    return done.stderr.strip()
