"""Retained sizes: what the app planted, and the same number by another way (everything else, without it)."""
import pytest

where = pytest.mark.parametrize("kind, mode", [("live", "workstation"), ("core", "workstation"), ("core", "server")])


def place(lab, kind, mode):
    return lab.app("Roots", mode).pid if kind == "live" else lab.core("Roots", mode)


@where
def test_one_object_retains_what_goes_without_it(lab, kind, mode):
    """The dominator tree against a search that leaves the object out, for every planted class with one live instance."""
    target = place(lab, kind, mode)
    planted = {t["type"] for t in lab.app("Roots", mode).truth["types"] if t["state"] == "live" and t["count"] == 1}
    rows = lab.report(target, "retained -by type -top 0")["types"]
    types = {t["type"]: t for t in rows if t["count"] == 1}
    # -set takes a part of a name: only those that are part of no other.
    alone = sorted(name for name in planted if name in types and len([row for row in rows if name in row["type"]]) == 1)
    assert len(alone) > 20
    objects, sets = [], []
    for name, report in zip(alone, lab.reports(target, [f"retained -type {name}" for name in alone])):
        objects.append(report["objects"][0])
    for name, of_one, report in zip(alone, objects, lab.reports(target, [f"retained -set {name}" for name in alone])):
        sets.append(report)
        assert (report["set_count"], report["set_retained"]) == (1, of_one["retained"]), name
        assert types[name]["retained"] == of_one["retained"] >= of_one["size"] == types[name]["size"]


@where
def test_what_is_live_is_all_that_is_retained(lab, kind, mode):
    target = place(lab, kind, mode)
    live, by_type, by_root, top = lab.reports(target, ["dumpheap -stat -live", "retained -by type -top 0", "retained -by root -top 0",
                                                       "retained -top 0"])
    assert (by_type["live_count"], by_type["live_size"]) == (live["total_count"], live["total_size"])
    counted, told = {}, {}
    for row in live["types"]:
        counted[row["type"]] = counted.get(row["type"], 0) + row["size"]
    for row in by_type["types"]:
        told[row["type"]] = told.get(row["type"], 0) + row["size"]
    assert told == counted
    assert sum(o["retained"] for o in by_root["owners"]) + by_root["shared_size"] == live["total_size"]
    # The tops share nothing, and nothing is left out.
    assert sum(o["retained"] for o in top["objects"]) == live["total_size"]
    assert sum(o["objects"] for o in top["objects"]) == live["total_count"]
    assert all(o["dominator"] is None and o["held_by"] and o["depth"] == 1 for o in top["objects"])


@where
def test_a_list_is_retained_by_its_head_and_its_static(lab, kind, mode):
    target = place(lab, kind, mode)
    static = next(o for o in lab.report(target, "retained -by static -top 0")["owners"] if o["name"] == "Statics.Head")
    assert (static["objects"], static["retained"], static["kind"]) == (50000, 50000 * 32, "static")
    head, second = lab.report(target, "retained -type E1_Node -top 2")["objects"]
    assert head["held_by"] == "static Statics.Head" and head["retained"] == 50000 * 32
    assert second["dominator"] == head["address"] and second["depth"] == 2 and second["retained"] == 49999 * 32
    tree = lab.report(target, f"retained -tree {head['address']}")
    child, = tree["objects"]
    assert child == {**second, "field": "Next"} and second["field"] is None and tree["retained"] == head["retained"] and "truncated" not in tree


@pytest.mark.parametrize("app", ["Roots", "Leak", "Web"])
def test_every_object_retains_what_the_oracle_says(lab, app):
    """Another algorithm over ClrMD's references, per object. Roots that ClrMD does not know (oracle/README.md) it is told, if they are some."""
    report = lab.said(app, "workstation", "retained -type '' -top 0")
    ours = {int(o["address"], 16): (o["retained"], int(o["dominator"] or "0", 16)) for o in report["objects"]}
    assert len(ours) == report["live_count"]
    theirs = lab.oracle_retained(app, "workstation", None)
    unknown = [address for address, (_, dominator) in ours.items() if dominator == 0 and theirs.get(address, (0, 1))[1] != 0]
    assert not theirs.keys() - ours.keys() and len(unknown) < len(ours) / 20
    chains = lab.reports(lab.core(app, "workstation"), [f"gcroot {address:x}" for address in unknown])
    roots = [address for address, chain in zip(unknown, chains) if any(len(root["path"]) == 1 for root in chain["roots"])]
    assert lab.oracle_retained(app, "workstation", roots) == ours


def test_questions_that_have_no_answer(lab):
    target = place(lab, "core", "workstation")
    for words, status, said in ((["-by", "colour"], 2, "cannot sum by 'colour'"), (["-by", "type", "-set", "X"], 2, "one at a time"),
                                (["-set", "no such type"], 3, "no live object is of a type"), (["-tree", "10"], 3, "is no object")):
        assert said in lab.linger("retained", target, *words, status=status).err
    dead = lab.report(target, "dumpheap -type C1_DeadButPresent")["objects"][0]["address"]
    assert "is not alive: no root reaches it" in lab.linger("retained", target, "-tree", dead, status=3).err
