"""Views about status, headers and length of a response."""

import support
from support import BINARY, TEXT

# Answers that are right: status, headers, body.
ANSWERS = {
    "reason": ("299 Quite Well", TEXT, [b"reason\n"]),
    "reason-other": ("404 Nobody Home", TEXT, [b"reason\n"]),
    "reason-empty": ("200 ", TEXT, [b"reason\n"]),
    "reason-long": ("200 " + "long " * 400 + "end", TEXT, [b"reason\n"]),
    "reason-latin-1": ("200 Voil\xe0", TEXT, [b"reason\n"]),
    "status-999": ("599 Far Out", TEXT, [b"reason\n"]),
    "case": ("200 OK", TEXT + [("x-lower-case", "1"), ("X-UPPER-CASE", "2"), ("x-MiXeD-cAsE", "3")], [b"x"]),
    "case-known": ("200 OK", [("content-type", "text/x"), ("ETAG", '"a"'), ("WWW-Authenticate", "X")], [b"x"]),
    "cookies": (
        "200 OK",
        TEXT
        + [
            ("Set-Cookie", "a=1; Path=/"),
            ("X-Between", "x"),
            ("set-cookie", "b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT"),
            ("Set-Cookie", "a=3; Path=/; HttpOnly"),
        ],
        [b"x"],
    ),
    "repeated": ("200 OK", TEXT + [("X-Many", "1"), ("X-Many", "2, 3"), ("X-Many", "1")], [b"x"]),
    "challenges": ("401 No", TEXT + [("WWW-Authenticate", "Basic a=b"), ("WWW-Authenticate", "Digest c=d")], [b"x"]),
    "latin-1": ("200 OK", TEXT + [("X-Latin", "caf\xe9 \x80\xff")], [b"x"]),
    "empty-value": ("200 OK", TEXT + [("X-Empty", ""), ("X-After", "x")], [b"x"]),
    "large": ("200 OK", TEXT + [("X-Large", "v" * 100000)], [b"x"]),
    "many": ("200 OK", TEXT + [("X-Field-%d" % i, str(i)) for i in range(500)], [b"x"]),
    "punctuation": ("200 OK", TEXT + [("X-!#$%&'*+.^_`|~9", "token")], [b"x"]),
    "no-type": ("200 OK", [], [b"x"]),
    "no-headers-empty": ("200 OK", [], []),
    "own-date": ("200 OK", TEXT + [("Date", "Thu, 01 Jan 2037 00:00:00 GMT"), ("Server", "mine")], [b"x"]),
    "length-lower-case": ("200 OK", TEXT + [("content-length", "1")], [b"x"]),
    "length-zero": ("200 OK", TEXT + [("Content-Length", "0")], []),
    "length-zero-body": ("200 OK", TEXT + [("Content-Length", "0")], [b"not wanted"]),
    "length-same-twice": ("200 OK", TEXT + [("Content-Length", "1"), ("Content-Length", "1")], [b"x"]),
    "list-of-one": ("200 OK", TEXT, [b"twelve bytes"]),
    "list-of-two": ("200 OK", TEXT, [b"twelve ", b"bytes"]),
    "encoding": ("200 OK", TEXT + [("Content-Encoding", "x-own"), ("Vary", "X-A")], [b"x"]),
    "redirect": ("302 Found", TEXT + [("Location", "/elsewhere?a=b#c")], [b"x"]),
    "redirect-relative": ("303 See Other", [("Location", "else/where")], [b""]),
    "location-200": ("200 OK", TEXT + [("Location", "/input/ignore")], [b"mine\n"]),
    "status-header": ("200 OK", TEXT + [("X-Sendfile", "/etc/hostname")], [b"mine\n"]),
}
# Statuses that have no body, with bodies all the same.
BODILESS = {
    "204": ("204 No Content", []),
    "204-with-length": ("204 No Content", [("Content-Length", "0")]),
    "304": ("304 Not Modified", [("ETag", '"tag"')]),
    "304-with-length": ("304 Not Modified", [("ETag", '"tag"'), ("Content-Length", "12")]),
}


def answer(environ, start_response):
    status, headers, body = ANSWERS[support.query(environ, "what")]
    start_response(status, list(headers))
    return list(body)


def bodiless(environ, start_response):
    """?body= is list, generator, write or empty."""
    status, headers = BODILESS[support.query(environ, "what")]
    write = start_response(status, list(headers))
    how = support.query(environ, "body")
    if how == "write":
        write(b"not wanted\n")
        return []
    if how == "generator":
        return (part for part in (b"not ", b"wanted\n"))
    return [b"not wanted\n"] if how == "list" else []


def bodiless_slow(environ, start_response):
    """Writes what nobody gets, and waits until the client has the head."""
    status, headers = BODILESS.get(support.query(environ, "what"), ("200 OK", TEXT))
    write = start_response(status, list(headers))
    write(b"not wanted\n")
    support.wait_for_note(support.query(environ, "note"))
    write(b"not wanted either\n")
    return (part for part in (b"nor ", b"this\n"))


def declared(environ, start_response):
    """?length= is what Content-Length says, ?send= what follows, ?by= how.

    The note says how many calls of write() were refused.
    """
    length, send, by = (support.query(environ, name, 0) for name in ("length", "send", "pieces"))
    how = support.query(environ, "by")
    write = start_response("200 OK", BINARY + [("Content-Length", str(length))])
    data = b"0123456789" * (send // 10 + 1)
    parts = [data[i : min(i + by, send)] for i in range(0, send, by)] if by else [data[:send]]
    if how == "list":
        return parts
    if how == "write":
        refused = 0
        for part in parts:
            try:
                write(part)
            except Exception:
                refused += 1
        support.note(support.query(environ, "note"), "refused %d\n" % refused)
        return []
    return (part for part in parts)


def endless(environ, start_response):
    """Ten bytes are declared and no end of them offered; the note says how many were taken."""
    start_response("200 OK", TEXT + [("Content-Length", "10")])
    name = support.query(environ, "note")

    def produce():
        taken = 0
        try:
            while taken < 100000:
                taken += 1
                yield b"abc"
        finally:
            support.note(name, "%d\n" % taken)

    return produce()


def unknown_length(environ, start_response):
    """Nobody can know how long this is."""
    start_response("200 OK", list(TEXT))
    return (b"line %d\n" % i for i in range(3))


def head(environ, start_response):
    """What ?how= says; the client asks with GET and with HEAD."""
    how = support.query(environ, "how")
    if how == "declared":
        start_response("200 OK", TEXT + [("Content-Length", "12")])
        return [b"twelve bytes"]
    if how == "declared-empty":  # an application that knows what HEAD means
        start_response("200 OK", TEXT + [("Content-Length", "12")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"twelve bytes"]
    if how == "write":
        write = start_response("200 OK", list(TEXT))
        write(b"twelve ")
        return [b"bytes"]
    start_response("200 OK", list(TEXT))
    if how == "generator":
        return (part for part in (b"twelve ", b"bytes"))
    if how == "method":
        return [environ["REQUEST_METHOD"].encode("ascii")]
    return [b"twelve bytes"]


def method(environ, start_response):
    start_response("200 OK", TEXT + [("X-Method", environ["REQUEST_METHOD"])])
    return [environ["REQUEST_METHOD"].encode("latin-1")]


VIEWS = {
    "answer": answer,
    "bodiless": bodiless,
    "bodiless-slow": bodiless_slow,
    "declared": declared,
    "endless": endless,
    "unknown-length": unknown_length,
    "head": head,
    "method": method,
}
