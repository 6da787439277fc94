"""A collection as dotnet-gcdump makes it: a tracing session over the diagnostics socket that has the runtime collect garbage, and write an
event for every object and every reference. Protocol: dotnet/diagnostics documentation/design-docs/ipc-protocol.md."""
import os
import re
import socket
import struct
import threading
import time

MAGIC = b"DOTNET_IPC_V1\0"
EVENTPIPE, STOP, COLLECT = 2, 1, 3
HEAP_SNAPSHOT = 0x1980001  # GC, types, heap dump, heap collect, names
BUFFER_MB = 1024  # As dotnet-gcdump has it.


def connect(pid):
    status = open(f"/proc/{pid}/status").read()
    inner = re.search(r"^NSpid:\t(.*)$", status, re.MULTILINE)[1].split()[-1]
    started = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[19]
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(f"{os.environ.get('TMPDIR', '/tmp').rstrip('/')}/dotnet-diagnostic-{inner}-{started}-socket")
    return s


def ask(s, command, payload):
    s.sendall(MAGIC + struct.pack("<HBBH", 20 + len(payload), EVENTPIPE, command, 0) + payload)
    head = s.recv(20, socket.MSG_WAITALL)
    size, _, answer, _ = struct.unpack("<HBBH", head[14:])
    body = s.recv(size - 20, socket.MSG_WAITALL)
    if answer != 0:
        raise OSError(f"the runtime refuses: {body.hex()}")
    return struct.unpack("<Q", body[:8])[0]


def text(string):
    return struct.pack("<I", len(string) + 1) + (string + "\0").encode("utf-16le")


class Session:
    def __init__(self, pid, provider, keywords, level):
        self.pid, self.bytes, self.socket = pid, 0, connect(pid)
        payload = struct.pack("<IIBI", BUFFER_MB, 1, 0, 1) + struct.pack("<QI", keywords, level) + text(provider) + text("")
        self.id = ask(self.socket, COLLECT, payload)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        while piece := self.socket.recv(1 << 20):
            self.bytes += len(piece)

    def stop(self):
        with connect(self.pid) as s:
            ask(s, STOP, struct.pack("<Q", self.id))
        self.reader.join()
        self.socket.close()


def collect(pid):
    """The whole of it; how many bytes of events came."""
    Session(pid, "Microsoft-DotNETCore-SampleProfiler", 0, 4).stop()  # So that types are told of anew.
    session = Session(pid, "Microsoft-Windows-DotNETRuntime", HEAP_SNAPSHOT, 5)
    before = -1
    while session.bytes > before:
        before = session.bytes
        time.sleep(1)
    session.stop()
    return session.bytes
