"""The diagnostics socket's dump command: what `dotnet-dump collect` asks of a runtime, which then runs its createdump itself."""
import os
import socket
import struct

MINI, HEAP, TRIAGE, FULL = 1, 2, 3, 4
MAGIC = b"DOTNET_IPC_V1\0"
DUMP, GENERATE_CORE_DUMP, OK = 0x01, 0x01, 0x00


def ask(pid, file, kind, folder="/tmp"):
    """Returns 0, or the runtime's error. `folder`: the TMPDIR of the process."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        started = stat.read().rsplit(")", 1)[1].split()[19]  # One that is named for another time was of an earlier process.
    name = (str(file) + "\0").encode("utf-16-le")
    payload = struct.pack("<I", len(name) // 2) + name + struct.pack("<II", kind, 0)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(240)
        s.connect(os.path.join(folder, f"dotnet-diagnostic-{pid}-{started}-socket"))
        s.sendall(MAGIC + struct.pack("<HBBH", 20 + len(payload), DUMP, GENERATE_CORE_DUMP, 0) + payload)
        answer = b""
        while len(answer) < 24:
            piece = s.recv(4096)
            if not piece:
                break
            answer += piece
    result = struct.unpack_from("<i", answer, 20)[0] if len(answer) >= 24 else -1
    return result if answer[16:18] != b"\xff\x00" or result else 0
