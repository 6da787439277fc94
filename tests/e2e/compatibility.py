"""Writes docs/compatibility.md: what was verified on what. Every mark in it is a run of this.

    LINGER=build/dev/linger /usr/bin/python3 tests/e2e/compatibility.py [--quick] > docs/compatibility.md

A cell is one program (Leak) under one runtime, packaging and GC mode, looked at live or as one kind of core. It is `yes` when the
counts by type are those that the program printed about itself, every walk was exact, and `gcroot` leads from an object to the static that holds
it, by name. Else it says what failed, in linger's words, below the table. A few minutes; needs root for gcore and kernel cores.
"""
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys

import lab
from lab import Failed, Lab

lab.MODES["tiny gen0"] = {"DOTNET_GCgen0size": "10000"}  # Hexadecimal: 64 KiB, so a collection every moment.
KINDS = ["live", "full", "withheap", "gcore", "kernel 0x33"]
MODES = ["workstation", "server", "datas", "conserve", "segments", "tiny gen0"]
COUNT = 400
ORDERS, SESSIONS = COUNT + 2, 2  # tests/e2e/apps/Leak: a session for every 200 orders, and each has an order of its own.


def build_other(version, form):
    """Leak for another runtime, with its pack from the package cache."""
    framework = "net" + ".".join(version.split(".")[:2])
    where = lab.BUILT / f"Leak-{version}-{form}"
    where.mkdir(parents=True, exist_ok=True)
    sources = "".join(f'<Compile Include="{lab.HERE}/apps/{folder}/*.cs"/>' for folder in ("Leak", "Common"))
    (where / "Leak.csproj").write_text(
        f"<Project Sdk='Microsoft.NET.Sdk'><PropertyGroup><OutputType>Exe</OutputType><TargetFramework>{framework}</TargetFramework>"
        f"<RuntimeIdentifier>linux-x64</RuntimeIdentifier><SelfContained>true</SelfContained><RuntimeFrameworkVersion>{version}</RuntimeFrameworkVersion>"
        f"<PublishSingleFile>{lab.FORMS[form]}</PublishSingleFile><EnableDefaultCompileItems>false</EnableDefaultCompileItems>"
        f"<AllowUnsafeBlocks>true</AllowUnsafeBlocks><LangVersion>latest</LangVersion></PropertyGroup><ItemGroup>{sources}</ItemGroup></Project>")
    done = subprocess.run(["dotnet", "publish", "-c", "Release", "-o", str(where / "out"), "-v", "q", "-nologo", str(where)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=lab.clean_environment(), timeout=600)
    if done.returncode != 0:
        raise Failed("; ".join(sorted({line.split("error ")[1].split(" [")[0] for line in done.stdout.splitlines() if "error " in line}))[:300])
    return where / "out" / "Leak"


def check(laboratory, target):
    """'yes', or what is wrong."""
    result = laboratory.linger("open", target, "-c", "dumpheap -stat", "-c", "dumpheap -type Session -top 1", "-c", "eeheap -gc", "--json", status=None)
    if result.status != 0:
        return result.err.strip().splitlines()[-1].removeprefix("linger: ").replace(str(target), "CORE")
    stat, sessions, eeheap = result.reports()
    counts = {t["type"]: t["count"] for t in stat["types"]}
    if "Order" not in counts and any("names of types included" in note for note in stat["incomplete"]):
        return "objects are counted, without names: " + next(note for note in stat["incomplete"] if "names of types included" in note)
    if (counts.get("Order"), counts.get("Session")) != (ORDERS, SESSIONS):
        return f"{counts.get('Order')} orders, {counts.get('Session')} sessions; planted {ORDERS}, {SESSIONS}"
    if any("no object where one should be" in note or "passed over" in note for note in stat["incomplete"]):
        return "the walk was not exact"
    if not eeheap["segments"]:
        return "no segments"
    root = laboratory.linger("gcroot", target, sessions["objects"][0]["address"], status=None)
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


def createdump_beside(program):
    path = pathlib.Path(program).parent / "createdump"
    return path if path.exists() else None


def target_of(laboratory, app, program, kind):
    if kind == "live":
        return app.pid
    if kind == "gcore":
        return laboratory.dump(app, kind, "c.core")
    if kind.startswith("kernel"):
        return kernel_core(app)
    core = laboratory.folder / "c.core"
    tool = createdump_beside(program) or lab.runtime_folder(app.truth["runtime"]) / "createdump"
    done = subprocess.run([str(tool), f"--{kind}", "-f", str(core), str(app.pid)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Failed("createdump does not: " + (done.stdout.strip().splitlines() or ["?"])[-1])
    return core


def row(laboratory, program, mode):
    """Cells by kind."""
    try:
        app = lab.App(program, ["--objects", COUNT], mode, 1, 600)
    except Failed:
        return {kind: "the program does not start so (a single file has no libclrgc.so)" for kind in KINDS}
    cells = {}
    try:
        for kind in KINDS:
            try:
                target = target_of(laboratory, app, program, kind)
                cells[kind] = check(laboratory, target)
                if kind != "live":
                    pathlib.Path(target).unlink(missing_ok=True)
            except Failed as e:
                cells[kind] = str(e).splitlines()[-1]
        return {"runtime": app.truth["runtime"], **cells}
    finally:
        app.kill()


def programs(laboratory):
    yield None, "framework-dependent", lambda: laboratory.program("Leak")
    yield None, "self-contained", lambda: laboratory.program("Leak:self-contained")
    yield None, "single-file", lambda: laboratory.program("Leak:single-file")
    for version in ("9.0.22", "8.0.33"):
        for form in ("self-contained", "single-file"):
            yield version, form, lambda version=version, form=form: build_other(version, form)


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
    print("walk exact, and `gcroot` finds the static that holds an object, by name. A number: see below.\n")
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
    print("libclrgc.so, `tiny gen0` GCgen0size=64 KiB. Not verified: 3.1 to 7, arm64 and musl on real machines.")


def main():
    quick = "--quick" in sys.argv
    laboratory = Lab()
    laboratory.linger_program  # Found before the folder changes.
    os.chdir(laboratory.folder)
    rows = []
    try:
        for version, form, make in programs(laboratory):
            try:
                program = make()
            except Failed as e:
                rows.append((version, form, "workstation", {kind: f"not built: {e}" for kind in KINDS}))
                continue
            for mode in MODES if version is None and not quick else ["workstation", "server"]:
                cells = row(laboratory, program, mode)
                rows.append((cells.get("runtime", version or rows[-1][0]), form, mode, cells))
                print(json.dumps(rows[-1]), file=sys.stderr)
        write(rows, laboratory.linger("--version").out.split()[-1])
    finally:
        laboratory.close()


if __name__ == "__main__":
    main()
