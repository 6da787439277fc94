"""A decoder of heap profiles for pprof (profile.proto), as far as tests need it."""
import gzip


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            assert key & 7 == 2
            size, at = varint(data, at)
            value = data[at:at + size]
            assert len(value) == size
            at += size
        yield key >> 3, value


def numbers(packed):
    at, found = 0, []
    while at < len(packed):
        value, at = varint(packed, at)
        found.append(value)
    return found


class Profile:
    """samples: [(path from root to leaf, [values])]."""

    def __init__(self, path):
        parts = list(fields(gzip.decompress(path.read_bytes())))
        self.strings = [value.decode() for field, value in parts if field == 6]
        assert self.strings[0] == ""
        text = self.strings.__getitem__
        self.types = [tuple(text(value) for _, value in fields(part)) for field, part in parts if field == 1]
        functions = {f[1]: text(f[2]) for f in (dict(fields(part)) for field, part in parts if field == 5)}
        locations = {}
        for part in (dict(fields(part)) for field, part in parts if field == 4):
            locations[part[1]] = functions[dict(fields(part[4]))[1]]
        assert 0 not in functions and 0 not in locations
        self.samples = []
        for part in (dict(fields(part)) for field, part in parts if field == 2):
            self.samples.append((tuple(locations[i] for i in reversed(numbers(part[1]))), numbers(part[2])))
        self.comments = [text(value) for field, value in parts if field == 13]
        self.default = [text(value) for field, value in parts if field == 14][0]

    def below(self, *path):
        """What all samples below a path sum up to."""
        return [sum(values[i] for at, values in self.samples if at[:len(path)] == path) for i in range(len(self.types))]
