""".NET 9 and 8 in a single file: no libmscordaccore.so lies beside it, and without one nothing can be told."""
import pathlib

import pytest


@pytest.fixture(scope="module", params=["8", "9"])
def version(request):
    return request.param


@pytest.fixture(scope="module")
def app(lab, version):
    return lab.app(f"Leak:single-file@{version}", "workstation")


@pytest.fixture(scope="module")
def dac(lab, version):
    """Of the same build: the one that lies beside the self-contained program."""
    return pathlib.Path(lab.program(f"Leak@{version}")).parent / "libmscordaccore.so"


def test_without_the_dac_the_error_names_the_file_that_would_help(lab, app, version):
    result = lab.linger("dumpheap", app.pid, "-stat", status=3)
    assert f"runtime {app.truth['runtime']} has no data descriptor" in result.err
    assert "libmscordaccore.so" in result.err and "name one of build-id" in result.err and "--dac" in result.err


def test_with_it_everything_is_told(lab, app, dac):
    stat, sessions = lab.linger("open", app.pid, "--dac", dac, "-c", "dumpheap -stat", "-c", "dumpheap -type Session -top 1", "--json").reports()
    counts = {t["type"]: t["count"] for t in stat["types"]}
    planted = {t["type"]: t["count"] for t in app.truth["types"] if t["state"] == "live"}
    assert stat["target"]["provider"] == "dac" and planted and {name: counts.get(name) for name in planted} == planted
    root = lab.linger("gcroot", app.pid, sessions["objects"][0]["address"], "--dac", dac)
    assert "Bus.Tick" in root.out


def test_a_dac_of_another_build_is_refused(lab, app, version):
    other = pathlib.Path(lab.program(f"Leak@{'9' if version == '8' else '8'}")).parent / "libmscordaccore.so"
    result = lab.linger("dumpheap", app.pid, "-stat", "--dac", other, status=3)
    assert "is of another build than the runtime" in result.err
