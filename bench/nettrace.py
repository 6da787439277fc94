#!/usr/bin/python3
"""How fast events are read: makes a .nettrace file as a runtime writes it, of sampled allocations with their stacks, and has `linger alloc` read it.

usage: bench/nettrace.py [--linger FILE] [--mb N] [--rounds N]

`linger alloc FILE` reads a file twice (threads of the GC first), and follows the samples in the second pass. The rate is both passes' bytes by the processor
time of the whole process, which works in one thread then.
"""
import argparse
import os
import pathlib
import resource
import statistics
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
PER_BLOCK, BLOCKS_PER_POINT, STACKS, FRAMES, THREAD = 800, 100, 64, 24, 4711


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def wide(text):
    return text.encode("utf-16le") + b"\0\0"


class Writer:
    def __init__(self, file):
        self.file, self.at = file, 0

    def put(self, data):
        self.file.write(data)
        self.at += len(data)

    def begin(self, name, version):
        self.put(b"\5\5\1" + struct.pack("<3i", version, version, len(name)) + name + b"\6")

    def block(self, name, data):
        self.begin(name, 2)
        self.put(struct.pack("<I", len(data)))
        self.put(bytes(-self.at % 4))
        self.put(data + b"\6")


def make(path, megabytes):
    with open(path, "wb") as file:
        w = Writer(file)
        w.put(b"Nettrace" + struct.pack("<I", 20) + b"!FastSerialization.1")
        w.begin(b"Trace", 4)
        w.put(struct.pack("<8h2q4i", 2026, 1, 4, 1, 0, 0, 0, 0, 1, 10**9, 8, THREAD, 2, 10**6) + b"\6")
        about = struct.pack("<I", 1) + wide("Microsoft-Windows-DotNETRuntime") + struct.pack("<I", 303) + wide("") + struct.pack("<QIII", 1 << 43, 0, 4, 0)
        w.block(b"MetadataBlock", struct.pack("<HHqq", 20, 1, 1, 1) + bytes([128]) + varint(1) + varint(len(about)) + about)
        seq, time, address = 0, 1000, 0x7F0000000000
        while w.at < megabytes << 20:
            stacks = b"".join(struct.pack("<I", 8 * FRAMES) + struct.pack(f"<{FRAMES}Q", *(0x7E0000000000 + 64 * (n + i * i) for i in range(FRAMES))) for n in range(STACKS))
            w.block(b"StackBlock", struct.pack("<II", 1, STACKS) + stacks)
            for _ in range(BLOCKS_PER_POINT):
                events, start = bytearray(), time
                for n in range(PER_BLOCK):
                    payload = struct.pack("<IHQ", 0, 1, 0x7D0000001000) + wide("System.Byte[]") + struct.pack("<QQQ", address, 400, 8)
                    if n == 0:
                        events += bytes([1 | 2 | 4 | 8 | 128]) + varint(1) + varint(seq) + varint(THREAD) + varint(0) + varint(THREAD) + varint(1) + varint(time) + varint(len(payload))
                    else:
                        events += bytes([8]) + varint(n % STACKS + 1) + varint(100)
                        time += 100
                    events += payload
                    address += 0x10000
                seq += PER_BLOCK
                w.block(b"EventBlock", struct.pack("<HHqq", 20, 1, start, time) + bytes(events))
                time += 100
            w.block(b"SPBlock", struct.pack("<QIQI", time, 1, THREAD, seq))
        w.put(b"\1")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--linger", default=ROOT / "build/release/linger")
    parser.add_argument("--mb", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    path = f"/tmp/linger-bench-{os.getpid()}.nettrace"
    make(path, args.mb)
    size, rates, out = os.path.getsize(path), [], None
    for _ in range(args.rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        out = subprocess.run([args.linger, "alloc", path, "--json"], stdout=subprocess.PIPE, check=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        rates.append(2 * size / 1e6 / (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    print(out[:400])
    print(f"{size / 1e6:.0f} MB: {statistics.median(rates):.0f} MB/s of a processor (rounds: {', '.join(f'{rate:.0f}' for rate in rates)}), {after.ru_maxrss / 1024:.0f} MB of memory")
    os.unlink(path)


if __name__ == "__main__":
    main()
