"""A well-behaved WSGI application for tests: one view per thing a server must get right.

application is the plain callable; validated is the same one inside
wsgiref.validate, which raises AssertionError when server or application breaks
PEP 3333 and writes to stderr when an iterable was not closed. What an
application does wrong is in faulty.py.
"""

import hashlib
import json
import os
import sys
import tempfile
import threading
import time
from urllib.parse import parse_qs
from wsgiref.validate import validator

TEXT = [("Content-Type", "text/plain; charset=utf-8")]


def answer(start_response, value, status="200 OK", fields=()):
    """Answer value as JSON, with its length."""
    body = json.dumps(value, sort_keys=True).encode("ascii")
    start_response(
        status,
        [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *fields],
    )
    return [body]


def query(environ, name, default):
    """The query parameter name, of default's type."""
    values = parse_qs(environ.get("QUERY_STRING", "")).get(name)
    return type(default)(values[0]) if values else default


def hello(environ, start_response):
    """/hello: twelve bytes."""
    start_response("200 OK", TEXT + [("Content-Length", "12")])
    return [b"hello world\n"]


def dump_environ(environ, start_response):
    """/environ: the strings and booleans of environ, and the type of everything else."""
    dump = {}
    for key, value in environ.items():
        dump[key] = value if type(value) in (str, bool, int) else repr(type(value))
    dump["wsgi.version"] = list(environ["wsgi.version"])
    return answer(start_response, dump)


def echo(environ, start_response):
    """/echo: the body as it came, of the same type."""
    parts = list(iter(lambda: environ["wsgi.input"].read(10000), b""))
    length = sum(map(len, parts))
    kind = environ.get("CONTENT_TYPE") or "application/octet-stream"
    start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(length))])
    return parts


def digest(environ, start_response):
    """/digest: length and SHA-256 of the body, read piece by piece."""
    sha = hashlib.sha256()
    length = 0
    for part in iter(lambda: environ["wsgi.input"].read(65536), b""):
        sha.update(part)
        length += len(part)
    return answer(start_response, {"length": length, "sha256": sha.hexdigest()})


def lines(environ, start_response):
    """/lines: the body by readline, readlines or iteration, as ?how= says; ISO-8859-1."""
    stream = environ["wsgi.input"]
    how = query(environ, "how", "iter")
    if how == "readline":
        got = list(iter(lambda: stream.readline(), b""))
    elif how == "readlines":
        got = stream.readlines()
    else:
        got = list(stream)
    return answer(start_response, [line.decode("iso-8859-1") for line in got])


def fields(environ, start_response):
    """/fields: repeated and odd response fields, a reason phrase of its own."""
    start_response(
        "299 Quite Well",
        TEXT
        + [
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("X-Latin", "caf\xe9"),
            ("x-lower", "kept"),
            ("X-Empty", ""),
        ],
    )
    return [b"fields\n"]


def generator(environ, start_response):
    """/generator?n=3: a line at a time, an empty string between, no Content-Length."""
    n = query(environ, "n", 3)
    start_response("200 OK", TEXT)

    def produce():
        for i in range(n):
            yield b""
            yield b"line %d\n" % i

    return produce()


def late_start(environ, start_response):
    """/late-start: start_response is called when the iterable is first asked."""

    def produce():
        start_response("200 OK", TEXT)
        yield b"late\n"

    return produce()


def write(environ, start_response):
    """/write: the write() callable, then an iterable."""
    write = start_response("200 OK", TEXT)
    write(b"written, ")
    write(b"twice, ")
    return [b"and returned\n"]


def big(environ, start_response):
    """/big?mib=64: that many MiB, chunk i of 64 KiB filled with byte i modulo 251.

    ?length=1 sends Content-Length as well.
    """
    chunks = query(environ, "mib", 64) * 16
    extra = [("Content-Length", str(chunks * 65536))] if query(environ, "length", 0) else []
    start_response("200 OK", [("Content-Type", "application/octet-stream"), *extra])
    return (bytes([i % 251]) * 65536 for i in range(chunks))


def file_wrapper(environ, start_response):
    """/file-wrapper?length=1000000&offset=0: a temporary file from offset on.

    Byte i of the file is i modulo 251. ?content-length=1 sends Content-Length.
    """
    length, offset = query(environ, "length", 1000000), query(environ, "offset", 0)
    file = tempfile.TemporaryFile()
    pattern = bytes(range(251))
    file.write((pattern * (length // 251 + 1))[:length])
    file.flush()
    file.seek(offset)
    extra = []
    if query(environ, "content-length", 0):
        extra = [("Content-Length", str(max(length - offset, 0)))]
    start_response("200 OK", [("Content-Type", "application/octet-stream"), *extra])
    return environ["wsgi.file_wrapper"](file, 8192)


def no_content(environ, start_response):
    """/204: no body, and no field that speaks of one."""
    start_response("204 No Content", [])
    return []


def not_modified(environ, start_response):
    """/304: not modified, with the entity tag that a 200 would have had."""
    start_response("304 Not Modified", [("ETag", '"tag"')])
    return []


def redirected(environ, start_response):
    """/redirect: 303 to /hello."""
    start_response("303 See Other", TEXT + [("Location", "/hello"), ("Content-Length", "0")])
    return [b""]


def sleep(environ, start_response):
    """/sleep?seconds=0.1: answers after that time, with the ids of its process and thread."""
    time.sleep(query(environ, "seconds", 0.1))
    return worker(environ, start_response)


def worker(environ, start_response):
    """/worker: which process and thread this is."""
    return answer(start_response, {"pid": os.getpid(), "thread": threading.get_ident()})


def slow_stream(environ, start_response):
    """/slow-stream?n=10&seconds=0.1: n lines, with that time between them."""
    n, seconds = query(environ, "n", 10), query(environ, "seconds", 0.1)
    start_response("200 OK", TEXT)

    def produce():
        for i in range(n):
            yield b"line %d\n" % i
            time.sleep(seconds)

    return produce()


def replaced(environ, start_response):
    """/exc-info: starts with 200, then replaces it by 503 before anything is sent."""
    start_response("200 OK", TEXT + [("X-First", "yes")])
    try:
        raise ValueError("on purpose")
    except ValueError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    return [b"replaced\n"]


closed = []  # the ids of the iterables that the server closed; this process only


class Closing:
    """An iterable of two strings that records its close()."""

    def __init__(self, name):
        self.name = name
        self.parts = iter((b"one, ", b"two\n"))

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.parts)

    def close(self):
        closed.append(self.name)


def closing(environ, start_response):
    """/closing?id=x: an iterable with close(), recorded under that id."""
    start_response("200 OK", TEXT)
    return Closing(query(environ, "id", "x"))


def list_closed(environ, start_response):
    """/closed: the ids recorded so far."""
    return answer(start_response, closed)


def output(environ, start_response):
    """/print?word=x: the word to stdout, stderr and wsgi.errors, and half a line without its end."""
    word = query(environ, "word", "word")
    print("%s on stdout" % word)
    print("%s on stderr" % word, file=sys.stderr)
    environ["wsgi.errors"].write("%s on wsgi.errors\n" % word)
    environ["wsgi.errors"].flush()
    sys.stdout.write("%s half a line, " % word)
    print("and the rest")
    return hello(environ, start_response)


VIEWS = {
    "/hello": hello,
    "/environ": dump_environ,
    "/echo": echo,
    "/digest": digest,
    "/lines": lines,
    "/fields": fields,
    "/generator": generator,
    "/late-start": late_start,
    "/write": write,
    "/big": big,
    "/file-wrapper": file_wrapper,
    "/204": no_content,
    "/304": not_modified,
    "/redirect": redirected,
    "/sleep": sleep,
    "/worker": worker,
    "/slow-stream": slow_stream,
    "/exc-info": replaced,
    "/closing": closing,
    "/closed": list_closed,
    "/print": output,
}


def not_found(environ, start_response):
    body = b"no such view\n"
    start_response("404 Not Found", TEXT + [("Content-Length", str(len(body)))])
    return [body]


def application(environ, start_response):
    return VIEWS.get(environ["PATH_INFO"], not_found)(environ, start_response)


validated = validator(application)
