"""`gcroot -type`: every instance in one group, and the groups are what the app planted."""
import pytest

from test_schema import check


@pytest.mark.parametrize("kind, mode", [("live", "workstation"), ("core", "server")])
def test_the_leak_is_told_in_one_group_for_each_holder(lab, kind, mode):
    app = lab.app("Leak", mode)
    target = app.pid if kind == "live" else lab.core("Leak", mode)
    tables = {t["type"]: t for t in lab.report(target, "dumpheap -stat")["types"]}
    for name in {root["type"] for root in app.truth["roots"]}:
        report = check(lab.report(target, f"gcroot -mt {tables[name]['mt']}"))
        assert report["instances"] == tables[name]["count"] == report["reachable"] + report["unreachable"]
        assert sum(group["count"] for group in report["groups"]) == report["reachable"]
        exact = [group for group in report["groups"] if not group["conservative"]]
        told = [(g["root_kind"], g["name"], g["count"], [(hop["type"], hop["field"]) for hop in g["path"]]) for g in exact]
        assert sorted(told) == sorted(
            (root["kinds"][0], root["name"], root["instances"],
             [(hop["type"], hop["field"] if hop["link"] == "field" else "[]" + ("." + hop["field"] if "field" in hop else "")) for hop in root["path"]]
             + [(name, None)])
            for root in app.truth["roots"] if root["type"] == name)


def test_the_method_that_an_event_calls_is_told(lab):
    report = lab.report(lab.core("Leak", "server"), "gcroot -type Session")
    group = next(g for g in report["groups"] if g["type"] == "Session" and not g["conservative"])
    assert group["holder"] == "static Bus.Tick -> System.EventHandler targets" and group["routes"] == 1
    assert [hop["meaning"] for hop in group["path"]] == [None, None, "calls Session.OnBus", None]


def test_a_long_list_is_two_groups(lab):
    report = lab.report(lab.app("Roots", "workstation").pid, "gcroot -type E1_Node")
    rest, head = report["groups"]
    assert (rest["count"], head["count"]) == (49999, 1) and rest["name"] == head["name"] == "Statics.Head"
    assert (rest["retained"], head["retained"]) == (49999 * 32, 50000 * 32)
    assert rest["path"] == [{"type": "E1_Node", "field": "Next", "repeats": False, "meaning": None},
                            {"type": "E1_Node", "field": None, "repeats": True, "meaning": None}]


def test_dead_instances_are_counted_and_in_no_group(lab):
    report = lab.report(lab.core("Roots", "workstation"), "gcroot -type C1_DeadButPresent")
    planted = next(t for t in lab.app("Roots", "workstation").truth["types"] if t["type"] == "C1_DeadButPresent")
    guessed = sum(group["count"] for group in report["groups"])
    assert all(group["conservative"] for group in report["groups"])
    assert (report["instances"], report["reachable"], report["unreachable"]) == (planted["count"], guessed, planted["count"] - guessed)


def test_what_cannot_be_asked(lab):
    target = lab.core("Roots", "workstation")
    for words, status, said in ((["-type", "no such type"], 3, "no object of a type whose name contains 'no such type'"),
                                (["-type", "E1", "10"], 2, "expected gcroot"), (["-type", "E1", "-nostacks"], 2, "-nostacks is for"), ([], 2, "expected gcroot")):
        assert said in lab.linger("gcroot", target, *words, status=status).err
