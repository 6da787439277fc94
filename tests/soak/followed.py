#!/usr/bin/env python3
"""Truth of `alloc` under every kind of heap: each survivor's site is held against what the object says of itself.

    LINGER=build/dev/linger tests/soak/followed.py [RUNS]              the matrix: RUNS (1) of each
    LINGER=build/dev/linger tests/soak/followed.py --estimates RUNS    how often the truth lies within the interval that is told

Prints a line for each, and ends with status 1 if a site was wrong or fewer than 99.9 % of all addresses were confirmed.
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import lab as lab_module  # noqa: E402
import test_alloc  # noqa: E402

MATRIX = [(name, mode) for name in ("Sites", "Sites@9", "Sites@8") for mode in ("workstation", "server", "datas", "segments", "conserve")
          if not (name == "Sites@8" and mode == "datas")]


def run(lab, name, mode, rounds, *options):
    with test_alloc.Sites(lab, name, mode) as sites:
        linger = sites.follow("-all", *options)
        try:
            assert sites.ask(f"leak {rounds}") == "leaked\n"
            report = test_alloc.end(linger)
        finally:
            linger.kill()
        wrong = 0
        try:
            if not options:
                test_alloc.check_planted(sites, report)
        except AssertionError as error:
            print("WRONG", name, mode, error)
            wrong = 1
        return report, json.loads(sites.ask("truth")), wrong


def matrix(lab, runs):
    tracked = confirmed = wrong = 0
    for name, mode in MATRIX * runs:
        report, _, bad = run(lab, name, mode, 12)
        wrong += bad
        tracked += report["tracked"]
        confirmed += report["confirmed"]
        print(name, mode, " ".join(f"{key}={value}" for key, value in test_alloc.facts(report).items()), flush=True)
    print(f"{confirmed} of {tracked} addresses confirmed, {wrong} runs with a wrong site")
    return wrong == 0 and confirmed >= 0.999 * tracked


def estimates(lab, runs):
    """One round has no GC in the background, which would have samples given up."""
    inside = {}
    for number in range(runs):
        for name in ("Sites", "Sites@8"):
            report, truth, _ = run(lab, name, "workstation", 1, "-by", "type")
            rows = {row["type"]: row for row in report["sites"] if row["survivors"]}
            planted = sum(truth[place] for place in test_alloc.PLACES[1:])
            for kind, count in (("Planted", planted), ("System.Byte[]", truth["arrays"])):
                row = rows.get(kind, {"count_low": 0, "count_high": 0})
                good, of = inside.get((name, kind), (0, 0))
                inside[name, kind] = good + (row["count_low"] <= count <= row["count_high"]), of + 1
        if number % 10 == 9:
            print(inside, flush=True)
    for (name, kind), (good, of) in inside.items():
        print(f"{name} {kind}: the truth was within the interval in {good} of {of} runs")
    return True


def main():
    lab = lab_module.Lab()
    try:
        if sys.argv[1:2] == ["--estimates"]:
            return estimates(lab, int(sys.argv[2]))
        return matrix(lab, int(sys.argv[1]) if sys.argv[1:] else 1)
    finally:
        lab.close()


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
