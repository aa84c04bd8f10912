"""Views that answer with wsgi.file_wrapper (PEP 3333, Optional Platform-Specific File Handling)."""

import gzip
import io
import os
import tempfile

import support
from support import BINARY


def content(size):
    """Byte i is i modulo 251, so that a piece out of place is seen."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


class Bare:
    """read() is all that the PEP asks of a file-like object."""

    def __init__(self, data):
        self.file = io.BytesIO(data)

    def read(self, size):
        return self.file.read(size)


class Changed(io.BufferedReader):
    """Says of its own what it reads, whatever the file behind it holds."""

    def read(self, size=-1):
        return super().read(size).replace(b"\x01", b"\x02")


class Lying(Bare):
    """Has the descriptor of another file, as a decoding file object does."""

    def __init__(self, data):
        super().__init__(data)
        self.other = tempfile.TemporaryFile()
        self.other.write(b"#" * len(data))
        self.other.flush()
        self.other.seek(0)

    def fileno(self):
        return self.other.fileno()

    def tell(self):
        return self.file.tell()

    def close(self):
        self.other.close()


class Noting:
    """Delegates to a file and notes that it was closed."""

    def __init__(self, file, name):
        self.file, self.name = file, name

    def __getattr__(self, attribute):
        return getattr(self.file, attribute)

    def close(self):
        support.note(self.name, "closed\n")
        self.file.close()


def temporary(data, **options):
    file = tempfile.TemporaryFile(**options)
    file.write(data)
    file.flush()
    file.seek(0)
    return file


def on_disk(data):
    """A file that is opened for reading, and whose name is gone."""
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(data)
    opened = open(file.name, "rb")
    os.unlink(file.name)
    return opened


def unbuffered(data):
    file = on_disk(data)
    return os.fdopen(os.dup(file.fileno()), "rb", buffering=0)


def named(data):
    file = tempfile.NamedTemporaryFile()
    file.write(data)
    file.seek(0)
    return file


def spooled(data, limit):
    file = tempfile.SpooledTemporaryFile(max_size=limit)
    file.write(data)
    file.seek(0)
    return file


def compressed(data):
    """Reads data; its descriptor is that of the compressed bytes."""
    file = tempfile.TemporaryFile()
    with gzip.GzipFile(fileobj=file, mode="wb") as packer:
        packer.write(data)
    file.seek(0)
    return gzip.GzipFile(fileobj=file, mode="rb")


def written_unflushed(data):
    """The last bytes are still in Python's buffer."""
    file = tempfile.TemporaryFile()
    file.write(data)
    file.seek(0)
    file.read()
    file.seek(0, os.SEEK_END)
    position = file.tell()
    file.write(b"tail")
    file.seek(position - len(data))
    return file


def pipe(data):
    """Not a regular file: has a descriptor and no size."""
    reader, writer = os.pipe()
    os.write(writer, data[:4096])
    os.close(writer)
    return os.fdopen(reader, "rb")


def changed(data):
    file = on_disk(data)
    return Changed(io.FileIO(os.dup(file.fileno()), "rb"))


def text_of(data):
    """A BufferedRandom over a named file, opened for both."""
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(data)
    opened = open(file.name, "r+b")
    os.unlink(file.name)
    return opened


FILES = {
    "disk": on_disk,
    "unbuffered": unbuffered,
    "read-write": text_of,
    "temporary": temporary,
    "temporary-unbuffered": lambda data: temporary(data, buffering=0),
    "named": named,
    "spooled-memory": lambda data: spooled(data, len(data) + 1),
    "spooled-disk": lambda data: spooled(data, 1),
    "bytesio": io.BytesIO,
    "bare": Bare,
    "gzip": compressed,
    "changed": changed,
    "lying": Lying,
    "unflushed": written_unflushed,
    "pipe": pipe,
}


def wrapped(environ, start_response):
    """A file of the kind ?kind=, of ?size= bytes.

    ?read= bytes are read from it first, ?seek= is where to, ?length= declares,
    ?block= is the second argument of the wrapper, ?note= is told of close().
    """
    size = support.query(environ, "size", 1000)
    file = FILES[support.query(environ, "kind", "disk")](content(size))
    if support.query(environ, "read"):
        file.read(support.query(environ, "read", 0))
    if support.query(environ, "seek"):
        file.seek(support.query(environ, "seek", 0))
    if support.query(environ, "note"):
        file = Noting(file, support.query(environ, "note"))
    head = list(BINARY)
    if support.query(environ, "length"):
        head.append(("Content-Length", support.query(environ, "length")))
    block = support.query(environ, "block", 0)
    wrapper = environ["wsgi.file_wrapper"]
    result = wrapper(file, block) if block else wrapper(file)
    start_response(support.query(environ, "status") or "200 OK", head)
    return result


def iterated(environ, start_response):
    """The wrapper is an iterable like any other for middleware, which asks it itself."""
    start_response("200 OK", list(BINARY))
    result = environ["wsgi.file_wrapper"](io.BytesIO(content(100000)), 1000)
    return (part for part in result)


def sparse(environ, start_response):
    """A file of five billion bytes that takes no room; ?from= is where it is sent from."""
    file = tempfile.TemporaryFile()
    file.seek(5000000000 - 4)
    file.write(b"tail")
    file.flush()
    start = support.query(environ, "from", 0)
    file.seek(start)
    start_response("200 OK", BINARY + [("Content-Length", str(5000000000 - start))])
    return environ["wsgi.file_wrapper"](file)


def sizes(environ, start_response):
    """The lengths of the blocks that iterating gives: the second argument is their size."""
    result = environ["wsgi.file_wrapper"](io.BytesIO(content(2500)), 1000)
    return support.answer_json(start_response, [len(part) for part in result])


def after_write(environ, start_response):
    """write() first, then a file: in that order."""
    write = start_response("200 OK", list(BINARY))
    write(b"written, ")
    return environ["wsgi.file_wrapper"](on_disk(content(support.query(environ, "size", 1000))))


def partly_iterated(environ, start_response):
    """The application takes the first block itself; the file goes on from there."""
    result = environ["wsgi.file_wrapper"](on_disk(content(support.query(environ, "size", 300000))), 1000)
    first = next(iter(result))
    start_response("200 OK", list(BINARY))
    support.note(support.query(environ, "note"), "%d" % len(first))
    return result


class Watched(io.BytesIO):
    """Counts how often it is closed."""

    closed_times = 0

    def close(self):
        self.closed_times += 1
        super().close()


def close(environ, start_response):
    """Middleware that puts the wrapper aside calls its close(), which is the file's."""
    file = Watched(b"x")
    environ["wsgi.file_wrapper"](file).close()
    return support.answer_json(start_response, {"closed": file.closed_times})


VIEWS = {
    "wrapped": wrapped,
    "iterated": iterated,
    "sizes": sizes,
    "sparse": sparse,
    "after-write": after_write,
    "partly-iterated": partly_iterated,
    "close": close,
}
