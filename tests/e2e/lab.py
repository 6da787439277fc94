"""What the end-to-end tests share: test apps under each GC mode, cores of them, what ClrMD and what linger say.

Everything is made once per session, when first asked for. What the oracle tests need is made ahead on a second thread
(`Lab.prefetch`), so that both processors have work. Processes are ended by their id, always.
"""
import concurrent.futures
import contextlib
import fcntl
import functools
import json
import os
import pathlib
import re
import select
import shutil
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
SELF_LOAD = 3  # Seconds that Web sends itself requests for.

LIMIT = 60  # Seconds that any one run of linger may take: nobody waits for more. It is no measure of speed.


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


def build(name, folder, *shared):
    """Builds a C# program unless what is there is newer than its sources. One at a time, on the whole machine: they share
    folders."""
    BUILT.mkdir(parents=True, exist_ok=True)
    with open(BUILT / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build_alone(name, folder, *shared)


def build_alone(name, folder, *shared):
    program = BUILT / name / name
    assembly = program.with_suffix(".dll")
    if program.exists() and assembly.exists() and assembly.stat().st_mtime > newest(folder, *shared):
        return program
    result = subprocess.run(["dotnet", "build", "-c", "Release", "-v", "q", "-nologo", str(folder)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean_environment(), timeout=600)
    if result.returncode != 0:
        raise Failed(f"{name} does not build:\n{result.stdout}")
    assembly.touch()
    return program


FORMS = {"self-contained": ["-p:PublishSingleFile=false"], "single-file": ["-p:PublishSingleFile=true"],
         "nativeaot": ["-p:PublishAot=true", "-p:CppCompilerAndLinker=clang-14"]}


def publish(name, form, folder, *shared):
    """The same program with its runtime beside it, with everything in one file, or compiled ahead."""
    where = BUILT / f"{name}-{form}"
    program = where / name
    with open(BUILT / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists() and program.stat().st_mtime > newest(folder, *shared):
            return program
        result = subprocess.run(["dotnet", "publish", "-c", "Release", "-r", "linux-x64", "--self-contained", *FORMS[form],
                                 f"-p:OutputPath={BUILT}/bin/{name}-{form}/", f"-p:BaseIntermediateOutputPath={BUILT}/obj/{name}-{form}/",
                                 "-o", str(where), "-v", "q", "-nologo", str(folder)], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean_environment(), timeout=600)
        if result.returncode != 0:
            raise Failed(f"{name} does not publish as {form}:\n{result.stdout}")
        program.touch()
        return program


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


def wait_until(condition, seconds=30):
    """True as soon as the condition holds; False if it never did. A bound, not a measure."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


class App:
    """A running test app, and the truth that it printed."""

    def __init__(self, program, arguments=(), mode="workstation", lines=1, seconds=3600, host=()):
        """`mode` is one of MODES, or its environment; `host` goes before the program."""
        environment = clean_environment(mode if isinstance(mode, dict) else MODES[mode])
        self.process = subprocess.Popen([*map(str, host), str(program), "--seconds", str(seconds), *map(str, arguments)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        self.pid = self.process.pid
        self.looked_at = threading.RLock()  # A process has one tracer at a time: linger, createdump or gdb.
        self._rest = b""
        try:
            self.truths = [json.loads(self.line()) for _ in range(lines)]
        except BaseException:
            self.kill()
            raise
        self.truth = self.truths[-1]

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

    def is_running(self):
        return self.process.poll() is None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


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
        """`Roots`, or `Roots:single-file`, `Roots:self-contained`, `Idle:nativeaot`, `Idle:mono` (an .exe)."""
        name, _, form = name.partition(":")
        if name == "oracle":
            folder, shared = HERE / "oracle", [HERE.parent / "Directory.Build.props"]
        elif name == "HeapGen":
            folder, shared = REPO / "bench" / "apps" / name, [REPO / "bench" / "apps" / "Directory.Build.props"]
        else:
            folder, shared = HERE / "apps" / name, [HERE / "apps" / "Common", HERE.parent / "Directory.Build.props"]
        if form == "mono":
            return self.once(("program", name, form), lambda: compile_for_mono(name, folder))
        make = functools.partial(publish, name, form) if form else functools.partial(build, name)
        return self.once(("program", name, form), lambda: make(folder, *shared))

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
            command = [str(runtime_folder(app.truth["runtime"]) / "createdump"), f"--{kind}", "-f", str(path), str(app.pid)]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        if kind == "gcore" and result.returncode == 0:
            path = path.with_name(f"{path.name}.{app.pid}")
        if result.returncode != 0 or not path.exists():
            raise Failed(f"{' '.join(command)}:\n{result.stdout}")
        return path

    def oracle(self, name, mode):
        """ClrMD's report on that app's core, and the file with all objects and their references."""
        def make():
            core = self.core(name, mode)
            report, objects = self.folder / f"{name}-{mode}.oracle", self.folder / f"{name}-{mode}.objects"
            program, fields = self.program("oracle"), self.folder / f"{name}-{mode}.fields"
            result = subprocess.run([str(program), str(core), "--mapped", "--out", str(report), "--objects", str(objects), "--refs",
                                     "--type-fields", str(fields)],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, env=clean_environment())
            if result.returncode != 0:
                raise Failed(f"oracle {core}:\n{result.stdout}")
            return json.loads(report.read_text()), objects
        return self.once(("oracle", name, mode), make)

    def oracle_fields(self, name, mode):
        """The file with the fields of every type, as ClrMD sees them."""
        self.oracle(name, mode)
        return self.folder / f"{name}-{mode}.fields"

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
