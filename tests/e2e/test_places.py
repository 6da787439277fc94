"""Rights and places: who may look at whom, and where both are. The right answer, or one sentence with the missing right and the remedy.

Containers are made by container.py from what a distroless image has: the program, its libraries, no shell.
"""
import ctypes
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

import pytest

from lab import HERE, LIMIT, App, Failed, Result, children, clean_environment, process_state, thread_states, wait_until
from test_bad_input import complaint

COUNT = 300
ORDERS = COUNT + 2
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
YAMA = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root: it makes users, capabilities and namespaces differ")


# ---- rights ----


@pytest.fixture(scope="module")
def anyones(lab):
    """A linger that every user may run."""
    program = lab.folder / "anyones-linger"
    shutil.copy(lab.linger_program, program)
    program.chmod(0o755)
    lab.folder.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def programs(lab):
    """The test app where every user may run it."""
    where = lab.folder / "anyones-app"
    shutil.copytree(lab.program("Leak").parent, where)
    return where / "Leak"


def start(lab, programs, host=()):
    app = App(programs, ["--objects", COUNT], host=host)
    lab._apps.append(app)
    return app


@pytest.fixture(scope="module")
def roots(lab, programs):
    return start(lab, programs)


@pytest.fixture(scope="module")
def nobodys(lab, programs):
    return start(lab, programs, AS_NOBODY)


def run(*command, **keywords):
    command = [str(word) for word in command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT,
                          env=clean_environment(), **keywords)
    return Result(command, done.returncode, done.stdout, done.stderr)


def is_read(result):
    assert result.status == 0, result
    assert re.search(rf"^[0-9a-f]{{12}} +{ORDERS} +[0-9,]+ Order$", result.out, re.MULTILINE), result


def is_untouched(pid):
    assert wait_until(lambda: process_state(pid) in ("S", "R"))
    assert wait_until(lambda: not set(thread_states(pid).values()) & {"T", "t"}), "a thread was left stopped"
    assert wait_until(lambda: not children(pid)), f"a copy was left: {children(pid)}"


def test_root_reads_anybodys(anyones, nobodys):
    is_read(run(anyones, "dumpheap", nobodys.pid, "-stat"))
    is_untouched(nobodys.pid)


def test_the_same_user(anyones, nobodys):
    """ptrace_scope 0, and kernels without Yama: yes. Else which setting it is, and the command."""
    scope = YAMA.read_text().strip() if YAMA.exists() else "none"
    result = run(*AS_NOBODY, anyones, "dumpheap", nobodys.pid, "-stat")
    if scope in ("none", "0"):
        is_read(result)
    else:
        complaint(result, 3, rf"kernel\.yama\.ptrace_scope is {scope}.*sudo")
    is_untouched(nobodys.pid)


def test_the_same_user_under_yama(anyones, nobodys):
    if not YAMA.exists():
        pytest.skip("this kernel has no Yama: what is said of it is tested in tests/unit/test_live_denied.c")
    before = YAMA.read_text()
    try:
        YAMA.write_text("1")
        complaint(run(*AS_NOBODY, anyones, "dumpheap", nobodys.pid, "-stat"), 3, r"ptrace_scope is 1.*sudo sysctl kernel\.yama\.ptrace_scope=0")
        YAMA.write_text("0")
        is_read(run(*AS_NOBODY, anyones, "dumpheap", nobodys.pid, "-stat"))
    finally:
        YAMA.write_text(before)


@pytest.mark.parametrize("how", ["ambient", "file"])
def test_cap_sys_ptrace_alone(lab, anyones, roots, how):
    """It opens no file of /proc that is the user's only: memory is read and written by other calls, the copy ended by its tracer."""
    if how == "ambient":
        linger = [*AS_NOBODY, "--inh-caps=+sys_ptrace", "--ambient-caps=+sys_ptrace", anyones]
    else:
        capable = lab.folder / "capable-linger"
        shutil.copy(anyones, capable)
        if not shutil.which("setcap") or subprocess.run(["setcap", "cap_sys_ptrace+ep", str(capable)]).returncode != 0:
            pytest.skip("setcap cannot give a file a right here")
        linger = [*AS_NOBODY, capable]
    is_read(run(*linger, "dumpheap", roots.pid, "-stat"))
    session = run(*linger, "dumpheap", roots.pid, "-type", "Session", "-short").out.split()[0]
    assert "Bus.Tick" in run(*linger, "gcroot", roots.pid, session).out
    assert "Program.Main(System.String[])" in run(*linger, "clrstack", roots.pid).out
    assert re.search(rf"^{roots.pid} +Leak +10\.", run(*linger, "ps", roots.pid).out, re.MULTILINE)
    is_untouched(roots.pid)


def test_another_user(anyones, roots):
    line = complaint(run(*AS_NOBODY, anyones, "dumpheap", roots.pid, "-stat"), 3, r"belongs to user root \(0\): run linger as that user or with sudo")
    assert f"(sudo setcap cap_sys_ptrace+ep {anyones})" in line
    is_untouched(roots.pid)


def test_root_without_the_capability(anyones, roots):
    linger = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", anyones]
    complaint(run(*linger, "dumpheap", roots.pid, "-stat"), 3, r"root without CAP_SYS_PTRACE: start the container with --cap-add=SYS_PTRACE")


def test_root_of_a_user_namespace(anyones, roots):
    if subprocess.run(["unshare", "-Ur", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no user namespaces here")
    complaint(run("unshare", "-Ur", anyones, "dumpheap", roots.pid, "-stat"), 3, r"in a user namespace .*its rights end there: run it outside")


ALLOW, ERRNO = 0x7FFF0000, 0x50000


def refuse_ptrace():
    """A seccomp filter, as of a container: ptrace fails with EPERM."""
    SYS_ptrace = 101
    install_filter([(0x20, 0, 0, 0), (0x15, 0, 1, SYS_ptrace), (0x06, 0, 0, ERRNO | 1), (0x06, 0, 0, ALLOW)])


def refuse_copies():
    """Threads are allowed, processes are not: clone3 fails with ENOSYS, clone without CLONE_VM with EPERM."""
    SYS_clone, SYS_clone3, CLONE_VM = 56, 435, 0x100
    install_filter([(0x20, 0, 0, 0), (0x15, 0, 1, SYS_clone3), (0x06, 0, 0, ERRNO | 38), (0x15, 0, 3, SYS_clone),
                    (0x20, 0, 0, 16), (0x45, 1, 0, CLONE_VM), (0x06, 0, 0, ERRNO | 1), (0x06, 0, 0, ALLOW)])


def install_filter(code):
    text = b"".join(struct.pack("HBBI", *line) for line in code)
    lines = ctypes.create_string_buffer(text, len(text))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(lines)))
    libc = ctypes.CDLL(None)
    libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, program, 0, 0) != 0:
        os._exit(9)


def test_a_seccomp_filter_on_linger(anyones, roots):
    complaint(run(anyones, "dumpheap", roots.pid, "-stat", preexec_fn=refuse_ptrace), 3, r"a seccomp filter on linger forbids it.*seccomp=unconfined")
    is_untouched(roots.pid)


def test_a_process_that_stands_still_is_let_go_to_collect(lab):
    """It cannot be copied, so a look at it is a stop: while that lasts it could answer nothing."""
    process = subprocess.Popen([str(lab.program("Leak")), "--seconds", "3600", "--objects", "10"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=refuse_copies)
    try:
        assert process.stdout.readline()
        words = ["dumpheap -stat -top 1", "refresh -gc", "watch -rounds 2 -every 100ms --gc", "vadump --gc", f"diff {process.pid} --gc", "dumpheap -stat -top 1"]
        result = lab.linger("attach", process.pid, *[word for command in words for word in ("-c", command)])
        assert "cannot be copied (its seccomp filter refuses clone)" in result.err
        assert result.err.count("note: full collection first, paused ") == 5, result.err
        assert result.out.count("\n   full collection first, paused ") == 2, result.out  # Of both pictures of it.
        compared = lab.linger("dumpheap", process.pid, "-stat", "--gc")
        assert "cannot be copied" in compared.err and "After the collection: " in compared.out
        for command in f"gcs {process.pid} -for 1s", f"alloc {process.pid} -for 1s":
            refused = lab.linger("attach", process.pid, "-c", "dumpheap -stat -top 1", "-c", command, status=3)
            assert "starting a session: this linger holds the process stopped to read it: it cannot answer\n" in refused.err, refused
        is_untouched(process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# ---- containers ----


def libraries(*files):
    found = set()
    for file in files:
        out = subprocess.run(["ldd", str(file)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        found |= {pathlib.Path(p) for p in re.findall(r"(/\S+) \(0x", out)}
    return found


def make_root(folder, *programs):
    """What there is in it: programs in /app, and the libraries of the system that they need."""
    app = folder / "app"
    for program in programs:
        shutil.copytree(program, app, dirs_exist_ok=True) if program.is_dir() else (app.mkdir(parents=True, exist_ok=True), shutil.copy(program, app))
    for library in libraries(*[p for p in app.iterdir() if p.is_file() and (p.suffix == ".so" or not p.suffix)]):
        if not library.is_relative_to(folder):
            target = folder / str(library)[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
    return folder


class Container(App):
    """The app in one; `pid` is its number outside."""

    def __init__(self, root, *options, program="/app/Leak"):
        host = [sys.executable, str(HERE / "container.py"), *options, str(root)]
        super().__init__(program, ["--objects", COUNT], host=host)
        inside = list(children(self.process.pid))
        if len(inside) != 1:
            self.kill()
            raise Failed(f"container.py has {inside} for children")
        self.pid = inside[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


@pytest.fixture(scope="module")
def image(lab):
    lab.folder.chmod(0o755)
    return make_root(lab.folder / "image", lab.program("Leak:self-contained").parent)


@pytest.fixture
def copy_of_image(lab, image):
    folder = lab.folder / "image-copy"
    shutil.copytree(image, folder, ignore=shutil.ignore_patterns("tmp"))  # The runtime's sockets.
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("options", [(), ("--read-only", "--tmp"), ("--read-only", "--tmp", "--user", str(NOBODY))], ids=["plain", "read-only", "no root"])
def test_a_container_without_a_shell(lab, image, options):
    """Its own PID and mount namespace, its own root. Looked at from outside, by its number there."""
    assert not list(image.rglob("sh"))
    with Container(image, *options) as app:
        assert app.truth["pid"] == 1 and app.pid != 1
        is_read(lab.linger("dumpheap", app.pid, "-stat"))
        session = lab.report(app.pid, "dumpheap -type Session -top 1")["objects"][0]["address"]
        assert "Bus.Tick" in lab.linger("gcroot", app.pid, session).out
        told = [p for p in lab.linger("ps", "--json").reports()[0]["processes"] if p["pid"] == app.pid]
        assert [(p["ns_pid"], p["runtime"], p["flavour"]) for p in told] == [(1, app.truth["runtime"], "self-contained")]
        assert any(m["path"] == "/app/Leak.dll" for m in lab.report(app.pid, "modules")["modules"])
        is_untouched(app.pid)


@pytest.mark.parametrize("user", [[], ["--user", str(NOBODY)]], ids=["root", "no root"])
def test_the_socket_of_a_container_is_found_from_outside(lab, image, user):
    """It lies in the container's /tmp, named after the number that the process has there: nothing of that is ours."""
    with Container(image, "--read-only", "--tmp", *user) as app:
        start = pathlib.Path(f"/proc/{app.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        assert not pathlib.Path("/tmp", f"dotnet-diagnostic-{app.pid}-{start}-socket").exists()
        collected = lab.linger("dumpheap", app.pid, "-stat", "--gc", "--json").reports()[0]
        assert collected["target"]["gc_ms"] > 0 and [t["pid"] for t in collected["targets"]] == [app.pid] * 2
        assert lab.linger("gcs", app.pid, "-for", "100ms", "--json").reports()[0]["target"]["pid"] == app.pid
        assert lab.linger("alloc", app.pid, "-for", "100ms", "--json").reports()[0]["target"]["pid"] == app.pid
        is_untouched(app.pid)


def test_a_container_without_room_for_a_socket(lab, image):
    with Container(image, "--read-only") as app:
        for command in (["dumpheap", app.pid, "--gc"], ["gcs", app.pid, "-for", "100ms"], ["alloc", app.pid, "-for", "100ms"]):
            complaint(lab.linger(*command, status=None), 3, r"it has no diagnostics socket")


def test_the_dac_of_a_container_is_its_own(lab, image):
    """Its threads have numbers of the container: 1, and not the PID outside."""
    with Container(image, "--read-only") as app:
        report = lab.report(app.pid, "clrstack")
        assert report["dac"] == f"/proc/{app.pid}/root/app/libmscordaccore.so"
        assert any(f["method"] == "Program.Main(System.String[])" for t in report["threads"] if t["os_id"] == 1 for f in t["frames"])


def test_a_dac_that_others_than_root_could_have_written(lab, copy_of_image):
    """The file belongs to the container's user: its code would run with our rights."""
    os.chown(copy_of_image / "app" / "libmscordaccore.so", NOBODY, NOBODY)
    with Container(copy_of_image, "--read-only", "--user", str(NOBODY)) as app:
        complaint(lab.linger("clrstack", app.pid, status=None), 3, rf"belongs to user {NOBODY}.*name the copy with --dac")
        session = lab.report(app.pid, "dumpheap -type Session -top 1")["objects"][0]["address"]
        notes = lab.report(app.pid, f"gcroot {session}")["incomplete"]
        assert any("stack roots are conservative" in note and f"belongs to user {NOBODY}" in note for note in notes), notes


RUNTIME_FILES = ["libcoreclr.so", "System.Private.CoreLib.dll", "libmscordaccore.so", "Leak.dll"]


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_files_of_the_runtime_are_gone(lab, copy_of_image, replaced):
    """As after an upgrade: memory has all but the DAC, and that one is not taken from what lies there now."""
    with Container(copy_of_image, "--tmp") as app:
        for name in RUNTIME_FILES:
            file = copy_of_image / "app" / name
            file.unlink()
            if replaced:
                file.write_bytes(os.urandom(100_000))
        is_read(lab.linger("dumpheap", app.pid, "-stat"))
        session = lab.report(app.pid, "dumpheap -type Session -top 1")["objects"][0]["address"]
        assert "Bus.Tick" in lab.linger("gcroot", app.pid, session).out
        line = complaint(lab.linger("clrstack", app.pid, status=None), 3, r"is no x86-64 library" if replaced else "no libmscordaccore.so beside the runtime")
        assert "--dac" in line
        told = lab.linger("ps", app.pid, "--json").reports()[0]
        assert told["processes"][0]["runtime"] == app.truth["runtime"] and not any("no version" in note for note in told["incomplete"]), told
        is_untouched(app.pid)


def test_a_dac_of_another_version_lies_there_now(lab, copy_of_image):
    with Container(copy_of_image) as app:
        file = copy_of_image / "app" / "libmscordaccore.so"
        file.write_bytes(file.read_bytes().replace(b"@(#)Version 10.", b"@(#)Version 99."))
        complaint(lab.linger("clrstack", app.pid, status=None), 3, r"of another build than the runtime.*Version 99\.")


@pytest.mark.parametrize("name", ["Leak.dll", "System.Private.CoreLib.dll"])
@pytest.mark.parametrize("cut", [False, True], ids=["overwritten", "cut"])
def test_an_assembly_is_written_to_in_place(lab, copy_of_image, name, cut):
    """That changes the memory of the process: what it was is not to be had. Counted all the same, without names, and said."""
    with Container(copy_of_image) as app:
        app.stop()  # It would die of what it finds there.
        file = copy_of_image / "app" / name
        with open(file, "r+b") as out:
            out.truncate(0) if cut else out.write(os.urandom(file.stat().st_size))
        report = lab.report(app.pid, "dumpheap -stat")
        assert ORDERS in [t["count"] for t in report["types"]]
        assert any(re.search(rf"{re.escape(name)}.*no names", note) for note in report["incomplete"]), report["incomplete"]


def test_the_runtime_itself_is_cut(lab, copy_of_image):
    with Container(copy_of_image) as app:
        app.stop()
        (copy_of_image / "app" / "libcoreclr.so").write_bytes(b"")
        complaint(lab.linger("dumpheap", app.pid, "-stat", status=None), 3, r"libcoreclr\.so.*(overwritten|cut).*restart")


def test_a_single_file_program_that_is_deleted(lab):
    folder = make_root(lab.folder / "single", lab.program("Leak:single-file").parent)
    with Container(folder) as app:
        (folder / "app" / "Leak").unlink()
        is_read(lab.linger("dumpheap", app.pid, "-stat"))
        session = lab.report(app.pid, "dumpheap -type Session -top 1")["objects"][0]["address"]
        assert "Bus.Tick" in lab.linger("gcroot", app.pid, session).out


# ---- linger's own place ----


def test_nothing_can_be_written(lab, roots):
    """No /tmp, no HOME, every file system read-only: nothing of it is needed."""
    script = ('mount -t tmpfs -o ro tmpfs /tmp/ && mount --bind / /mnt && mount -o remount,ro,bind / && cd / && ! touch /tmp/x 2>/dev/null && ! touch /x 2>/dev/null'
              ' && exec env -u HOME TMPDIR=/nonexistent "$@"')
    linger = pathlib.Path(f"/var/tmp/linger-{os.getpid()}")
    shutil.copy(lab.linger_program, linger)
    try:
        for command in [("dumpheap", roots.pid, "-stat"), ("clrstack", roots.pid), ("ps",)]:
            result = run("unshare", "-m", "sh", "-c", script, "sh", linger, *command)
            assert result.status == 0 and result.out, result
    finally:
        linger.unlink()
    is_untouched(roots.pid)


def test_inside_the_container(lab, image, copy_of_image):
    """linger beside the program, in the same container: by the number there."""
    make_root(copy_of_image, lab.linger_program)
    with Container(copy_of_image, "--read-only") as app:
        is_read(run("nsenter", "-t", app.pid, "-p", "-m", "-r", "/app/linger", "dumpheap", "1", "-stat"))
        is_untouched(app.pid)


def in_container(lab, root, *arguments, options=("--read-only",)):
    return run(sys.executable, HERE / "container.py", *options, root, "/app/linger", *arguments)


@pytest.fixture(scope="module")
def tools(lab):
    return make_root(lab.folder / "tools", lab.linger_program)


def test_from_a_container_out(lab, tools, roots):
    complaint(in_container(lab, tools, "dumpheap", roots.pid, "-stat"), 3,
              r"no such process in linger's own PID namespace: in a container .* --pid=host")


def test_from_a_container_with_the_machines_proc(lab, tools, roots):
    """What /proc calls by a number is another process for ptrace, or none: nothing is touched."""
    complaint(in_container(lab, tools, "dumpheap", roots.pid, "-stat", options=("--read-only", "--host-proc")), 3,
              r"is in another PID namespace than linger.*--pid=host.*nsenter")
    is_untouched(roots.pid)
