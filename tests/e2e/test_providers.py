"""Where the data descriptor and the DAC can both tell, they agree: one core of .NET 10, read by each, object by object.

The tools of tests/support take WITHOUT_DESCRIPTOR: as if the runtime were one of those that have none.
"""
import os
import re
import subprocess

import pytest

from lab import LIMIT

# A dynamic module's metadata is not found through the DAC of .NET 10: its types and fields have numbers for names.
UNKNOWN = re.compile(r"<(module|field)_[0-9a-f]+>|Dyn\.(Collectible|Staying)")

both = pytest.mark.parametrize("app, mode", [("Roots", "workstation"), ("Types", "workstation"), ("Leak", "server"), ("Roots", "segments")])


def told(lab, tool, app, mode, **environment):
    done = subprocess.run([str(lab.support(tool)), str(lab.core(app, mode))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=LIMIT, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@both
def test_every_object_and_its_references(lab, app, mode):
    a, b = told(lab, "refdump", app, mode), told(lab, "refdump", app, mode, WITHOUT_DESCRIPTOR="1")
    assert len(a) > 1000
    assert a == b, sorted(set(a) ^ set(b))[:10]


def by_what_both_know(lines):
    """Line -> method table of a field's type, 0: unknown."""
    known = [line.split("\t") for line in lines if not line.startswith("time\t") and not UNKNOWN.search(line)]
    return {"\t".join(w[:8] + w[9:]) if w[0] == "field" else "\t".join(w): w[8] if w[0] == "field" else "" for w in known}


@both
def test_every_module_type_field_and_static(lab, app, mode):
    a, b = (by_what_both_know(told(lab, "typedump", app, mode, **how)) for how in ({}, {"WITHOUT_DESCRIPTOR": "1"}))
    assert len(a) > 500
    assert a.keys() == b.keys(), sorted(a.keys() ^ b.keys())[:10]
    assert not [line for line in a if a[line] != b[line] and "0" not in (a[line], b[line])]
