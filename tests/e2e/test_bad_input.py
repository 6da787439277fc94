"""Bad input: one sentence, the right exit status, and the target runs on.

Exit status: 2 for how linger was called, 3 for a target that cannot be read.
"""
import ctypes
import errno
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import textwrap

import pytest

from lab import LIMIT, clean_environment, process_state, thread_states, wait_until

ALL = ["eeheap", "dumpheap -stat", "dumpheap -strings -stat", "dumpheap -type App -top 5", "gchandles", "finalizequeue"]


def complaint(result, status, pattern):
    """It failed with one sentence on stderr that matches, and printed no half report."""
    assert result.status == status, result
    lines = [line for line in result.err.strip().splitlines() if not line.startswith("note: target paused")]
    assert len(lines) == 1 and lines[0].startswith("linger: "), result
    assert re.search(pattern, lines[0]), result
    assert result.out == "", result
    return lines[0]


@pytest.fixture
def target(lab):
    """A .NET process that has to be as it was afterwards."""
    app = lab.app("Leak", "workstation")
    yield app
    assert app.is_running()
    assert wait_until(lambda: not set(thread_states(app.pid).values()) & {"T", "t"}), "a thread was left stopped"


class Native:
    """A program that is no .NET program."""

    def __init__(self, *command, **keywords):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **keywords)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.process.poll() is None, "the target has ended"
        assert wait_until(lambda: process_state(self.pid) in ("S", "R"))
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


# ---- which target ----


@pytest.mark.sanitized
def test_no_such_process(lab):
    ended = subprocess.Popen(["true"])
    ended.wait()
    complaint(lab.linger("dumpheap", ended.pid, "-stat", status=None), 3, r"no such process|no process")


@pytest.mark.sanitized
@pytest.mark.parametrize("spec, status, pattern", [
    ("0", 2, "no PID"), ("99999999999999999999", 2, "no PID"), ("/no/such/file", 3, "No such file"), ("nosuchname", 3, "no PID, no file"),
])
def test_what_is_no_target(lab, spec, status, pattern):
    complaint(lab.linger("dumpheap", spec, "-stat", status=None), status, pattern)


@pytest.mark.sanitized
def test_no_target_at_all(lab):
    complaint(lab.linger("dumpheap", "-stat", status=None), 2, "expected a target")


@pytest.mark.sanitized
def test_not_dotnet(lab):
    with Native("sleep", "100") as sleep:
        complaint(lab.linger("dumpheap", sleep.pid, "-stat", status=None), 3, r"no \.NET runtime")


def test_a_file_that_is_no_core(lab):
    complaint(lab.linger("dumpheap", __file__, "-stat", status=None), 3, r"(no|not an?) (ELF|core)")
    complaint(lab.linger("dumpheap", lab.linger_program, "-stat", status=None), 3, r"no(t a)? core")
    empty = lab.folder / "empty.core"
    empty.touch()
    complaint(lab.linger("dumpheap", empty, "-stat", status=None), 3, r"(no|not an?) (ELF|core)|empty")


def test_a_core_of_what_is_not_dotnet(lab):
    if not shutil.which("gcore"):
        pytest.skip("gdb is not installed: no gcore")
    with Native("sleep", "100") as sleep:
        subprocess.run(["gcore", "-o", str(lab.folder / "sleep"), str(sleep.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        complaint(lab.linger("dumpheap", lab.folder / f"sleep.{sleep.pid}", "-stat", status=None), 3, r"no \.NET runtime")


def test_no_permission(lab):
    """A process of root, for somebody else; the sentence names the right that is missing and the remedy."""
    program = lab.folder / "linger-for-all"
    shutil.copy(lab.linger_program, program)
    program.chmod(0o755)
    lab.folder.chmod(0o755)
    if os.getuid() == 0:
        pid, prefix = lab.app("Leak", "workstation").pid, ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    else:
        pid, prefix = 1, []
    done = subprocess.run([*prefix, str(program), "dumpheap", str(pid), "-stat"], capture_output=True, text=True, timeout=LIMIT, env=clean_environment())
    assert (done.returncode, done.stdout) == (3, ""), done
    assert len(done.stderr.strip().splitlines()) == 1
    assert re.search(r"root|another user|permission|not permitted", done.stderr) and re.search(r"sudo|CAP_SYS_PTRACE|setcap", done.stderr), done.stderr
    if os.getuid() == 0:
        assert lab.app("Leak", "workstation").is_running()


# ---- runtimes that linger does not read: stand-ins that export what the real ones do ----


@pytest.fixture(scope="module")
def stand_in(lab):
    """A program that maps a library of a given name and content, and waits."""
    def build(name, library=None, library_source="", program_source="", folder="lib"):
        where = lab.folder / name / folder
        where.mkdir(parents=True)
        program = lab.folder / name / "program"
        link = []
        if library:
            (where / "library.c").write_text(library_source)
            subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(where / library), str(where / "library.c")], check=True)
            link = [str(where / library), "-Wl,--no-as-needed", f"-Wl,-rpath,{where}"]
        source = lab.folder / name / "program.c"
        source.write_text(program_source + textwrap.dedent("""
            #include <unistd.h>
            int main(void) { write(1, "\\n", 1); return sleep(600) != 0; }
            """))
        subprocess.run(["gcc", "-rdynamic", "-o", str(program), str(source), "-Wl,--no-as-needed", *link], check=True)
        running = Native(str(program))
        running.process.stdout.readline()
        return running
    return build


def test_a_runtime_that_neither_tells_of_itself_nor_has_a_dac(lab, stand_in):
    with stand_in("old", "libcoreclr.so", "char g_dacTable[4096] = {1};", folder="8.0.33") as program:
        complaint(lab.linger("dumpheap", program.pid, "-stat", status=None), 3, r"runtime 8\.0\.33 has no data descriptor, so what it is made of has to be asked of its libmscordaccore\.so.*does not say which build it is")


def test_native_aot(lab, stand_in):
    with stand_in("aot", program_source="char DotNetRuntimeDebugHeader[64] = {1};") as program:
        complaint(lab.linger("dumpheap", program.pid, "-stat", status=None), 3, "NativeAOT")


def test_mono(lab, stand_in):
    with stand_in("mono", "libcoreclr.so", "char mono_jit_init[8], mono_get_root_domain[8];") as program:
        complaint(lab.linger("dumpheap", program.pid, "-stat", status=None), 3, "Mono")
    with stand_in("oldmono", "libmonosgen-2.0.so", "char mono_jit_init[8];") as program:
        complaint(lab.linger("dumpheap", program.pid, "-stat", status=None), 3, "Mono")


def test_runtime_still_starting(lab, stand_in):
    with stand_in("starting", "libhostfxr.so", "char hostfxr_main[8];") as program:
        complaint(lab.linger("dumpheap", program.pid, "-stat", status=None), 3, "not loaded the runtime yet.*try again")


@pytest.mark.sanitized
def test_a_runtime_that_starts_meanwhile(lab):
    """From its first instruction on: an error that says to try again, or an answer, and the program starts as ever."""
    program = lab.program("Leak")
    for _ in range(3):
        process = subprocess.Popen([str(program), "--seconds", "100"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=clean_environment())
        try:
            answers = []
            while not answers or answers[-1].status != 0:
                assert process.poll() is None, (process.stderr.read(), answers[-3:])
                assert len(answers) < 1000
                answers.append(survives(lab.linger("dumpheap", process.pid, "-stat", status=None)))
                if answers[-1].status == 3:
                    complaint(answers[-1], 3, r"try again|starting|no \.NET runtime|not loaded|loaded")
            assert process.stdout.readline().startswith(b'{"truth":1')
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()


def test_a_runtime_that_lies(lab, stand_in):
    """It has the descriptor's symbol, and nothing behind it."""
    source = "char g_dacTable[4096] = {1}; char DotNetRuntimeContractDescriptor[4096] = {1};"
    with stand_in("lies", "libcoreclr.so", source) as program:
        complaint(lab.linger("dumpheap", program.pid, "-stat", status=None), 3, "descriptor")


# ---- cores ----


@pytest.fixture(scope="module")
def small_core(lab):
    app = lab.start("Leak", "workstation", ["--objects", 300])
    core = lab.dump(app, "withheap", "small.core")
    app.kill()
    return core


def survives(result):
    assert result.status in (0, 3), result
    assert not re.search(r"AddressSanitizer|LeakSanitizer|runtime error|Assertion", result.err), result
    if result.status == 3:
        last = result.err.strip().splitlines()[-1]
        assert last.startswith("linger: ") and len(last) < 2000, result
    return result


@pytest.mark.sanitized
@pytest.mark.parametrize("part", [0.0001, 0.01, 0.2, 0.5, 0.8, 0.99, 0.9999])
def test_truncated_core(lab, small_core, part):
    """Said, whatever is left of it: that the file is cut short, as the failure or beside what could be told."""
    cut = lab.folder / f"cut-{part}.core"
    size = int(small_core.stat().st_size * part)
    with open(small_core, "rb") as source, open(cut, "wb") as out:
        out.write(source.read(size))
    words = [word for command in ALL for word in ("-c", command)]
    result = survives(lab.linger("open", cut, *words, status=None))
    cut.unlink()
    assert re.search(r"truncated|cut short|cut off|incomplete|ends (before|within|past|at)|shorter|past the end", result.err), result


def commands_on(lab, core):
    words = [word for command in ALL for word in ("-c", command)]
    return survives(lab.linger("open", core, *words, "--json", status=None))


@pytest.mark.sanitized
@pytest.mark.parametrize("seed, flips", [(seed, flips) for flips in (1, 30, 3000) for seed in range(8)])
def test_damaged_core(lab, small_core, seed, flips):
    """Bytes of the core are wrong anywhere: no crash, no hang, no finding of a sanitizer."""
    damaged = lab.folder / f"damaged-{seed}-{flips}.core"
    rng = random.Random(seed * 10007 + flips)
    shutil.copy(small_core, damaged)
    size = damaged.stat().st_size
    with open(damaged, "r+b") as file:
        for i in range(flips):
            # A quarter in the first 64 KiB, where headers and notes are.
            at = rng.randrange(min(size, 1 << 16)) if i % 4 == 0 else rng.randrange(size)
            file.seek(at)
            file.write(bytes([rng.randrange(256)]))
    commands_on(lab, damaged)
    damaged.unlink()


@pytest.mark.sanitized
@pytest.mark.parametrize("seed", range(12))
def test_damaged_heap_and_runtime(lab, small_core, seed):
    """The same where the objects, handles and method tables lie: found by the addresses that linger itself tells."""
    reports = lab.reports(small_core, ["eeheap -gc", "gchandles", "dumpheap -stat"])
    places = [int(s[key], 16) for s in reports[0]["segments"] for key in ("segment", "begin")]
    places += [int(h["handle"], 16) for h in reports[1]["handles"][:40]] + [int(t["mt"], 16) for t in reports[2]["types"][:80]]
    damaged = lab.folder / f"hurt-{seed}.core"
    shutil.copy(small_core, damaged)
    rng = random.Random(seed)
    with open(damaged, "r+b") as file:
        for address in rng.sample(places, 25):
            at = offset_of(file, address + 8 * rng.randrange(8))
            if at is not None:
                file.seek(at)
                file.write(rng.choice([b"\0" * 8, b"\xff" * 8, rng.randbytes(8), (address + 8).to_bytes(8, "little")]))
    result = commands_on(lab, damaged)
    for address in rng.sample(places, 4):
        survives(lab.linger("gcroot", damaged, hex(address), status=None)) if result.status == 0 else None
    damaged.unlink()


def offset_of(file, address):
    """Where a core holds an address: its program headers, read plainly."""
    file.seek(0)
    head = file.read(64)
    phoff, phnum = int.from_bytes(head[32:40], "little"), int.from_bytes(head[56:58], "little")
    if phnum == 0xFFFF:
        return None
    file.seek(phoff)
    table = file.read(56 * phnum)
    for i in range(phnum):
        p = table[56 * i : 56 * i + 56]
        offset, vaddr, filesz = (int.from_bytes(p[k : k + 8], "little") for k in (8, 16, 32))
        if p[0] == 1 and vaddr <= address < vaddr + filesz:
            return offset + address - vaddr
    return None


@pytest.mark.sanitized
def test_mini_dump(lab, target):
    """Peers' fault 13: 0 objects, exit 0. It holds no heap, and that is what is said."""
    core = lab.core("Leak", "workstation", "normal")
    complaint(lab.linger("dumpheap", core, "-stat", status=None), 3, r"heap|--full|--withheap")


# ---- arguments ----


@pytest.mark.sanitized
@pytest.mark.parametrize("command", ["dumpobj", "gcroot", "dumparray"])
@pytest.mark.parametrize("address", ["0x1234", "0", "ffffffffffffffff"])
def test_address_that_is_no_object(lab, target, command, address):
    complaint(lab.linger(command, target.pid, address, status=None), 3, "is no object")


@pytest.mark.sanitized
def test_address_inside_an_object(lab, target):
    report = lab.report(target.pid, "dumpheap -top 1 -type System.String")
    inside = int(report["objects"][0]["address"], 16) + 8
    complaint(lab.linger("gcroot", target.pid, hex(inside), status=None), 3, "is no object")


@pytest.mark.sanitized
@pytest.mark.parametrize("command", ["dumpobj", "gcroot"])
def test_what_is_no_address(lab, target, command):
    complaint(lab.linger(command, target.pid, "xyz", status=None), 2, "xyz")
    assert lab.linger(command, target.pid, status=None).status == 2


def test_unknown_type(lab, target):
    result = lab.linger("dumpheap", target.pid, "-type", "No.Such.Type")
    report = lab.report(target.pid, "dumpheap -type No.Such.Type")
    assert report["total_count"] == 0 and report["types"] == []
    assert re.search("No.Such.Type", result.out + result.err), result


@pytest.mark.sanitized
@pytest.mark.parametrize("words, near", [(["-stta"], "-stat"), (["--jsno"], "--json"), (["-typ", "x"], "-type"), (["-gne", "gen0"], "-gen")])
def test_unknown_option(lab, target, words, near):
    complaint(lab.linger("dumpheap", target.pid, *words, status=None), 2, f"unknown option '{words[0]}'.*'{near}'")


@pytest.mark.sanitized
@pytest.mark.parametrize("words", [["-gen", "gen7"], ["-heap", "99"], ["-heap", "x"], ["-min", "many"], ["-mt", "xyz"], ["zz"], ["5000", "4000"]])
def test_values_that_make_no_sense(lab, target, words):
    result = lab.linger("dumpheap", target.pid, "-stat", *words, status=None)
    complaint(result, 2 if words != ["-heap", "99"] else result.status, re.escape(words[-1]))
    assert result.status in (2, 3)


def test_unknown_command(lab, target):
    complaint(lab.linger("open", target.pid, "-c", "dumphaep -stat", status=None), 2, "did you mean 'dumpheap'")


# ---- what happens meanwhile ----


def test_target_is_killed_while_it_is_read(lab):
    """At various moments. It was read, or it was not: no hang, no crash, no copy left behind."""
    for delay in (0, 0.005, 0.01, 0.02, 0.04, 0.08):
        app = lab.start("Leak", "workstation", ["--objects", 50000])
        reader = subprocess.Popen([str(lab.linger_program), "dumpheap", str(app.pid), "-stat"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, env=clean_environment())
        if delay:
            try:
                reader.wait(delay)
            except subprocess.TimeoutExpired:
                pass
        app.kill()
        out, err = reader.communicate(timeout=LIMIT)
        assert reader.returncode in (0, 3), (delay, out, err)
        assert reader.returncode == 0 or len([line for line in err.splitlines() if line.startswith("linger: ")]) == 1, err
        assert not re.search("AddressSanitizer|runtime error", err), err


PTRACE_ATTACH, PTRACE_DETACH = 16, 17


def test_target_of_another_debugger(lab):
    """Ours, here: attached, it may not be traced a second time, and stays ours."""
    app = lab.start("Leak", "workstation")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_ATTACH, app.pid, 0, 0) != 0:
        app.kill()
        pytest.skip(f"this machine lets nobody trace: {os.strerror(ctypes.get_errno())}")
    try:
        os.waitpid(app.pid, 0)
        line = complaint(lab.linger("dumpheap", app.pid, "-stat", status=None), 3, "debugger|traced|tracer")
        assert str(os.getpid()) in line, "it does not name who traces"
        assert process_state(app.pid) == "t"
        status = pathlib.Path(f"/proc/{app.pid}/status").read_text()
        assert f"TracerPid:\t{os.getpid()}\n" in status
    finally:
        libc.ptrace(PTRACE_DETACH, app.pid, 0, 0)
    assert wait_until(lambda: not set(thread_states(app.pid).values()) & {"T", "t"})
    assert lab.report(app.pid, "dumpheap -stat")["total_count"] > 0  # And it can be read now.
    app.kill()


@pytest.mark.sanitized
@pytest.mark.parametrize("form", [[], ["--json"], ["--tsv"]])
def test_full_disk(lab, target, form):
    with open("/dev/full", "w") as full:
        result = lab.linger("dumpheap", target.pid, *form, status=None, stdout=full)
    assert result.status == 3 and os.strerror(errno.ENOSPC) in result.err, result
    assert len([line for line in result.err.splitlines() if line.startswith("linger: ")]) == 1
    result = lab.linger("dumpheap", target.pid, *form, "-o", "/dev/full", status=None)
    assert result.status == 3 and os.strerror(errno.ENOSPC) in result.err, result


@pytest.mark.sanitized
@pytest.mark.parametrize("form", [[], ["--json"], ["--tsv"]])
def test_closed_pipe(lab, target, form):
    """`linger … | head -1`: nobody is told anything, and no signal ends linger before its copy of the target is gone."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as pipe:
        result = lab.linger("dumpheap", target.pid, *form, status=None, stdout=pipe)
    assert result.status in (0, 3), result
    assert not [line for line in result.err.splitlines() if line.startswith("linger: ")], result
