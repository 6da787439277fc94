"""What references mean: the ways through collections, delegates, timers and tasks, as Labels planted them."""
import pytest

from test_schema import check
from test_snapshots import without_names, without_target

PLACES = [("Labels", "workstation"), ("Labels@9", "workstation"), ("Labels@8", "workstation")]
where = pytest.mark.parametrize("kind, app, mode", [("live", "Labels", "workstation")] + [("core", app, mode) for app, mode in PLACES])


class Found:
    """What linger says of a target: the groups of all its own types, and the path to the first instance of each."""

    def __init__(self, lab, target, truth):
        self.groups = {}
        self.report = check(lab.report(target, "gcroot -type App."))
        for group in self.report["groups"]:
            if not group["conservative"]:
                self.groups.setdefault(group["type"], []).append(group)
        objects = lab.report(target, "dumpheap -type App.")["objects"]
        addresses = {o["type"]: o["address"] for o in reversed(objects)}
        types = [label["type"] for label in truth["labels"]]
        self.paths = dict(zip(types, lab.reports(target, [f"gcroot {addresses[name]}" for name in types])))

    def meanings(self, name):
        return [[hop["meaning"] for hop in root["path"] if hop["meaning"]] for root in self.paths[name]["roots"] if not root["conservative"]]


def found(lab, kind, app, mode):
    def make():
        target = lab.app(app, mode).pid if kind == "live" else lab.core(app, mode)
        if kind == "snapshot":
            core, target = target, lab.folder / f"{app}.snap"
            lab.linger("snapshot", core, "-o", target)
        return Found(lab, target, lab.app(app, mode).truth)
    return lab.once(("labels", kind, app, mode), make)


@where
def test_ways_are_told_in_one_line(lab, kind, app, mode):
    wrong = []
    for label in lab.app(app, mode).truth["labels"]:
        groups = found(lab, kind, app, mode).groups.get(label["type"], [])
        if [g["count"] for g in groups] != [1] or groups[0]["holder"] not in label["holder"].split("|"):
            wrong.append((label["type"], label["holder"], [g["holder"] for g in groups]))
    assert len(lab.app(app, mode).truth["labels"]) > 40 and not wrong, wrong


@where
def test_steps_of_a_path_say_what_they_mean(lab, kind, app, mode):
    answers = found(lab, kind, app, mode)
    wrong = [(label["type"], label["meanings"], answers.meanings(label["type"])) for label in lab.app(app, mode).truth["labels"]
             if label["meanings"] not in answers.meanings(label["type"])]
    assert not wrong, wrong


def test_a_snapshot_of_shapes_tells_the_same_lines_and_what_names_alone_tell(lab):
    core, snapshot = (found(lab, kind, "Labels", "workstation") for kind in ("core", "snapshot"))
    assert without_names(without_target(snapshot.report)) == without_names(without_target(core.report))
    labels = lab.app("Labels", "workstation").truth["labels"]
    wrong = [(label["type"], label["nameless"], snapshot.meanings(label["type"])) for label in labels if label["nameless"] not in snapshot.meanings(label["type"])]
    assert not wrong, wrong


def test_text_has_fields_and_meanings_side_by_side(lab):
    core = lab.core("Labels", "workstation")
    address = found(lab, "core", "Labels", "workstation").paths["App.ByText"]["address"]
    lines = lab.linger("gcroot", core, address).out.splitlines()
    assert any(line.endswith('Dictionary<System.String, App.ByText>+Entry[] [17].value (Dictionary["customer 17"])') for line in lines)


def test_what_an_object_retains_is_labelled(lab):
    core = lab.core("Labels", "workstation")
    root, = [r for r in found(lab, "core", "Labels", "workstation").paths["App.ByText"]["roots"] if not r["conservative"]]
    dictionary, entries, value = (hop["address"] for hop in root["path"])
    inner, elements = (check(r)["objects"] for r in lab.reports(core, [f"retained -tree {a} -top 0" for a in (dictionary, entries)]))
    assert {"_entries", "_buckets"} <= {row["field"] for row in inner}
    assert [(row["field"], row["meaning"]) for row in elements if row["address"] == value] == [("[17].value", 'Dictionary["customer 17"]')]
    assert 'App.ByText [17].value (Dictionary["customer 17"])\n' in lab.linger("retained", core, "-tree", entries, "-top", "0").out


def test_groups_by_fields_and_by_words(lab):
    core = lab.core("Labels", "workstation")
    words, fields = (check(lab.report(core, f"gcroot -type App.InTree{option}")) for option in ("", " -fields"))
    assert sum(g["count"] for g in words["groups"]) == sum(g["count"] for g in fields["groups"]) == words["reachable"] == 64
    assert len(words["groups"]) <= len(fields["groups"]) <= 4  # A tree has few ways, however deep it is.
    mt = found(lab, "core", "Labels", "workstation").paths["App.InConcurrentDictionary"]["roots"][0]["path"][-1]["mt"]
    text = lab.linger("gcroot", core, "-mt", mt).out
    assert "ConcurrentDictionary<System.String, App.InConcurrentDictionary> values\n" in text and "Node" not in text
    text = lab.linger("gcroot", core, "-mt", mt, "-fields").out
    assert "[_tables]" in text and "Node [_value]" in text
    assert "-fields is for" in lab.linger("gcroot", core, "-fields", "10", status=2).err
