"""Cores of every kind: what of them is answered, and what is missing, said with what would have kept it.

One program, dumped in every way; docs/cores.md has the table that these tests hold.
"""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import struct
import subprocess

import pytest

import dump_command
from lab import LIMIT, clean_environment, is_asleep, wait_until
from test_bad_input import complaint, offset_of, survives

COUNT = 300
ORDERS = COUNT + 2  # Each of two sessions has one of its own.
HEAP = ["full", "withheap", "gcore", "kernel 0x03", "kernel 0x13", "kernel 0x33", "kernel 0x3f", "kernel 0x7f"]
POOR = ["normal", "triage", "kernel 0x00", "kernel 0x01", "kernel 0x10", "kernel 0x11", "kernel 0x31", "kernel 0x32"]


def kernel_core(lab, coredump_filter, program="Leak"):
    """Ends a program by a signal that nothing in it handles: the kernel writes the core, by this filter."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern != "core":
        pytest.skip(f"the kernel hands cores to '{pattern}'")
    folder = lab.folder / f"kernel-{program.replace(':', '-')}-{coredump_filter:02x}"
    folder.mkdir()

    def before():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        with open("/proc/self/coredump_filter", "w") as file:
            file.write(hex(coredump_filter))
    process = subprocess.Popen([str(lab.program(program)), "--seconds", "600", "--objects", str(COUNT)], cwd=folder, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean_environment(), preexec_fn=before)
    assert json.loads(process.stdout.readline())["truth"]
    wait_until(lambda: is_asleep(process.pid), 2)
    os.kill(process.pid, signal.SIGSYS)
    try:
        process.wait(LIMIT)
    finally:
        process.kill()
        process.stdout.close()
    cores = list(folder.iterdir())
    if not cores:
        pytest.skip("the kernel wrote no core: its hard limit, or the file system, forbids it")
    return cores[0]


def dumped(lab):
    return lab.once("app for cores", lambda: lab.start("Leak", "workstation", ["--objects", COUNT]))


def core_of(lab, kind):
    """A core of that kind; made once."""
    def make():
        if kind.startswith("kernel"):
            return kernel_core(lab, int(kind.split()[1], 16))
        if kind == "gcore" and not shutil.which("gcore"):
            pytest.skip("gdb is not installed: no gcore")
        return lab.dump(dumped(lab), kind, f"kinds-{kind}.core")
    return lab.once(("core of kind", kind), make)


def counts(report):
    return {t["type"]: t["count"] for t in report["types"]}


# ---- kinds that hold the heap ----


@pytest.mark.parametrize("kind", HEAP)
def test_a_core_with_the_heap_tells_all(lab, kind):
    """Counts as planted, and the path from the static that holds them, with its name."""
    core = core_of(lab, kind)
    stat, sessions = lab.reports(core, ["dumpheap -stat", "dumpheap -type Session -top 1"])
    assert counts(stat)["Order"] == ORDERS
    root = lab.linger("gcroot", core, sessions["objects"][0]["address"]).out
    assert "Bus.Tick" in root, root
    assert not any("cut short" in note or "cannot be read" in note for note in stat["incomplete"]), stat["incomplete"]


def test_a_core_without_headers_says_that_nothing_is_proven(lab):
    notes = lab.report(core_of(lab, "kernel 0x03"), "dumpheap -stat")["incomplete"]
    assert any(re.search("identity not proven.*'libcoreclr.so'|identity not proven.* more", note) for note in notes), notes


# ---- kinds that do not ----


@pytest.mark.sanitized
@pytest.mark.parametrize("kind, kept_by", [
    ("normal", "--withheap, --full and gcore keep it"), ("triage", "--withheap, --full and gcore keep it"),
    ("kernel 0x00", r"private and shared anonymous memory \(bits 0 and 1"), ("kernel 0x01", r"shared anonymous memory \(bit 1"),
    ("kernel 0x10", r"private and shared anonymous memory \(bits 0 and 1"), ("kernel 0x11", r"shared anonymous memory \(bit 1"),
    ("kernel 0x31", r"shared anonymous memory \(bit 1"), ("kernel 0x32", r"private anonymous memory \(bit 0"),
])
def test_a_core_without_the_heap_says_what_would_have_kept_it(lab, kind, kept_by):
    """Peers' fault 13: 0 objects, exit 0."""
    for command in ["dumpheap -stat", "gchandles", "gcroot 1000"]:
        complaint(lab.linger(*command.split()[:1], core_of(lab, kind), *command.split()[1:], status=None), 3, kept_by)


@pytest.mark.sanitized
@pytest.mark.parametrize("kind", ["normal", "kernel 0x11", "kernel 0x31"])
def test_where_the_heap_was_is_told_without_it(lab, kind):
    report = lab.report(core_of(lab, kind), "eeheap -gc")
    assert report["gc_allocated"] > 0 and report["segments"]
    assert any("objects cannot be read" in note for note in report["incomplete"])


@pytest.mark.sanitized
def test_modules_are_told_without_the_heap(lab):
    for kind in ["normal", "triage"]:
        report = lab.report(core_of(lab, kind), "modules")
        assert any(m["managed"] and m["path"].endswith("/Leak.dll") for m in report["modules"]), report["modules"]


@pytest.mark.parametrize("kind", [*HEAP, "normal", "triage"])
def test_managed_stacks_are_told_without_the_heap(lab, kind):
    stacks, threads = lab.reports(core_of(lab, kind), ["clrstack -gc", "clrthreads"])
    assert any([f["method"] for f in t["frames"]][-1:] == ["Program.Main(System.String[])"] for t in stacks["threads"]), stacks["threads"]
    assert not [t for t in stacks["threads"] if t["missing"]]
    assert any(r["value"] for t in stacks["threads"] for f in t["frames"] for r in f["references"])
    alive = {t["os_id"] for t in threads["threads"] if not t["dead"]}
    assert alive == {t["os_id"] for t in stacks["threads"]} and threads["thread_count"] == len(threads["threads"])


@pytest.mark.parametrize("kind", ["kernel 0x01", "kernel 0x11", "kernel 0x31", "kernel 0x00", "kernel 0x32"])
def test_stacks_that_cannot_be_unwound_are_said_to_be_missing(lab, kind):
    """Without method tables and code there are threads, and no frames; without variables there is neither."""
    core = core_of(lab, kind)
    if kind in ("kernel 0x00", "kernel 0x32"):
        for command in ("clrstack", "clrthreads"):
            complaint(lab.linger(command, core, status=None), 3, "not there to be read|without private")
        return
    stacks, threads = lab.reports(core, ["clrstack", "clrthreads"])
    assert len(threads["threads"]) == threads["thread_count"] > 0
    main = next(t for t in stacks["threads"] if t["managed_id"] == 1)
    assert main["missing"] and any(main["missing"] in note for note in stacks["incomplete"])
    assert not any(f["method"] for t in stacks["threads"] for f in t["frames"])


# ---- on another machine ----


@pytest.fixture(scope="module")
def moved(lab):
    """A core with the heap, of a self-contained program whose files are elsewhere now: below `root`, at the same paths."""
    here = lab.folder / "moved" / "app"
    shutil.copytree(lab.program("Leak:self-contained").parent, here)
    process = subprocess.Popen([str(here / "Leak"), "--seconds", "600", "--objects", str(COUNT)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env=clean_environment())
    core = lab.folder / "moved.core"
    try:
        process.stdout.readline()
        wait_until(lambda: is_asleep(process.pid), 2)
        subprocess.run([str(here / "createdump"), "--withheap", "-f", str(core), str(process.pid)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    root = lab.folder / "sysroot"
    root.joinpath(*here.parts[1:-1]).mkdir(parents=True)
    shutil.move(here, root.joinpath(*here.parts[1:]))
    return core, root, root.joinpath(*here.parts[1:])


@pytest.mark.sanitized
def test_a_core_without_its_files_names_what_is_missing(lab, moved):
    """The runtime's own file first: without it nothing can be found."""
    line = complaint(lab.linger("dumpheap", moved[0], "-stat", status=None), 3, "libcoreclr.so.*that very file must be there")
    assert "--sysroot" in line


@pytest.mark.sanitized
def test_a_sysroot_takes_the_place_of_the_files(lab, moved):
    core, root, folder = moved
    whole = lab.linger("dumpheap", core, "-stat", "--sysroot", root, "--json").reports()[0]
    assert counts(whole)["Order"] == ORDERS
    assert not any("missing" in note and "libcoreclr" in note for note in whole["incomplete"])
    flat = lab.linger("open", core, "--sysroot", folder, "-c", "dumpheap -stat", "--json").reports()[0]
    assert counts(flat)["Order"] == ORDERS  # By their bare names.


@pytest.mark.sanitized
def test_what_a_sysroot_lacks_is_counted_by_kind(lab, moved):
    core, _, folder = moved
    part = lab.folder / "part"
    part.mkdir()
    shutil.copy(folder / "libcoreclr.so", part)
    report = lab.linger("dumpheap", core, "-stat", "--sysroot", part, "--json").reports()[0]
    assert any(re.search(r"missing or cannot be read \(\d+ assemblies and \d+ native files\)", note) for note in report["incomplete"]), report["incomplete"]
    assert sum(t["count"] for t in report["types"]) > 2 * COUNT  # Counted, with no names for lack of metadata.


@pytest.mark.sanitized
def test_a_file_of_another_build_is_not_believed(lab, moved):
    core, _, folder = moved
    other = lab.folder / "other"
    shutil.copytree(folder, other)
    library = other / "libcoreclr.so"
    data = bytearray(library.read_bytes())
    at = data.find(b"GNU\0", 0, 4096)
    assert at > 0
    data[at + 4] ^= 0xFF
    library.write_bytes(data)
    complaint(lab.linger("dumpheap", core, "-stat", "--sysroot", other, status=None), 3, "libcoreclr.so")


@pytest.mark.sanitized
def test_a_sysroot_is_for_cores_and_for_opening(lab, moved):
    app = lab.app("Leak", "workstation")
    complaint(lab.linger("dumpheap", app.pid, "-stat", "--sysroot", "/", status=None), 2, "is for cores")
    complaint(lab.linger("dumpheap", moved[0], "-stat", "--sysroot", "/no/such", status=None), 3, "sysroot '/no/such'")
    result = lab.linger("open", moved[0], "--sysroot", moved[1], "-c", "dumpheap -stat -sysroot /", status=None)
    assert result.status == 2 and "belongs to 'open'" in result.err, result


@pytest.mark.sanitized
def test_a_sysroot_leads_to_the_dac(lab, moved):
    """Where the process had it, or by its bare name; under the rule of all DACs. There is none where the program was."""
    core, root, folder = moved
    for where in [root, folder]:
        report = lab.linger("clrstack", core, "--sysroot", where, "--json").reports()[0]
        assert report["dac"] == str(folder / "libmscordaccore.so")
        assert any(f["method"] == "Program.Main(System.String[])" for t in report["threads"] for f in t["frames"])
    result = lab.linger("clrstack", core, "--sysroot", root / "none", status=None)
    assert result.status == 3, result


@pytest.mark.sanitized
@pytest.mark.parametrize("what, pattern", [
    ("missing", r"no libmscordaccore\.so beside the runtime .*--dac, or have it below --sysroot: it says 'Version 10\."),
    ("writable", r"can be written by others than its owner.*chmod go-w"), ("another", r"of another build than the runtime.*Version 99\."),
    ("outside", r"no libmscordaccore\.so beside the runtime"), ("folder", r"is no file"),
])
def test_what_of_a_sysroot_is_no_dac(lab, moved, what, pattern):
    """A link leads nowhere out of the sysroot."""
    part = lab.folder / f"dac-{what}"
    part.mkdir()
    shutil.copy(moved[2] / "libcoreclr.so", part)
    dac, original = part / "libmscordaccore.so", moved[2] / "libmscordaccore.so"
    if what == "writable":
        shutil.copy(original, dac)
        dac.chmod(0o666)
    elif what == "another":
        dac.write_bytes(original.read_bytes().replace(b"@(#)Version 10.", b"@(#)Version 99."))
    elif what == "outside":
        dac.symlink_to(original)
    elif what == "folder":
        dac.mkdir()
    complaint(lab.linger("clrstack", moved[0], "--sysroot", part, status=None), 3, pattern)


def test_a_sysroot_leads_to_the_dac_of_a_single_file_program(lab, moved):
    """By its build-id: it is the same in all programs of that runtime."""
    folder = lab.folder / "single-sysroot"
    folder.mkdir()
    shutil.copy(lab.program("Leak:single-file"), folder)
    shutil.copy(moved[2] / "libmscordaccore.so", folder)
    app = lab.start("Leak:single-file", "workstation", ["--objects", COUNT])
    core = lab.dump(app, "full", "single-moved.core")
    app.kill()
    report = lab.linger("clrstack", core, "--sysroot", folder, "--json").reports()[0]
    assert report["dac"] == str(folder / "libmscordaccore.so")
    assert any(f["method"] == "Program.Main(System.String[])" for t in report["threads"] for f in t["frames"])


# ---- cut short ----


@pytest.mark.sanitized
def test_a_core_cut_anywhere_says_so(lab):
    """Three sizes around each border between what the core is made of, and between the pieces of the heap."""
    cut = lab.folder / "cut-anywhere.core"
    shutil.copy(core_of(lab, "withheap"), cut)
    with open(cut, "r+b") as file:
        head = file.read(1 << 16)
        phoff, phnum = struct.unpack_from("<Q", head, 32)[0], struct.unpack_from("<H", head, 56)[0]
        loads = [struct.unpack_from("<IIQQQQQQ", head, phoff + 56 * i) for i in range(phnum)]
        ends = sorted({p[2] + p[5] for p in loads if p[5]})
        borders = [1, 16, 64, phoff + 56, phoff + 56 * phnum, *ends[:: max(1, len(ends) // 6)]]
        for size in sorted({b + d for b in borders for d in (-1, 0, 1) if 0 < b + d < cut.stat().st_size}, reverse=True):
            file.truncate(size)
            result = survives(lab.linger("open", cut, "-c", "eeheap -gc", "-c", "dumpheap -stat", status=None))
            assert re.search("cut short|not an ELF core|past its end", result.err), (size, result)
    cut.unlink()


# ---- other machines, other runtimes ----


def as_arm64(source, destination):
    """The same core as one of arm64: the machine in all headers, and registers as its NT_PRSTATUS has them."""
    data = bytearray(source.read_bytes())
    phoff, phnum = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    struct.pack_into("<H", data, 18, 183)
    notes = bytearray()
    for i in range(phnum):
        p = struct.unpack_from("<IIQQQQQQ", data, phoff + 56 * i)
        if p[0] == 1 and data[p[2] : p[2] + 4] == b"\x7fELF" and p[5] >= 64:
            struct.pack_into("<H", data, p[2] + 18, 183)
        if p[0] != 4:
            continue
        at, index = p[2], i
        while at < p[2] + p[5]:
            name_len, length, kind = struct.unpack_from("<III", data, at)
            name, start = data[at + 12 : at + 12 + name_len], at + 12 + (name_len + 3) // 4 * 4
            desc = data[start : start + length]
            if kind == 1 and name == b"CORE\0":
                r = struct.unpack_from("<27Q", desc, 112)
                x = [*r[:16], r[17], r[18], r[20], *r[22:27]]
                desc = desc[:112] + struct.pack("<34Q", *x, *[0] * (31 - len(x)), r[19], r[16], 0) + bytes(8)
            if kind != 2:  # NT_FPREGSET
                notes += struct.pack("<III", name_len, len(desc), kind) + name + bytes(-name_len % 4) + desc + bytes(-len(desc) % 4)
            if kind == 1:
                notes += struct.pack("<III", 6, 16, 0x401) + b"LINUX\0\0\0" + struct.pack("<QQ", r[21], 0)
            at = start + (length + 3) // 4 * 4
    struct.pack_into("<IIQQQQQQ", data, phoff + 56 * index, 4, 0, len(data), 0, 0, len(notes), 0, 4)
    destination.write_bytes(data + notes)
    return destination


def test_a_core_of_arm64_is_read(lab):
    """A made-up one, and that is said: no machine with real ones was at hand."""
    real, made_up = core_of(lab, "full"), as_arm64(core_of(lab, "full"), lab.folder / "arm64.core")
    commands = ["dumpheap -stat", "eeheap -gc", "gchandles", "modules"]
    for command, x86, arm in zip(commands, lab.reports(real, commands), lab.reports(made_up, commands)):
        assert {k: v for k, v in x86.items() if k not in ("target", "incomplete")} == {k: v for k, v in arm.items() if k not in ("target", "incomplete")}, command
        assert any("arm64" in note for note in arm["incomplete"])
    session = lab.report(real, "dumpheap -type Session -top 1")["objects"][0]["address"]
    assert "Bus.Tick" in lab.linger("gcroot", made_up, session).out


@pytest.mark.sanitized
@pytest.mark.parametrize("machine, elf_class, pattern", [
    (40, 1, r"32-bit process \(arm\)"), (3, 1, r"32-bit process \(x86\)"), (243, 2, "riscv64"), (22, 2, "s390x"), (4711, 2, "machine 4711"),
])
def test_cores_of_other_machines_are_named(lab, machine, elf_class, pattern):
    other = lab.folder / "machine.core"
    data = bytearray(core_of(lab, "normal").read_bytes()[: 1 << 16])
    data[4] = elf_class
    struct.pack_into("<H", data, 18, machine)
    other.write_bytes(data)
    complaint(lab.linger("dumpheap", other, "-stat", status=None), 3, pattern)


@pytest.mark.sanitized
@pytest.mark.parametrize("content, pattern", [
    (b"MDMP" + bytes(100), "Windows minidump"), (b"PAGEDU64" + bytes(100), "Windows kernel dump"),
    (b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x04\0\0\0" + bytes(100), "macOS core"), (b"\x28\xb5\x2f\xfd" + bytes(100), "coredumpctl dump"),
    (b"\x14\0\0\0!FastSerialization.1" + bytes(100), "is damaged: it is cut short"), (b"some text", "not an ELF core"),
])
def test_what_is_no_core_is_named(lab, content, pattern):
    file = lab.folder / "what.core"
    file.write_bytes(content)
    complaint(lab.linger("dumpheap", file, "-stat", status=None), 3, pattern)


def test_a_kernel_core_of_what_is_not_dotnet(lab):
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern != "core":
        pytest.skip(f"the kernel hands cores to '{pattern}'")
    folder = lab.folder / "native"
    folder.mkdir()
    process = subprocess.Popen(["sleep", "100"], cwd=folder,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)))
    os.kill(process.pid, signal.SIGSYS)
    process.wait(LIMIT)
    complaint(lab.linger("dumpheap", next(folder.iterdir()), "-stat", status=None), 3, r"no \.NET runtime")


# ---- written by the runtime itself ----


MINI, HEAP_KIND, TRIAGE, FULL = 1, 2, 3, 4  # Of DOTNET_DbgMiniDumpType, and of the diagnostics socket.
ON_THE_HEAP = ["dumpheap -stat", "dumpheap -type Cargo", "gchandles", "finalizequeue", "gcroot 1000", "retained", "dumpalc", "dumpobj 1000"]
KEPT_BY = "--withheap, --full and gcore keep it"


def crash_core(lab, kind):
    """Of a program that nobody catches an exception of, by the runtime's own settings."""
    def make():
        core = lab.folder / f"crash-{kind}.core"
        settings = {"DOTNET_DbgEnableMiniDump": "1", "DOTNET_DbgMiniDumpType": str(kind), "DOTNET_DbgMiniDumpName": str(core)}
        done = subprocess.run([str(lab.program("Throws")), "--crash", "1", "--seconds", "100"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=clean_environment(settings), timeout=LIMIT)
        assert done.returncode == -signal.SIGABRT and core.exists(), done.stdout
        return core
    return lab.once(("crash core", kind), make)


@pytest.mark.parametrize("kind", [HEAP_KIND, FULL])
def test_a_crash_dump_has_the_exception_as_root(lab, kind):
    """In its first pass for ever: .NET 10's DAC dies of that where it finds no copy of the stack."""
    core = crash_core(lab, kind)
    cargo, = [o["address"] for o in lab.report(core, "dumpheap -type FatalCargo")["objects"]]
    roots = lab.report(core, f"gcroot {cargo}")["roots"]
    fatal, = [r for r in roots if r["name"] == "in-flight exception"]
    assert [hop["type"] for hop in fatal["path"]] == ["Fatal", "FatalCargo"] and fatal["kind"] == "frame" and not fatal["conservative"]
    stack, = [t for t in lab.report(core, "clrstack")["threads"] if t["os_id"] == fatal["thread"]]
    methods = [f["method"] for f in stack["frames"]]
    assert "Program.Main(System.String[])" in methods and any(m and m.startswith("Program.Throw") for m in methods), stack
    assert lab.report(core, "dumpheap -stat -type Caught")["total_count"] == 0


@pytest.mark.sanitized
@pytest.mark.parametrize("kind", [MINI, TRIAGE])
def test_a_small_crash_dump_says_of_each_command_what_would_have_kept_it(lab, kind):
    core = crash_core(lab, kind)
    for command in [*ON_THE_HEAP, "dumpstackobjects"]:
        name, *words = command.split()
        complaint(lab.linger(name, core, *words, status=None), 3, KEPT_BY)


@pytest.mark.parametrize("kind", [MINI, TRIAGE])
def test_a_small_crash_dump_tells_stacks_threads_and_modules(lab, kind):
    core = crash_core(lab, kind)
    stacks, threads, modules, limits = lab.reports(core, ["clrstack", "clrthreads", "modules", "limits"])
    assert any(f["method"] == "Program.Main(System.String[])" for t in stacks["threads"] for f in t["frames"])
    assert threads["thread_count"] == len(threads["threads"]) > 5
    assert any(m["managed"] and m["path"].endswith("/Throws.dll") for m in modules["modules"])
    assert any("core lacks the memory that they are in" in note for note in limits["incomplete"]), limits["incomplete"]
    committed = [b["current"] for b in limits["bounds"] if b["name"] == "managed heap"]
    assert committed and (committed[0] is None) == (kind == TRIAGE), "what the GC has is not known in a triage dump"


def test_where_the_heap_was_is_told_of_a_small_crash_dump(lab):
    report = lab.report(crash_core(lab, MINI), "eeheap -gc")
    assert report["gc_allocated"] > 100_000 and report["segments"]
    complaint(lab.linger("eeheap", crash_core(lab, TRIAGE), "-gc", status=None), 3, KEPT_BY)


@pytest.mark.parametrize("kind", [MINI, HEAP_KIND, TRIAGE, FULL])
def test_dumps_asked_for_by_the_diagnostics_socket(lab, kind):
    """As dotnet-dump and dotnet-monitor ask for them: the process goes on, and can be read."""
    app, core = dumped(lab), lab.folder / f"asked-{kind}.core"
    with app.looked_at:
        assert dump_command.ask(app.pid, core, kind) == 0
    if kind in (HEAP_KIND, FULL):
        assert counts(lab.report(core, "dumpheap -stat"))["Order"] == ORDERS
    else:
        complaint(lab.linger("dumpheap", core, "-stat", status=None), 3, KEPT_BY)
        assert any(m["managed"] and m["path"].endswith("/Leak.dll") for m in lab.report(core, "modules")["modules"])
    assert counts(lab.report(app.pid, "dumpheap -stat"))["Order"] == ORDERS


@pytest.mark.sanitized
@pytest.mark.parametrize("kind", ["normal", "triage"])
def test_each_command_on_createdumps_small_kinds(lab, kind):
    for command in ON_THE_HEAP:
        name, *words = command.split()
        complaint(lab.linger(name, core_of(lab, kind), *words, status=None), 3, KEPT_BY)


# ---- taken during a garbage collection ----


def address_of_gc_counter(app):
    """Of gc_structures_invalid_cnt, which the GC counts up while it changes what debuggers read (reference clr.md D.4)."""
    maps = pathlib.Path(f"/proc/{app.pid}/maps").read_text()
    base, path = next((int(line.split("-")[0], 16), line.split()[-1]) for line in maps.splitlines() if line.endswith("libcoreclr.so"))
    symbols = subprocess.run(["nm", "-D", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    table = base + int(re.search(r"^([0-9a-f]+) \w g_dacTable", symbols, re.MULTILINE)[1], 16)
    with open(f"/proc/{app.pid}/mem", "rb", 0) as memory:
        def words(address, count):
            memory.seek(address)
            return struct.unpack(f"<{count}Q", memory.read(8 * count))
        for entry in words(table, 129):
            try:
                variables = words(entry, 1)[0]
                version, size, generations = words(variables, 3)
            except (OSError, OverflowError):
                continue
            if version & 0xFF == 2 and 0x40 <= size < 4096 and generations == 5:
                return words(variables + 24 + 8 * 21, 1)[0]
    raise AssertionError("no GcDacVars")


def test_a_core_taken_during_a_collection_says_so(lab):
    core, copy = core_of(lab, "full"), lab.folder / "during-gc.core"
    shutil.copy(core, copy)
    with open(copy, "r+b") as file:
        at = offset_of(file, address_of_gc_counter(dumped(lab)))
        file.seek(at)
        assert file.read(4) == bytes(4)
        file.seek(at)
        file.write(struct.pack("<I", 1))
    for command in ["dumpheap -stat", "gchandles", "eeheap -gc"]:
        report = lab.report(copy, command)
        assert any("while a garbage collection was under way" in note for note in report["incomplete"]), (command, report["incomplete"])
        assert not any("garbage collection" in note for note in lab.report(core, command)["incomplete"])
    assert counts(lab.report(copy, "dumpheap -stat"))["Order"] == ORDERS
