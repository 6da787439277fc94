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
    """samples: [(path from root to leaf, [values])], `labels` of each, its `places` ("Orders.cs:17", ""); `modules` by function."""

    def __init__(self, path):
        parts = list(fields(gzip.decompress(path.read_bytes())))
        self.strings = [value.decode() for field, value in parts if field == 6]
        assert self.strings[0] == ""
        text = self.strings.__getitem__
        self.types = [tuple(text(value) for _, value in fields(part)) for field, part in parts if field == 1]
        functions = {f[1]: text(f[2]) for f in (dict(fields(part)) for field, part in parts if field == 5)}
        files = {f[1]: text(f.get(4, 0)) for f in (dict(fields(part)) for field, part in parts if field == 5)}
        mappings = {m[1]: text(m[5]) for m in (dict(fields(part)) for field, part in parts if field == 3)}
        locations, places, self.modules = {}, {}, {}
        for part in (dict(fields(part)) for field, part in parts if field == 4):
            line = dict(fields(part[4]))
            locations[part[1]] = functions[line[1]]
            places[part[1]] = f"{files[line[1]].rsplit('/', 1)[-1]}:{line[2]}" if 2 in line else ""
            self.modules[locations[part[1]]] = mappings[part[2]] if 2 in part else None
        assert 0 not in functions and 0 not in locations and 0 not in mappings
        self.samples, self.labels, self.places = [], [], []
        for part in (value for field, value in parts if field == 2):
            only = dict(fields(part))
            self.samples.append((tuple(locations[i] for i in reversed(numbers(only[1]))), numbers(only[2])))
            self.places.append([places[i] for i in reversed(numbers(only[1]))])
            labels = [dict(fields(value)) for field, value in fields(part) if field == 3]
            self.labels.append({text(label[1]): text(label[2]) for label in labels})
        self.comments = [text(value) for field, value in parts if field == 13]
        self.default = [text(value) for field, value in parts if field == 14][0]

    def below(self, *path):
        """What all samples below a path sum up to."""
        return [sum(values[i] for at, values in self.samples if at[:len(path)] == path) for i in range(len(self.types))]
