"""A reader of .gcdump files that shares nothing with linger's own: written from the layout alone (docs/exports.md). Checks that every byte is
read, that children are nodes, that sizes add up."""
import struct

NULL, REFERENCE, BEGIN, PRIVATE, END, BYTE, SKIP, STRING = 1, 2, 4, 5, 6, 8, 12, 13


class Reader:
    def __init__(self, data):
        self.data, self.at, self.types = data, 0, {}

    def get(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values[0] if len(values) == 1 else values

    def many(self, form, count):
        values = struct.unpack_from(f"<{count}{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{count}{form}")
        return values

    def expect(self, tag):
        assert self.get("B") == tag, f"at {self.at - 1:#x}"

    def string(self):
        count = self.get("i")
        if count < 0:
            return None
        units = []
        for _ in range(count):
            c = self.get("B")
            if c >= 0xE0:
                c = (c & 15) << 12 | (self.get("B") & 63) << 6
                c |= self.get("B") & 63
            elif c >= 0x80:
                c = (c & 31) << 6 | self.get("B") & 63
            units.append(c)
        return struct.pack(f"<{count}H", *units).decode("utf-16le", "surrogatepass")

    def begin(self):
        tag = self.get("B")
        if tag == NULL:
            return None
        assert tag in (BEGIN, PRIVATE)
        place, tag = self.at, self.get("B")
        if tag == REFERENCE:
            return self.types[self.get("I")]
        assert tag == BEGIN
        self.expect(NULL)
        version, minimum = self.get("ii")
        self.types[place] = self.string(), version, minimum
        self.expect(END)
        return self.types[place]


def cint(data, at):
    byte = data[at]
    value = (byte & 0x7F) - ((byte & 0x40) << 1)
    at += 1
    while byte & 0x80:
        byte = data[at]
        value = value << 7 | byte & 0x7F
        at += 1
    return value, at


class Dump:
    """nodes: [(type, size, [children], address)]; types: [(name, module)]."""

    def __init__(self, data):
        r = Reader(data)
        assert r.data[:24] == struct.pack("<i", 20) + b"!FastSerialization.1"
        r.at = 24
        assert r.begin() == ("GCHeapDump", 10, 8)
        assert r.begin() == ("Graphs.MemoryGraph", 1, 0)
        self.total, self.root, count = r.get("qii")
        types = [(r.string(), r.get("i"), r.string()) for _ in range(count)]
        self.types = [(name, module) for name, _, module in types]
        offsets = r.many("I", r.get("i"))
        size = r.get("i")
        blob = r.data[r.at:r.at + size]
        r.at += size
        addresses = r.many("Q", r.get("i"))
        assert len(addresses) == len(offsets)
        r.expect(BYTE)
        assert r.get("B") == 1
        r.expect(END)
        assert r.get("Bff") == (1, 1.0, 1.0)
        assert r.begin() is None
        self.segments = []
        assert r.begin()[0] == "DotNetHeapInfo"
        r.get("q")
        for _ in range(r.get("i")):
            assert r.begin() == ("GCHeapDumpSegment", 1, 1)
            self.segments.append(r.many("Q", 7))
            r.expect(END)
        r.expect(END)
        self.log, self.ticks, self.machine, self.process = r.string(), r.get("q"), r.string(), r.string()
        self.pid, *_, multipliers = r.get("iqqi")
        assert multipliers == 0
        r.expect(SKIP)
        assert r.get("i") == 0 and r.begin() is None
        forward = r.at
        r.expect(STRING)
        self.tool = r.string()
        r.expect(END)
        r.expect(END)
        table = r.at
        assert r.many("I", r.get("i")) == (forward,)
        last = r.at
        assert r.get("II") == (table, last) and r.at == len(data)
        self.nodes = [self.node(blob, types, at) + (address,) for at, address in zip(offsets, addresses)]
        for i, (_, _, children, _) in enumerate(self.nodes):
            children[:] = [i + delta for delta in children]
            assert all(0 < child < len(self.nodes) for child in children)
        assert sum(size for _, size, _, _ in self.nodes) == self.total

    @staticmethod
    def node(blob, types, at):
        kind, at = cint(blob, at)
        size = types[kind >> 1][1]
        if kind & 1:
            size, at = cint(blob, at)
        count, at = cint(blob, at)
        deltas = []
        for _ in range(count):
            delta, at = cint(blob, at)
            deltas.append(delta)
        return kind >> 1, size, deltas

    def name(self, node):
        return self.types[self.nodes[node][0]][0]

    def objects(self):
        return [i for i, node in enumerate(self.nodes) if node[3]]

    def by_type(self):
        found = {}
        for i in self.objects():
            count, size = found.get(self.name(i), (0, 0))
            found[self.name(i)] = count + 1, size + self.nodes[i][1]
        return found

    def edges(self):
        """By address, sorted; those of objects only."""
        return sorted((self.nodes[i][3], self.nodes[child][3]) for i in self.objects() for child in self.nodes[i][2])

    def roots(self):
        """{path of names: [addresses]}, from the root's children on."""
        found, todo, seen = {}, [(self.root, ())], {self.root}
        while todo:
            node, path = todo.pop()
            for child in self.nodes[node][2]:
                if self.nodes[child][3]:
                    found.setdefault(path, []).append(self.nodes[child][3])
                else:
                    assert child not in seen
                    seen.add(child)
                    todo.append((child, path + (self.name(child),)))
        return found
