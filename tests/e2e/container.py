"""Runs a program as a container does, with the system calls alone: container.py [OPTIONS] ROOT PROGRAM [ARGUMENTS]

A PID and a mount namespace of its own, ROOT as its root (pivot_root), nothing else of the machine but /proc and /dev/null.
--read-only: the root can not be written. --tmp: with a /tmp of its own. --user UID: not as root, without capabilities.
--bind DIR: DIR is there too, at the same path. --host-proc: /proc is that of the machine, as `docker run -v /proc:/proc` has it.
--cap-drop N: without this capability. The program ends with this process.
"""
import argparse
import ctypes
import os
import signal
import sys

NEWNS, NEWPID = 0x20000, 0x20000000
RDONLY, REMOUNT, BIND, REC, PRIVATE = 1, 32, 4096, 16384, 1 << 18
MNT_DETACH, PIVOT_ROOT, PR_SET_PDEATHSIG, PR_CAPBSET_DROP = 2, 155, 1, 24
libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    arguments = [a.encode() if isinstance(a, str) else a for a in arguments]
    if getattr(libc, name)(*arguments) != 0:
        errno = ctypes.get_errno()
        sys.exit(f"container: {name}{arguments}: {os.strerror(errno)}")


def mount(source, target, kind, flags):
    call("mount", source, target, kind, ctypes.c_ulong(flags), None)


def bind(source, target):
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "a").close()
    mount(source, target, None, BIND)


def enter(options):
    root = options.root
    mount(None, "/", None, PRIVATE | REC)
    mount(root, root, None, BIND)
    for folder in ["proc", "dev", "tmp"]:
        os.makedirs(f"{root}/{folder}", exist_ok=True)
    bind("/dev/null", f"{root}/dev/null")
    for folder in options.bind:
        bind(folder, root + folder)
    if options.host_proc:
        mount("/proc", f"{root}/proc", None, BIND | REC)
    else:
        mount("proc", f"{root}/proc", "proc", 0)
    if options.tmp:
        mount("tmpfs", f"{root}/tmp", "tmpfs", 0)
    if options.read_only:
        mount(None, root, None, BIND | REMOUNT | RDONLY)
    os.chdir(root)
    if libc.syscall(PIVOT_ROOT, b".", b".") != 0:
        sys.exit(f"container: pivot_root: {os.strerror(ctypes.get_errno())}")
    call("umount2", ".", MNT_DETACH)
    os.chdir("/")


def become(options):
    for capability in options.cap_drop:
        call("prctl", PR_CAPBSET_DROP, ctypes.c_ulong(capability))
    if options.user:
        os.setgroups([])
        os.setresgid(options.user, options.user, options.user)
        os.setresuid(options.user, options.user, options.user)
    call("prctl", PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))


def main():
    parser = argparse.ArgumentParser()
    for flag in ["--read-only", "--tmp", "--host-proc"]:
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--user", type=int, default=0)
    parser.add_argument("--bind", action="append", default=[])
    parser.add_argument("--cap-drop", type=int, action="append", default=[])
    parser.add_argument("root")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    call("unshare", NEWNS | NEWPID)
    child = os.fork()
    if child == 0:
        enter(options)
        become(options)
        os.execve(options.command[0], options.command, dict(os.environ))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


main()
