"""Writes docs/compatibility.md: what was verified on what. Every mark in it is a run of this.

    LINGER=build/dev/linger /usr/bin/python3 tests/e2e/compatibility.py [--quick] [--keep ROWS] > docs/compatibility.md

A cell is one program (Leak) under one runtime, packaging and GC mode, looked at live or as one kind of core. It is `yes` when the
counts by type are those that the program printed about itself, every walk was exact, `gcroot` leads from an object to the static that holds
it, by name, and `clrstack` has the stack of the main thread down to Main. Else it says what failed, in linger's words, below the table. Takes
minutes; needs root for gcore and kernel cores. On stderr: each row as JSON, when it is done; with `--keep` a file of such rows, only what
it lacks is run.
"""
import json
import os
import pathlib
import resource
import signal
import sys

import lab
from lab import Failed, Lab

lab.MODES["tiny gen0"] = {"DOTNET_GCgen0size": "10000"}  # Hexadecimal: 64 KiB, so a collection every moment.
KINDS = ["live", "full", "withheap", "gcore", "kernel 0x33"]
MODES = ["workstation", "server", "datas", "conserve", "segments", "tiny gen0"]
COUNT = 400
ORDERS, SESSIONS = COUNT + 2, 2  # tests/e2e/apps/Leak: a session for every 200 orders, and each has an order of its own.


def dac_of(form, runtime):
    """A single file has no DAC beside it: that of the NuGet pack is brought along."""
    if form != "single-file":
        return []
    pack = pathlib.Path(os.environ.get("NUGET_PACKAGES", pathlib.Path.home() / ".nuget" / "packages")) / "microsoft.netcore.app.runtime.linux-x64"
    return ["--dac", pack / runtime / "runtimes" / "linux-x64" / "native" / "libmscordaccore.so"]


def check(laboratory, target, dac):
    """'yes', or what is wrong."""
    commands = ["dumpheap -stat", "dumpheap -type Session -top 1", "eeheap -gc", "clrstack"]
    result = laboratory.linger("open", target, *dac, *(word for command in commands for word in ("-c", command)), "--json", status=None, timeout=300)
    if result.status != 0:
        return result.err.strip().splitlines()[-1].removeprefix("linger: ").replace(str(target), "CORE").replace(f"{lab.REPO}/", "")
    stat, sessions, eeheap, stacks = result.reports()
    counts = {t["type"]: t["count"] for t in stat["types"]}
    if "Order" not in counts and any("names of types included" in note for note in stat["incomplete"]):
        return "objects are counted, without names: " + next(note for note in stat["incomplete"] if "names of types included" in note)
    if (counts.get("Order"), counts.get("Session")) != (ORDERS, SESSIONS):
        return f"{counts.get('Order')} orders, {counts.get('Session')} sessions; planted {ORDERS}, {SESSIONS}"
    if any("no object where one should be" in note or "passed over" in note for note in stat["incomplete"]):
        return "the walk was not exact"
    if not eeheap["segments"]:
        return "no segments"
    if not any([f["method"] for f in t["frames"] if f["method"]][-1:] == ["Program.Main(System.String[])"] for t in stacks["threads"]):
        return "clrstack does not find Main"
    root = laboratory.linger("gcroot", target, sessions["objects"][0]["address"], *dac, status=None, timeout=300)
    return "yes" if "Bus.Tick" in root.out else "gcroot does not find the static: " + (root.err.strip().splitlines() or ["no error"])[-1]


def kernel_core(app):
    """Ends the app."""
    resource.prlimit(app.pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    pathlib.Path("core").unlink(missing_ok=True)
    os.kill(app.pid, signal.SIGSYS)
    app.process.wait(60)
    if not os.path.exists("core"):
        raise Failed("the kernel wrote no core")
    return pathlib.Path("core").resolve()


def target_of(laboratory, app, kind):
    if kind == "live":
        return app.pid
    if kind == "gcore":
        return laboratory.dump(app, kind, "c.core")
    if kind.startswith("kernel"):
        return kernel_core(app)
    try:
        return laboratory.dump(app, kind, "c.core")
    except Failed as e:
        raise Failed("createdump does not: " + str(e).strip().splitlines()[-1]) from e


def row(laboratory, program, form, mode):
    """Cells by kind."""
    try:
        app = lab.App(program, ["--objects", COUNT], mode, 1, 600)
    except Failed:
        return {kind: "the program does not start so" for kind in KINDS}
    cells = {}
    try:
        for kind in KINDS:
            try:
                target = target_of(laboratory, app, kind)
                cells[kind] = check(laboratory, target, dac_of(form, app.truth["runtime"]))
                if kind != "live":
                    pathlib.Path(target).unlink(missing_ok=True)
            except Failed as e:
                cells[kind] = str(e).splitlines()[-1]
        return {"runtime": app.truth["runtime"], **cells}
    finally:
        app.kill()


# Name of the program, packaging, and modes. Without DATAS, Server GC is one mode; 3.1 has neither regions nor libclrgc.so.
PROGRAMS = [
    ("Leak", "framework-dependent", MODES),
    ("Leak@10", "self-contained", MODES),
    ("Leak:single-file@10", "single-file", [mode for mode in MODES if mode != "segments"]),
    ("Leak@9", "self-contained", MODES),
    ("Leak:single-file@9", "single-file", ["workstation", "server"]),
    ("Leak@8", "self-contained", [mode for mode in MODES if mode != "datas"]),
    ("Leak:single-file@8", "single-file", ["workstation", "server"]),
    ("Leak@3.1", "self-contained", ["workstation", "server", "tiny gen0"]),
]


def write(rows, linger):
    notes = []

    def cell(text):
        if text == "yes":
            return "yes"
        if text not in notes:
            notes.append(text)
        return f"({notes.index(text) + 1})"
    print("# What was verified on what\n")
    print("Written by `tests/e2e/compatibility.py`, never by hand; each cell is a run of linger. `yes`: counts by type as the program itself says, every")
    print("walk exact, `gcroot` finds the static that holds an object, by name, and `clrstack` the main thread's stack down to Main. A number: see below.\n")
    print(f"linger {linger}, Linux {os.uname().release}, {os.cpu_count()} processors. Which core kind holds what: [cores.md](cores.md).\n")
    print("| runtime | packaging | GC | " + " | ".join(KINDS) + " |")
    print("|---|---|---|" + "---|" * len(KINDS))
    for runtime, form, mode, cells in rows:
        print(f"| {runtime} | {form} | {mode} | " + " | ".join(cell(cells[kind]) for kind in KINDS) + " |")
    if notes:
        print()
    for i, note in enumerate(notes):
        print(f"{i + 1}. {note}")
    print("\nGC: `server` is Server GC with a fixed number of heaps, `datas` Server GC as .NET 9 and later run it, `conserve` GCConserveMemory=9, `segments`")
    print("libclrgc.so, `tiny gen0` GCgen0size=64 KiB. A single file (it has no libclrgc.so) is given the DAC of its NuGet pack by `--dac`.")
    print("The suite that runs with every change compares 10, 9 and 8 with ClrMD object by object. Not verified: 5 to 7, arm64 and musl on real machines.")


def kept():
    """Rows of a run that was cut short, by version, packaging and mode."""
    if "--keep" not in sys.argv:
        return {}
    lines = pathlib.Path(sys.argv[sys.argv.index("--keep") + 1]).read_text().splitlines()
    return {tuple(row[:3]): row for row in map(json.loads, lines)}


def main():
    quick = "--quick" in sys.argv
    before = kept()
    laboratory = Lab()
    laboratory.linger_program  # Found before the folder changes.
    os.chdir(laboratory.folder)
    rows = []
    try:
        for name, form, modes in PROGRAMS:
            version = lab.RUNTIMES.get(name.partition("@")[2]) or lab.runtime_folder("installed").name
            try:
                program = laboratory.program(name)
            except Failed as e:
                rows.append((version, form, "workstation", {kind: f"not built: {str(e).splitlines()[0]}" for kind in KINDS}))
                continue
            for mode in modes[:2] if quick else modes:
                if (version, form, mode) in before:
                    rows.append(before[version, form, mode])
                    continue
                cells = row(laboratory, program, form, mode)
                rows.append((cells.get("runtime", version), form, mode, cells))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        write(rows, laboratory.linger("--version").out.split()[-1])
    finally:
        laboratory.close()


if __name__ == "__main__":
    main()
