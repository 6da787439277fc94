"""`handles-alloc`: of the handles that are not freed each is told once, with its kind and with what keeps its number; of those that are
freed, given another object, or were there before, none. The app says which address is whose."""
import collections
import json
import subprocess

import pytest

import lab as lab_module
from test_alloc import Sites, end
from test_schema import check as validate

COUNT = 100
KINDS = {"Normal": "strong", "Weak": "weak-short", "WeakLong": "weak-long", "Pinned": "pinned", "Dependent": "dependent"}


def follow(sites, *options):
    linger = sites.started.enter_context(lab_module.running([sites.lab.linger_program, "handles-alloc", sites.app.pid, *options],
                                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    said = linger.stderr.readline()
    assert said.startswith(f"following {sites.app.pid}"), said + linger.communicate()[1]
    return linger


def site_of(truth, handle):
    return truth.get(format(int(handle, 16), "x"))


@pytest.mark.parametrize("name, mode", [("Sites", "workstation"), ("Sites", "server"), ("Sites@9", "workstation"), ("Sites@8", "workstation")])
def test_handles_that_are_left_are_told_by_kind_and_by_what_keeps_them(lab, name, mode):
    with Sites(lab, name, mode) as sites:
        assert sites.ask("older 50") == "made\n"
        linger = follow(sites, "--json", "-top", "0")
        truth = json.loads(sites.ask(f"handles {COUNT}"))
        assert len(truth) == COUNT * len(KINDS)
        report = end(linger)
        assert report["lost_events"] == report["dropped_lost"] == 0
        assert report["made"] >= COUNT * 19 and report["freed"] >= COUNT * 12 and report["assigned"] >= 50
        told = collections.Counter(handle["handle"] for handle in report["handles"])
        assert set(told.values()) == {1}
        rows = collections.defaultdict(collections.Counter)
        for handle in report["handles"]:
            row = report["sites"][handle["site"]]
            place = site_of(truth, handle["handle"])
            rows[place][row["kind"], row["keeper"], (row["holder"] or "").split(" -> ")[0]] += 1
            if place == "Dependent" and row["stack"]:  # .NET 8 has a stack for these.
                assert row["stack"][1]["method"] == "Handles.Dependent"
            elif place:
                assert row["stack"] == []
        for place, kind in KINDS.items():
            keeper = "System.Runtime.DependentHandle[]" if place == "Dependent" else "System.Runtime.InteropServices.GCHandle[]"
            field = "static Handles.dependents" if place == "Dependent" else "static Handles.kept"
            # A word on the stack may look like a reference to the array that the list had before.
            assert sum(rows[place].values()) == COUNT and rows[place][kind, keeper, field] > 0, place
            assert all(row[:2] == (kind, keeper) and (row[2] == field or row[2].startswith("stack")) for row in rows[place]), rows[place]
        others = rows[None]
        assert sum(count for (kind, keeper, _), count in others.items() if (kind, keeper) == ("weak-short", "System.WeakReference")) >= COUNT
        assert sum(count for (kind, keeper, _), count in others.items() if kind == "dependent" and "+Entry[]" in (keeper or "")) >= COUNT
        assert not any("older" in field for _, _, field in others)
        assert any(sentence.startswith("where ") and "GCHandle.Alloc" in sentence for sentence in report["incomplete"])


def test_text_a_kind_alone_and_what_cannot_be(lab):
    with Sites(lab, "Sites", "workstation") as sites:
        linger = follow(sites, "-kind", "Pinned", "-top", "1")
        sites.ask("handles 10")
        linger.send_signal(2)
        out, err = linger.communicate(timeout=300)
        assert linger.returncode == 0, err
        lines = out.splitlines()
        assert lines[0] == "10 pinned handles to System.Byte[], 1,240 bytes"
        assert lines[1].startswith("    kept in System.Runtime.InteropServices.GCHandle[] of static Handles.kept")
        assert int(lines[-1].split()[0]) >= 10
        linger = follow(sites, "--json")
        sites.ask("handles 10")
        sites.app.kill()
        out, _ = linger.communicate(timeout=300)
        report = validate(json.loads(out))
        assert report["handles"] == [] and any(sentence.startswith("which handles are left is unknown") for sentence in report["incomplete"])
    assert "is no running process" in lab.linger("handles-alloc", lab.core("Leak", "workstation"), status=2).err
    assert "unknown handle type" in lab.linger("handles-alloc", 1, "-kind", "nonsense", status=2).err
