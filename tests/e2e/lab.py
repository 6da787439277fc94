"""What the end-to-end tests share: test apps under each GC mode, cores of them, what ClrMD and what linger say.

Everything is made once per session, when first asked for. What the oracle tests need is made ahead on a second thread
(`Lab.prefetch`), so that both processors have work. Processes are ended by their id, always.
"""
import concurrent.futures
import contextlib
import fcntl
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
HERE = REPO / "tests" / "e2e"
BUILT = REPO / "build" / "dotnet"

# Under each of these the heap is laid out, or the roots are kept, in another way.
MODES = {
    "workstation": {},
    "datas": {"DOTNET_gcServer": "1"},  # .NET 9 and later: the number of heaps follows the load
    "server": {"DOTNET_gcServer": "1", "DOTNET_GCDynamicAdaptationMode": "0"},
    "conserve": {"DOTNET_GCConserveMemory": "9"},
    "segments": {"DOTNET_GCName": "libclrgc.so"},  # the GC as it was before regions
    "untiered": {"DOTNET_TieredCompilation": "0"},  # peers' fault 2: no copies on the stack hide a missing root
}
# `Roots@8` is Roots with the runtime 8.0.33 beside it: by the NuGet pack, whatever is installed.
RUNTIMES = {"10": "10.0.14", "9": "9.0.22", "8": "8.0.33", "3.1": "3.1.3"}
# What tests of any heap run on, beside .NET 10.
OLDER = [("Roots@9", "workstation"), ("Types@9", "workstation"), ("Leak@9", "datas"), ("Plugins@9", "workstation"),
         ("Roots@8", "workstation"), ("Types@8", "workstation"), ("Leak@8", "segments"), ("Plugins@8", "workstation")]
SELF_LOAD = 3  # Seconds that Web sends itself requests for.

LIMIT = 240  # Seconds that any one run of linger may take, on a machine however busy. It is no measure of speed.


def older(*apps):
    return [(name, mode) for name, mode in OLDER if name.split("@")[0] in apps]


class Failed(Exception):
    """A tool around linger did not do its work."""


def clean_environment(extra=()):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DOTNET_gc", "DOTNET_GC", "DOTNET_Tiered", "COMPlus_"))}
    env.update({"DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_NOLOGO": "1", "LC_ALL": "C.UTF-8"})
    env.update(extra)
    return env


def newest(*paths):
    files = [p for root in paths for p in ([root] if root.is_file() else root.rglob("*"))]
    return max(p.stat().st_mtime for p in files if p.is_file() and p.suffix in (".cs", ".csproj", ".props"))


FORMS = {"self-contained": ["-p:PublishSingleFile=false"], "single-file": ["-p:PublishSingleFile=true"],
         "nativeaot": ["-p:PublishAot=true", "-p:CppCompilerAndLinker=clang-14"]}


def build(name, form, runtime, folder, *shared):
    """Builds a C# program unless what is there is newer than its sources: for the installed runtime; with a runtime beside it,
    all of it in one file, or compiled ahead (`form`); for another one (`runtime`). One at a time, on the whole machine: they
    share folders."""
    where = BUILT / "-".join(filter(None, [name, form, runtime]))
    BUILT.mkdir(parents=True, exist_ok=True)
    with open(BUILT / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made, program = where / (name if form else f"{name}.dll"), where / name
        if program.exists() and made.exists() and made.stat().st_mtime > newest(folder, *shared):
            return program
        options = [f"-p:Runtime={runtime}"] if runtime else []
        if form:
            options += ["-r", "linux-x64", "--self-contained", *FORMS[form], f"-p:OutputPath={BUILT}/bin/{where.name}/",
                        f"-p:BaseIntermediateOutputPath={BUILT}/obj/{where.name}/", "-o", str(where)]
        dotnet(["publish" if form else "build", "-c", "Release", *options, "-v", "q", "-nologo", str(folder)], where.name)
        made.touch()
        return program


def dotnet(arguments, what, pauses=(3, 10, 30, None)):
    """Builds; again when NuGet could not be had, as servers have bad moments."""
    for pause in pauses:
        result = subprocess.run(["dotnet", *arguments], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env=clean_environment(), timeout=600)
        if result.returncode == 0:
            return
        missing = re.search(r"error (NU\d+: .*?)( \[|$)", result.stdout, re.MULTILINE)
        if not missing or pause is None:
            break
        time.sleep(pause)
    raise Failed(f"{what} cannot be built without a package that NuGet does not give: {missing[1]}" if missing else f"{what} does not build:\n{result.stdout}")


MONO = pathlib.Path("/usr/lib/mono/4.5/mscorlib.dll")


def compile_for_mono(name, folder):
    """Against Mono's own library, with the SDK's compiler."""
    where = BUILT / f"{name}-mono"
    program = where / f"{name}.exe"
    with open(BUILT / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists() and program.stat().st_mtime > newest(folder):
            return program
        where.mkdir(exist_ok=True)
        sdks = subprocess.run(["dotnet", "--list-sdks"], stdout=subprocess.PIPE, text=True, check=True).stdout
        version, root = re.findall(r"^(10\.\S+) \[(.*)\]$", sdks, re.MULTILINE)[-1]
        result = subprocess.run(["dotnet", f"{root}/{version}/Roslyn/bincore/csc.dll", "-nologo", "-noconfig", "-nostdlib", f"-r:{MONO}",
                                 f"-out:{program}", *map(str, folder.glob("*.cs"))], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        if result.returncode != 0:
            raise Failed(f"{name} does not compile for Mono:\n{result.stdout}")
        return program


def find_linger():
    """The program under test: $LINGER, or the newest of the build folders."""
    if "LINGER" in os.environ:
        return pathlib.Path(os.environ["LINGER"]).resolve()
    built = [p for p in (REPO / "build").glob("*/linger") if p.is_file()] + [p for p in [REPO / "build" / "linger"] if p.is_file()]
    if not built:
        raise Failed("linger is not built: `meson setup build/dev && ninja -C build/dev`, or name it in $LINGER")
    return max(built, key=lambda p: p.stat().st_mtime)


def runtime_folder(version):
    """Where the runtime of that version lies: `dotnet --list-runtimes`."""
    listing = subprocess.run(["dotnet", "--list-runtimes"], stdout=subprocess.PIPE, text=True, check=True).stdout
    folders = {found[1]: pathlib.Path(found[2]) / found[1] for found in re.finditer(r"^Microsoft\.NETCore\.App (10\.\S+) \[(.*)\]$", listing, re.MULTILINE)}
    if not folders:
        raise Failed(f"dotnet --list-runtimes lists no runtime 10:\n{listing}")
    # A program that brings its runtime may bring a version that is not installed: any createdump will do for it.
    return folders.get(version, list(folders.values())[-1])


def process_state(pid):
    """'R', 'S', 'T' …, or None when it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def thread_states(pid):
    states = {}
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        try:
            states[int(task.name)] = (task / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            pass  # It ended meanwhile.
    return states


def children(pid):
    """Processes whose parent is `pid`, zombies too, as {pid: state}."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found[int(stat.parent.name)] = fields[0]
    return found


def is_asleep(pid, seconds=0.02):
    """Whether its first thread sleeps, and has slept for a while."""
    def slept():
        try:
            text = pathlib.Path(f"/proc/{pid}/task/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return re.findall(r"State:\t(S)|ctxt_switches:\t(\d+)", text)
    before = slept()
    time.sleep(seconds)
    return bool(before) and before[0][0] == "S" and before == slept()


def wait_until(condition, seconds=60):
    """True as soon as the condition holds; False if it never did. A bound, not a measure."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def is_removed(folder):
    """A control group: as long as its last process is on its way out, it cannot be."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


@contextlib.contextmanager
def running(command, **keywords):
    """A process that is ended when the block is left, however that is: also when an assertion fails."""
    process = subprocess.Popen(list(map(str, command)), **{"stdin": subprocess.DEVNULL, "env": clean_environment(), **keywords})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for file in (process.stdin, process.stdout, process.stderr):
            if file:
                with contextlib.suppress(BrokenPipeError):
                    file.close()


class App:
    """A running test app, and the truth that it printed."""

    def __init__(self, program, arguments=(), mode="workstation", lines=1, seconds=3600, host=()):
        """`mode` is one of MODES, or its environment; `host` goes before the program."""
        environment = clean_environment(mode if isinstance(mode, dict) else MODES[mode])
        self.process = subprocess.Popen([*map(str, host), str(program), "--seconds", str(seconds), *map(str, arguments)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        self.program, self.pid = pathlib.Path(program), self.process.pid
        self.looked_at = threading.RLock()  # A process has one tracer at a time: linger, createdump or gdb.
        self._rest = b""
        try:
            self.truths = [json.loads(self.line()) for _ in range(lines)]
        except BaseException:
            self.kill()
            raise
        self.truth = self.truths[-1]
        # It has still to come back from printing: a thread in a call that is being bound is no thread at rest (test_exceptions). Some
        # never rest.
        wait_until(lambda: is_asleep(self.pid), 2)

    def line(self, seconds=120):
        """The next line of its output."""
        end = time.monotonic() + seconds
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            if not piece:
                raise Failed(f"{self.process.args[0]}: no further line of output (exit status {self.process.poll()})")
            self._rest += piece
        line, self._rest = self._rest.split(b"\n", 1)
        return line

    def createdump(self):
        """That of its own runtime where there is one."""
        beside = self.program.parent / "createdump"
        return beside if beside.exists() else runtime_folder(self.truth["runtime"]) / "createdump"

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        """As a shell's Ctrl-Z does; nothing of it moves any more."""
        os.kill(self.pid, signal.SIGSTOP)
        assert wait_until(self.is_stopped), thread_states(self.pid)

    def is_stopped(self):
        return set(thread_states(self.pid).values()) == {"T"}

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        wait_until(lambda: self.pid == self.process.pid or process_state(self.pid) in (None, "Z"))  # In a container: it follows.


class Result:
    """What a run of linger gave."""

    def __init__(self, command, status, out, err):
        self.command, self.status, self.out, self.err = command, status, out, err

    def __repr__(self):
        return f"$ {' '.join(self.command)}\n{self.out[:2000]}\n{self.err[:2000]}\n[{self.status}]"

    def reports(self):
        return [json.loads(line) for line in self.out.splitlines()]


def remove_leftovers():
    """Cores of a session that was killed: gigabytes. The number in the name is that of its process."""
    for folder in pathlib.Path(tempfile.gettempdir()).glob("linger-e2e-*-*"):
        if process_state(folder.name.split("-")[2]) is None:
            shutil.rmtree(folder, ignore_errors=True)


class Lab:
    def __init__(self):
        remove_leftovers()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"linger-e2e-{os.getpid()}-"))
        self._linger = None
        self._lock = threading.Lock()
        self._made = {}
        self._apps = []
        self._pool = concurrent.futures.ThreadPoolExecutor(2)
        self._closing = False

    @property
    def linger_program(self):
        self._linger = self._linger or find_linger()
        return self._linger

    def once(self, key, make):
        """make(), but once per key; others who ask meanwhile wait for it."""
        with self._lock:
            future = self._made.get(key)
            mine = future is None
            if mine:
                future = self._made[key] = concurrent.futures.Future()
        if mine:
            try:
                future.set_result(make())
            except BaseException as e:
                future.set_exception(e)
        return future.result()

    def prefetch(self, function, *arguments):
        def work():
            if not self._closing:
                try:
                    function(*arguments)
                except BaseException:
                    pass  # The test that needs it asks again, and is told.
        self._pool.submit(work)

    def close(self):
        self._closing = True
        self._pool.shutdown(wait=True)
        with self._lock:
            apps, self._apps = self._apps, []
        for app in apps:
            app.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- programs ----

    def program(self, name):
        """`Roots`, `Roots@8`, or `Roots:single-file`, `Roots:single-file@8`, `Roots:self-contained`, `Idle:nativeaot`, `Idle:mono` (an .exe)."""
        name, _, runtime = name.partition("@")
        name, _, form = name.partition(":")
        if name == "oracle":
            folder, shared = HERE / "oracle", [HERE.parent / "Directory.Build.props"]
        elif name == "HeapGen":
            folder, shared = REPO / "bench" / "apps" / name, [REPO / "bench" / "apps" / "Directory.Build.props"]
        else:
            folder, shared = HERE / "apps" / name, [HERE / "apps" / "Common", HERE.parent / "Directory.Build.props"]
        if form == "mono":
            return self.once(("program", name, form), lambda: compile_for_mono(name, folder))
        return self.once(("program", name, form, runtime), lambda: build(name, form, RUNTIMES.get(runtime), folder, *shared))

    def support(self, name):
        """A program of tests/support, beside the linger under test."""
        program = self.linger_program.parent / "tests" / "support" / name
        if not program.exists():
            raise Failed(f"{program} is not built")
        return program

    # ---- targets ----

    def start(self, name, mode="workstation", arguments=(), lines=1, seconds=3600, host=(), suffix=""):
        """An app of the test's own, ended with the session at the latest. With `host` ["dotnet"] the suffix is ".dll"."""
        app = App(f"{self.program(name)}{suffix}", arguments, mode, lines, seconds, host)
        with self._lock:
            self._apps.append(app)
        return app

    def app(self, name, mode):
        """The app that tests share, blocked after it printed its truth."""
        arguments, lines = ([], 1) if name != "Web" else (["--self-load", SELF_LOAD], 2)
        return self.once(("app", name, mode), lambda: self.start(name, mode, arguments, lines))

    def core(self, name, mode, kind=None):
        """A core of that app: `full`, `withheap` and `normal` are createdump's, `gcore` is gdb's."""
        kind = kind or ("full" if ":" in name else "withheap")  # createdump finds no DAC for what has none beside it.
        return self.once(("core", name, mode, kind), lambda: self.dump(self.app(name, mode), kind, f"{name}-{mode}-{kind}.core"))

    def dump(self, app, kind, file):
        with app.looked_at:
            return self._dump(app, kind, file)

    def _dump(self, app, kind, file):
        path = self.folder / file
        if kind == "gcore":
            command = ["gcore", "-o", str(path), str(app.pid)]
        else:
            command = [str(app.createdump()), f"--{kind}", "-f", str(path), str(app.pid)]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        if kind == "gcore" and result.returncode == 0:
            path = path.with_name(f"{path.name}.{app.pid}")
        if result.returncode != 0 or not path.exists():
            raise Failed(f"{' '.join(command)}:\n{result.stdout}")
        return path

    def oracle(self, name, mode):
        """ClrMD's report on that app's core, and the file with all objects and their references."""
        def make():
            objects, fields, retained, reach = (self.folder / f"{name}-{mode}.{what}" for what in ("objects", "fields", "retained", "reach"))
            return self.ask_oracle(self.core(name, mode), "--objects", objects, "--refs", "--type-fields", fields, "--retained", retained,
                                   "--reach", reach), objects
        return self.once(("oracle", name, mode), make)

    def ask_oracle(self, core, *options):
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".oracle") as report:
            result = subprocess.run([str(self.program("oracle")), str(core), "--mapped", "--out", report.name, *map(str, options)],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, env=clean_environment())
            if result.returncode != 0:
                raise Failed(f"oracle {core}:\n{result.stdout}")
            return json.loads(pathlib.Path(report.name).read_text())

    def oracle_fields(self, name, mode):
        """The file with the fields of every type, as ClrMD sees them."""
        self.oracle(name, mode)
        return self.folder / f"{name}-{mode}.fields"

    def oracle_retained(self, name, mode, also):
        """What each live object retains and which dominates it, by ClrMD's roots, and by these and others."""
        self.oracle(name, mode)
        first, roots, second = (self.folder / f"{name}-{mode}.{what}" for what in ("retained", "also", "retained-also"))
        if also is not None:
            roots.write_text("".join(f"{root:x}\n" for root in also))
            self.ask_oracle(self.core(name, mode), "--retained", second, "--also", roots)
        rows = (line.split() for line in (first if also is None else second).read_text().splitlines())
        return {int(address, 16): (int(retained), int(dominator, 16)) for address, retained, dominator in rows}

    def oracle_reach(self, name, mode):
        """The file with every object that some root reaches, and the kinds of those roots (tests/support/reachdump.c)."""
        self.oracle(name, mode)
        return self.folder / f"{name}-{mode}.reach"

    # ---- linger ----

    def linger(self, *arguments, status=0, timeout=LIMIT, **keywords):
        """Runs it. `status` is the exit status it must have, or None."""
        arguments = [str(a) for a in arguments]
        command = [str(self.linger_program), *arguments]
        with self._lock:
            locks = [app.looked_at for app in self._apps if str(app.pid) in arguments]
        keywords = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "env": clean_environment(), **keywords}
        with locks[0] if locks else contextlib.nullcontext():
            done = subprocess.run(command, timeout=timeout, **keywords)
        result = Result(command, done.returncode, (done.stdout or b"").decode(), (done.stderr or b"").decode("utf-8", "replace"))
        assert status is None or result.status == status, result
        return result

    def report(self, target, command):
        return self.reports(target, [command])[0]

    def reports(self, target, commands):
        """The reports of several commands on one opening of a target."""
        if not commands:
            return []
        words = [word for command in commands for word in ("-c", command)]
        reports = self.linger("open", target, *words, "--json").reports()
        assert len(reports) == len(commands)
        return reports

    def said(self, name, mode, command):
        """linger's report on the core that the oracle read too."""
        return self.once(("said", name, mode, command), lambda: self.report(self.core(name, mode), command))
