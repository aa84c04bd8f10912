"""Views that answer with every kind of iterable, right and wrong, and what becomes of it."""

import collections
import io
import itertools
import sys

import support
from support import TEXT, Closing, Expected


class Iterator:
    """An iterator whose length nobody knows."""

    def __init__(self, parts):
        self.parts = collections.deque(parts)

    def __iter__(self):
        return self

    def __next__(self):
        if not self.parts:
            raise StopIteration
        return self.parts.popleft()


class Sized:
    """An iterable, not an iterator, that has a length."""

    def __init__(self, parts):
        self.parts = parts

    def __len__(self):
        return len(self.parts)

    def __iter__(self):
        return iter(self.parts)


class Sequence:
    """The old protocol: __getitem__ alone makes an object iterable."""

    def __init__(self, parts):
        self.parts = parts

    def __getitem__(self, index):
        return self.parts[index]


class Bytes(bytes):
    pass


class List(list):
    pass


class Tuple(tuple):
    pass


def generate(parts):
    yield from parts


PARTS = [b"one, ", b"two, ", b"three\n"]
KINDS = {
    "list": lambda: list(PARTS),
    "list-one": lambda: [b"".join(PARTS)],
    "tuple": lambda: tuple(PARTS),
    "tuple-one": lambda: (b"".join(PARTS),),
    "list-subclass": lambda: List(PARTS),
    "tuple-subclass": lambda: Tuple(PARTS),
    "generator": lambda: generate(PARTS),
    "generator-expression": lambda: (part for part in PARTS),
    "iterator": lambda: Iterator(PARTS),
    "list-iterator": lambda: iter(PARTS),
    "sized": lambda: Sized(PARTS),
    "sized-one": lambda: Sized([b"".join(PARTS)]),
    "sequence": lambda: Sequence(PARTS),
    "map": lambda: map(bytes, PARTS),
    "chain": lambda: itertools.chain(PARTS[:1], PARTS[1:]),
    "deque": lambda: collections.deque(PARTS),
    "dict": lambda: dict.fromkeys(PARTS),
    "file": lambda: io.BytesIO(b"".join(PARTS)),
    "bytes-subclass": lambda: [Bytes(part) for part in PARTS],
    "bytes-subclass-one": lambda: [Bytes(b"".join(PARTS))],
    "bytes-subclass-generator": lambda: generate([Bytes(part) for part in PARTS]),
    "empty-strings-list": lambda: [b"", PARTS[0], b"", b"", *PARTS[1:], b""],
    "empty-strings-generator": lambda: generate([b"", PARTS[0], b"", b"", *PARTS[1:], b""]),
}
EMPTY = {
    "list": list,
    "tuple": tuple,
    "generator": lambda: generate(()),
    "iterator": lambda: Iterator(()),
    "sized": lambda: Sized(()),
    "one-empty-string": lambda: [b""],
    "empty-strings": lambda: [b"", b"", b""],
    "empty-strings-generator": lambda: generate([b"", b""]),
}
WRONG = {
    "str-list": lambda: ["text"],
    "str-tuple": lambda: ("text",),
    "str-list-of-two": lambda: ["te", "xt"],
    "str-generator": lambda: generate(["text"]),
    "str": lambda: "text",
    "bytes": lambda: b"text",  # an iterable of int
    "none": lambda: None,
    "int": lambda: 5,
    "none-list": lambda: [None],
    "int-list": lambda: [5],
    "bytearray-list": lambda: [bytearray(b"text")],
    "bytearray-generator": lambda: generate([bytearray(b"text")]),
    "memoryview-generator": lambda: generate([memoryview(b"text")]),
    "mixed-list": lambda: [b"", "text"],
    "empty-str-generator": lambda: generate(["", b"text"]),
    "exception": lambda: Expected("returned, not raised"),
}


def of(kinds):
    def view(environ, start_response):
        start_response("200 OK", list(TEXT))
        return kinds[support.query(environ, "kind")]()

    return view


def names(environ, start_response):
    return support.answer_json(
        start_response, {"right": sorted(KINDS), "empty": sorted(EMPTY), "wrong": sorted(WRONG)}
    )


def write(environ, start_response):
    """write() and then an iterable, of the kind that ?kind= names: all of it, in order."""
    write = start_response("200 OK", list(TEXT))
    write(b"written, ")
    write(b"")
    write(b"twice, ")
    return KINDS[support.query(environ, "kind")]()


def write_only(environ, start_response):
    write = start_response("200 OK", list(TEXT))
    write(b"written only\n")
    return []


def write_late(environ, start_response):
    """write() from within the iteration is bad style, but has an order."""
    write = start_response("200 OK", list(TEXT))
    yield b"one, "
    write(b"two, ")
    yield b"three\n"


def write_wrong(environ, start_response):
    """write() takes bytes."""
    write = start_response("200 OK", list(TEXT))
    try:
        write("text")
    except TypeError:
        return support.answer_text(start_response, "refused\n", sys.exc_info())
    return []


def write_large(environ, start_response):
    """Three million bytes in one call, and then some."""
    write = start_response("200 OK", list(TEXT))
    write(b"w" * 3000000)
    return [b"r" * 1000]


def blocks(environ, start_response):
    """?n= blocks; after each it waits until the client has noted that it has it."""
    name, count = support.query(environ, "note"), support.query(environ, "n", 3)
    head = list(TEXT)
    if support.query(environ, "length"):
        head.append(("Content-Length", str(sum(len(b"block %d\n" % i) for i in range(count)))))
    write = start_response("200 OK", head)

    def produce():
        for i in range(count):
            yield b"block %d\n" % i
            support.wait_for_note("%s-%d" % (name, i))

    if not support.query(environ, "write"):
        return produce()
    for block in produce():
        write(block)
    return []


def closing(environ, start_response):
    """Iterables whose close() is noted; ?how= says how their iteration goes."""
    name, how = support.query(environ, "note"), support.query(environ, "how")
    if how == "not-started":
        return Closing(name, [b"x"])
    if how == "declared-short":
        start_response("200 OK", TEXT + [("Content-Length", "100")])
        return Closing(name, [b"x"])
    if how == "declared-long":
        start_response("200 OK", TEXT + [("Content-Length", "3")])
        return Closing(name, itertools.repeat(b"xy"))
    if how == "204":
        start_response("204 No Content", [])
        return Closing(name, [])
    if how == "304":
        start_response("304 Not Modified", [])
        return Closing(name, [b"not wanted\n"])
    write = start_response("200 OK", list(TEXT))
    if how == "normal":
        return Closing(name, PARTS)
    if how == "empty":
        return Closing(name, ())
    if how == "after-write":
        write(b"written, ")
        return Closing(name, PARTS)
    if how == "raises-at-once":
        return Closing(name, failing(0))
    if how == "raises":
        return Closing(name, failing(2))
    if how == "exits":
        return Closing(name, failing(1, SystemExit(3)))
    if how == "str":
        return Closing(name, ["text"])
    if how == "endless":
        return Closing(name, itertools.repeat(b"x" * 10000))
    if how == "apart":
        return Apart(name)
    if how == "list":
        return ClosingList(name, PARTS)
    if how == "generator":
        return with_finally(name)
    if how == "close-raises":
        return RaisesInClose(name, PARTS)
    raise ValueError("how=%r" % how)


def failing(after, error=None):
    for _ in range(after):
        yield b"x" * 100
    raise error or Expected("raised while iterating")


class Apart:
    """close() belongs to the iterable that was returned, not to its iterator."""

    def __init__(self, name):
        self.name = name

    def __iter__(self):
        return iter(PARTS)

    def close(self):
        support.note(self.name, "closed\n")


class ClosingList(list):
    def __init__(self, name, parts):
        super().__init__(parts)
        self.name = name

    def close(self):
        support.note(self.name, "closed\n")


class RaisesInClose(Closing):
    def close(self):
        super().close()
        raise Expected("raised in close()")


def with_finally(name):
    try:
        for _ in range(1000000):
            yield b"x" * 1000
    finally:
        support.note(name, "closed\n")


def big(environ, start_response):
    """?mib= MiB in pieces of 64 KiB; how many have been taken stands in the note."""
    count = support.query(environ, "mib", 1) * 16
    name = support.query(environ, "note")
    head = list(support.BINARY)
    if support.query(environ, "length"):
        head.append(("Content-Length", str(count * 65536)))
    start_response("200 OK", head)

    def produce():
        for i in range(count):
            yield bytes([i % 251]) * 65536
            if name and i % 16 == 15:
                support.note(name, ".")

    return produce()


def one_piece(environ, start_response):
    """?mib= MiB in a list of one."""
    start_response("200 OK", list(support.BINARY))
    return [b"0123456789abcdef" * 65536 * support.query(environ, "mib", 1)]


VIEWS = {
    "right": of(KINDS),
    "empty": of(EMPTY),
    "wrong": of(WRONG),
    "names": names,
    "write": write,
    "write-only": write_only,
    "write-late": write_late,
    "write-wrong": write_wrong,
    "write-large": write_large,
    "blocks": blocks,
    "closing": closing,
    "big": big,
    "one-piece": one_piece,
}
