"""Views that call start_response, rightly and wrongly (PEP 3333, The start_response() Callable)."""

import sys

import support
from support import TEXT, Expected

HOP_BY_HOP = (
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "TE",
    "Trailers",
    "Transfer-Encoding",
    "Upgrade",
)


class List(list):
    pass


# What a server should refuse while the application is still running: name to
# the arguments of start_response.
WRONG = {
    "status-bytes": (b"200 OK", TEXT),
    "status-int": (200, TEXT),
    "status-none": (None, TEXT),
    "status-empty": ("", TEXT),
    "status-without-code": ("OK", TEXT),
    "status-two-digits": ("20 OK", TEXT),
    "status-four-digits": ("2000 OK", TEXT),
    "status-without-space": ("200OK", TEXT),
    "status-leading-space": (" 200 OK", TEXT),
    "status-newline": ("200 O\nK", TEXT),
    "status-carriage-return": ("200 O\rK", TEXT),
    "status-ends-in-crlf": ("200 OK\r\n", TEXT),
    "status-nul": ("200 O\0K", TEXT),
    "status-not-latin-1": ("200 \u20ac", TEXT),
    "headers-tuple": ("200 OK", tuple(TEXT)),
    "headers-dict": ("200 OK", {"X-A": "b"}),
    "headers-iterator": ("200 OK", iter(TEXT)),
    "headers-none": ("200 OK", None),
    "headers-list-subclass": ("200 OK", List(TEXT)),
    "header-list": ("200 OK", [["X-A", "b"]]),
    "header-string": ("200 OK", ["ab"]),
    "header-three": ("200 OK", [("X-A", "b", "c")]),
    "header-one": ("200 OK", [("X-A",)]),
    "name-bytes": ("200 OK", [(b"X-A", "b")]),
    "name-none": ("200 OK", [(None, "b")]),
    "name-unhashable": ("200 OK", [([], "b")]),
    "name-empty": ("200 OK", [("", "b")]),
    "name-colon": ("200 OK", [("X-A:", "b")]),
    "name-space": ("200 OK", [("X A", "b")]),
    "name-trailing-space": ("200 OK", [("X-A ", "b")]),
    "name-newline": ("200 OK", [("X-A\n", "b")]),
    "name-crlf": ("200 OK", [("X-A: b\r\nX-B", "c")]),
    "name-latin-1": ("200 OK", [("X-\xe9", "b")]),
    "name-nul": ("200 OK", [("X-\0", "b")]),
    "value-bytes": ("200 OK", [("X-A", b"b")]),
    "value-int": ("200 OK", [("Content-Length", 3)]),
    "value-none": ("200 OK", [("X-A", None)]),
    "value-newline": ("200 OK", [("X-A", "b\nX-B: c")]),
    "value-carriage-return": ("200 OK", [("X-A", "b\rX-B: c")]),
    "value-crlf": ("200 OK", [("X-A", "b\r\nX-B: c")]),
    "value-folded": ("200 OK", [("X-A", "b\r\n c")]),
    "value-ends-in-newline": ("200 OK", [("X-A", "b\n")]),
    "value-nul": ("200 OK", [("X-A", "b\0c")]),
    "value-escape": ("200 OK", [("X-A", "b\x1bc")]),
    "value-delete": ("200 OK", [("X-A", "b\x7fc")]),
    "value-not-latin-1": ("200 OK", [("X-A", "\u20ac")]),
    "length-word": ("200 OK", [("Content-Length", "three")]),
    "length-negative": ("200 OK", [("Content-Length", "-1")]),
    "length-plus": ("200 OK", [("Content-Length", "+1")]),
    "length-other-digits": ("200 OK", [("Content-Length", "\xb2")]),
    "length-twice": ("200 OK", [("Content-Length", "1"), ("content-length", "2")]),
}
for _name in HOP_BY_HOP:
    WRONG["hop-by-hop-" + _name.lower()] = ("200 OK", [(_name, "x")])
    WRONG["hop-by-hop-upper-" + _name.lower()] = ("200 OK", [(_name.upper(), "x")])


def wrong(environ, start_response):
    """Calls start_response with the wrong arguments that ?call= names."""
    try:
        start_response(*WRONG[support.query(environ, "call")])
    except Exception as error:
        return support.answer_text(start_response, "refused with %s\n" % type(error).__name__, sys.exc_info())
    return [b"b"]


def list_wrong(environ, start_response):
    return support.answer_json(start_response, sorted(WRONG))


def returns_write(environ, start_response):
    write = start_response("200 OK", list(TEXT))
    return [b"callable" if callable(write) else b"not callable"]


def twice(environ, start_response):
    """A second call without exc_info is a fatal error, sent or not."""
    start_response("200 OK", list(TEXT))
    try:
        start_response("201 Created", list(TEXT))
    except Exception:
        return support.answer_text(start_response, "refused\n", sys.exc_info())
    return [b"accepted\n"]


def twice_with_none(environ, start_response):
    """exc_info=None is the same as none given."""
    start_response("200 OK", list(TEXT))
    try:
        start_response("201 Created", list(TEXT), None)
    except Exception:
        return support.answer_text(start_response, "refused\n", sys.exc_info())
    return [b"accepted\n"]


def replace(environ, start_response):
    """exc_info before anything is sent: status and headers are replaced."""
    start_response("200 OK", TEXT + [("X-First", "yes"), ("Content-Length", "3")])
    try:
        raise Expected("replaced")
    except Expected:
        start_response("503 On Second Thoughts", TEXT + [("X-Second", "yes")], sys.exc_info())
    return [b"replaced\n"]


def replace_after_empty(environ, start_response):
    """An empty string does not send the headers, so they can still be replaced."""
    start_response("200 OK", TEXT + [("X-First", "yes")])
    yield b""
    try:
        raise Expected("replaced")
    except Expected:
        start_response("503 On Second Thoughts", TEXT + [("X-Second", "yes")], sys.exc_info())
    yield b"replaced\n"


def first_with_exc_info(environ, start_response):
    """exc_info in the first call: nothing to replace, nothing wrong."""
    try:
        raise Expected("nothing was started")
    except Expected:
        start_response("500 My Own", list(TEXT), sys.exc_info())
    return [b"my own\n"]


def reraise(environ, start_response):
    """exc_info after the headers went out: start_response raises that very exception."""
    start_response("200 OK", list(TEXT))
    yield b"sent\n"
    error = Expected("reraised")
    try:
        raise error
    except Expected:
        exc_info = sys.exc_info()
    try:
        start_response("500 Too Late", list(TEXT), exc_info)
    except BaseException as raised:
        verdict = "same" if raised is error else "another: %r" % raised
        frames = []
        trace = raised.__traceback__
        while trace is not None:
            frames.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        if frames.count("reraise") < 2:
            # Once for the call above, once for where it was raised at first.
            verdict = "traceback lost: %r" % frames
        support.note(support.query(environ, "note"), verdict)
        raise
    support.note(support.query(environ, "note"), "nothing raised")


def reraise_after_write(environ, start_response):
    """The same after write()."""
    write = start_response("200 OK", list(TEXT))
    write(b"sent\n")
    try:
        raise Expected("reraised")
    except Expected as error:
        try:
            start_response("500 Too Late", list(TEXT), sys.exc_info())
        except BaseException as raised:
            support.note(support.query(environ, "note"), "same" if raised is error else "another: %r" % raised)
            raise
    support.note(support.query(environ, "note"), "nothing raised")
    return []


def keyword(environ, start_response):
    """The arguments are positional, and the third may be left out."""
    start_response("200 OK", list(TEXT))
    return [b"two arguments\n"]


def never(environ, start_response):
    return [b"never started\n"]


def never_empty(environ, start_response):
    return []


def never_generator(environ, start_response):
    yield b"never started\n"


def after_first_yield(environ, start_response):
    yield b"too early\n"
    start_response("200 OK", list(TEXT))
    yield b"too late\n"


def in_first_iteration(environ, start_response):
    """A generator's body, start_response and all, runs when it is first asked."""
    start_response("200 OK", list(TEXT))
    yield b"on the first iteration\n"


class InNext:
    """An iterator that starts the response in its first __next__."""

    def __init__(self, environ, start_response):
        self.start_response = start_response
        self.parts = [b"two\n", b"one, "]

    def __iter__(self):
        return self

    def __next__(self):
        if self.start_response is not None:
            self.start_response("200 OK", list(TEXT))
            self.start_response = None
        if not self.parts:
            raise StopIteration
        return self.parts.pop()


def same_list(environ, start_response):
    """One list of headers for all requests: a server may change the one it was given."""
    start_response("200 OK", list(TEXT))
    return [b"%d\n" % len(TEXT)]


VIEWS = {
    "wrong": wrong,
    "list": list_wrong,
    "returns-write": returns_write,
    "twice": twice,
    "twice-with-none": twice_with_none,
    "replace": replace,
    "replace-after-empty": replace_after_empty,
    "first-with-exc-info": first_with_exc_info,
    "reraise": reraise,
    "reraise-after-write": reraise_after_write,
    "keyword": keyword,
    "never": never,
    "never-empty": never_empty,
    "never-generator": never_generator,
    "after-first-yield": after_first_yield,
    "in-first-iteration": in_first_iteration,
    "in-next": InNext,
    "same-list": same_list,
}
