"""What a runtime's own DAC tells (src/dac/facts.h) against what linger reads without it, on the same frozen process: where
both know a thing, they agree.

What the DAC is known to tell otherwise is named here, and nothing else is let through.
"""
import collections
import contextlib
import re
import subprocess

import pytest

from lab import LIMIT, clean_environment

TARGETS = [("Types", "workstation", "live"), ("Roots", "workstation", "live"), ("Plugins", "workstation", "live"), ("Web", "server", "live"),
           ("Web", "datas", "live"), ("Roots", "segments", "live"), ("Types", "workstation", "core")]
every = pytest.mark.parametrize("told", TARGETS, indirect=True, ids="-".join)

KEYS = {"field": 2, "loaded": 3, "context": 2, "mine": 3}  # How many columns name the thing; the rest is what is told of it.


class Told:
    """The records of dacdump: kind -> who -> key -> the rest."""

    def __init__(self, text):
        self.of = collections.defaultdict(lambda: {"dac": {}, "clr": {}})
        for line in text.splitlines():
            who, kind, *rest = line.split("\t")
            keys = KEYS.get(kind, 1)
            self.of[kind][who][tuple(rest[:keys])] = tuple(rest[keys:])

    def pairs(self, kind):
        """(key, what the DAC tells, what linger tells); None: nothing."""
        dac, clr = self.of[kind]["dac"], self.of[kind]["clr"]
        return [(key, dac.get(key), clr.get(key)) for key in dac.keys() | clr.keys()]

    def name(self, mt):
        return self.of["name"]["clr"][(mt,)][0]


@contextlib.contextmanager
def stopped(app):
    """Method tables lie in shared memory (W^X), which a copy of the process shares: what is loaded meanwhile is there, too."""
    app.stop()
    try:
        yield
    finally:
        app.go_on()


def dump(lab, app, target):
    with app.looked_at, stopped(app):
        done = subprocess.run([str(lab.support("dacdump")), str(target)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              stdin=subprocess.DEVNULL, timeout=LIMIT, env=clean_environment())
    assert done.returncode == 0, done.stderr
    return Told(done.stdout)


@pytest.fixture(scope="module")
def told(lab, request):
    name, mode, kind = request.param

    def run():
        app = lab.app(name, mode)
        return dump(lab, app, app.pid if kind == "live" else lab.core(name, mode))
    return lab.once(("dacdump", *request.param), run)


@every
@pytest.mark.parametrize("kind, least", [("known", 1), ("domain", 1), ("gc", 1), ("heap", 1), ("segment", 4), ("context", 1), ("counts", 1), ("thread", 2),
                                         ("module", 5), ("loaded", 300), ("mine", 2)])
def test_the_same_is_told(told, kind, least):
    pairs = told.pairs(kind)
    differ = [(key, dac, clr) for key, dac, clr in pairs if dac != clr]
    assert not differ, f"{len(differ)} of {len(pairs)}: {differ[:5]}"
    assert len(pairs) >= least


@every
def test_types_are_the_same(told):
    """All but the EEClass, in whose place the DAC of .NET 9 and later has the canonical method table."""
    pairs = told.pairs("type")
    differ = [(key, dac, clr) for key, dac, clr in pairs if not dac or not clr or (dac[0], *dac[2:]) != (clr[0], *clr[2:])]
    assert not differ, f"{len(differ)} of {len(pairs)}: {differ[:5]}"
    assert len(pairs) > 400


@every
def test_fields_are_the_same(told):
    """A static in the image (RVA) is like any other to the DAC. Of what type a field is, it does not tell of some instantiations
    (Nullable<T>); in a generic type it tells the canonical one. linger does not tell of pointers and arrays of several ranks."""
    wrong, approximate = [], 0
    pairs = told.pairs("field")
    for (mt, token), dac, clr in pairs:
        if not dac or not clr:
            wrong.append((mt, token, dac, clr))
            continue
        offset, element, kind, type_mt, address, there = dac
        if clr[2] == "rva":
            kind, address, there = clr[2], clr[4], clr[5]
        if clr[3] != type_mt and ("0" in (clr[3], type_mt) or "<" in told.name(mt)):
            type_mt, approximate = clr[3], approximate + 1
        if (offset, element, kind, type_mt, address, there) != clr:
            wrong.append((told.name(mt), token, dac, clr))
    assert not wrong, f"{len(wrong)} of {len(pairs)}: {wrong[:5]}"
    assert len(pairs) > 1000 and approximate < len(pairs) / 4  # How many generic types an app has loaded is its own affair.
    kinds = collections.Counter(clr[2] for _, _, clr in pairs)
    assert kinds["instance"] > 500 and kinds["static"] > 100 and kinds["thread"] >= 2
    assert sum(clr[5] != "0" for _, _, clr in pairs) > 20  # Statics with objects in them.


# ---- names ----

def shown(text):
    """``System.Collections.Generic.Dictionary`2+Entry[[System.String, System.Private.CoreLib],[Node, hook]][]`` as linger has it:
    ``System.Collections.Generic.Dictionary<System.String, Node>+Entry[]``."""
    def type_at(at):
        bare = re.compile(r"[^][,]+").match(text, at)
        at, arguments = bare.end(), []
        while text.startswith(",[" if arguments else "[[", at):
            argument, at = type_at(at + 2)
            arguments.append(argument)
            at = text.index("]", at) + 1  # Behind its assembly.
        at += bool(arguments)
        suffix = re.compile(r"(\[[,*]*\])*").match(text, at)
        name = bare[0]
        if arguments:
            name = re.sub(r"`(\d+)", lambda arity: "<" + ", ".join(arguments.pop(0) for _ in range(int(arity[1]))) + ">", name)
        return name + suffix[0], suffix.end()
    return type_at(0)[0]


def same_name(dac, clr):
    """A generic type itself: the DAC has the number of its parameters, linger their names."""
    if shown(dac) == clr:
        return True
    parts = re.split(r"`(\d+)", dac)
    wanted = "".join("<" + ", ".join(["[^,]+"] * int(part)) + ">" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return bool(re.fullmatch(wanted, clr))


@every
def test_names_are_the_same(told):
    """The DAC has none for types of collectible and of dynamic assemblies, and for instantiations with them."""
    pairs = told.pairs("name")
    dynamic = {module for (module,), _, clr in told.pairs("module") if clr[-2] == "dynamic"}
    nameless = {mt for (mt,), _, clr in told.pairs("type") if clr[-1] == "collectible" or clr[0] in dynamic}
    differ = [(mt, dac, clr) for (mt,), dac, clr in pairs if (not same_name(dac[0], clr[0]) if dac else mt not in nameless)]
    assert not differ, f"{len(differ)} of {len(pairs)}: {differ[:5]}"
    assert len(pairs) > 400


@every
def test_loader_heaps_are_the_same(told):
    """The DAC knows some more (those of the stub dispatch), linger those of the GC."""
    pairs = told.pairs("native")
    shared = {clr[1] for _, dac, clr in pairs if dac and clr}
    assert {"LowFrequencyHeap", "HighFrequencyHeap", "StubHeap", "LoaderCodeHeap"} <= shared
    # Of a heap of dynamic methods the DAC tells how far it is filled, not how large it is.
    differ = [(key, dac, clr) for key, dac, clr in pairs if dac != clr and (dac or clr)[1] in shared and (dac or clr)[1] != "HostCodeHeap"]
    assert not differ, f"{len(differ)} of {len(pairs)}: {differ[:5]}"
    assert {key for key, dac, _ in pairs if dac and dac[1] == "HostCodeHeap"} == {key for key, _, clr in pairs if clr and clr[1] == "HostCodeHeap"}
    assert len(pairs) > 20


@pytest.mark.parametrize("version", ["9", "8"])
def test_older_runtimes_are_told(lab, version):
    """What was planted, found by the DAC alone: a static and what is in it, a thread static of each of two threads."""
    app = lab.app(f"Roots@{version}", "workstation")
    of = dump(lab, app, app.pid).of
    names = {mt: name for (mt,), (name,) in of["name"]["dac"].items()}
    there = {names.get(rest[-1]) for rest in of["field"]["dac"].values() if rest[2] == "static"}
    assert {"A1_Static", "B1_BoxedValue"} <= there
    mine = [thread for (_, _, thread), rest in of["mine"]["dac"].items() if names.get(rest[-1]) == "A3_ThreadStatic"]
    assert len(set(mine)) == 2 and {(thread,) for thread in mine} <= of["thread"]["dac"].keys()
    string, = (mt for mt, name in names.items() if name == "System.String")
    assert of["type"]["dac"][(string,)][3:5] == ("22", "2")
    (counts, _), = [(key[0], rest) for key, rest in of["counts"]["dac"].items()]
    assert int(counts) == len(of["thread"]["dac"]) >= 4
    assert any(rest[-1].endswith("/System.Private.CoreLib.dll") for rest in of["module"]["dac"].values())
    segments = [[int(start, 16)] + [int(word, 16) for word in rest] for (start,), rest in of["segment"]["dac"].items()]
    assert len(segments) >= 4 and all(start <= end <= committed <= reserved for start, _, end, committed, reserved, _ in segments)
