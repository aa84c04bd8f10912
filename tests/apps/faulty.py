"""A WSGI application that does one wrong thing per view; the server must not join in.

What a client may see is said with each view: a plain 500 while nothing was
sent, a response that is visibly cut short after that ("500 or cut" where it
depends on how much the server holds back), and never a word of the traceback. Everything not listed answers 200 with the process id.
"""

import os
import signal
import sys
import threading

TEXT = [("Content-Type", "text/plain")]


def raises(environ, start_response):
    """/raise: before start_response. 500."""
    raise ValueError("secret of raise")


def raises_started(environ, start_response):
    """/raise-started: after start_response, before any body. 500, because nothing was sent."""
    start_response("200 OK", TEXT)
    raise ValueError("secret of raise-started")


def raises_in_body(environ, start_response):
    """/raise-in-body: after a first part of the body. 500 or cut."""
    start_response("200 OK", TEXT)

    def produce():
        yield b"x" * 100
        raise ValueError("secret of raise-in-body")

    return produce()


told = threading.Event()


def tell(environ, start_response):
    """/tell: lets the views that wait for it go on. 200."""
    told.set()
    return fine(environ, start_response)


def raises_when_told(environ, start_response):
    """/raise-when-told: after a first part that the client has seen. Cut short."""
    start_response("200 OK", TEXT)

    def produce():
        told.clear()
        yield b"first part\n"
        told.wait(60)
        raise ValueError("secret of raise-when-told")

    return produce()


def dies_when_told(environ, start_response):
    """/die-when-told: the process ends after a first part that the client has seen. Cut short."""
    start_response("200 OK", TEXT)

    def produce():
        told.clear()
        yield b"first part\n"
        told.wait(60)
        os._exit(3)

    return produce()


def raises_late(environ, start_response):
    """/raise-late: after 4 MB of body. 500 or cut."""
    start_response("200 OK", TEXT)

    def produce():
        for _ in range(400):
            yield b"x" * 10000
        raise ValueError("secret of raise-late")

    return produce()


def raises_in_close(environ, start_response):
    """/raise-in-close: the body is complete; the traceback is in the log."""

    class Body:
        def __iter__(self):
            return iter((b"complete\n",))

        def close(self):
            raise ValueError("secret of raise-in-close")

    start_response("200 OK", TEXT + [("Content-Length", "9")])
    return Body()


def exc_info_late(environ, start_response):
    """/exc-info-late: start_response with exc_info after bytes were sent raises that
    exception again (PEP 3333, Error Handling). 500 or cut."""
    write = start_response("200 OK", TEXT)
    for _ in range(400):
        write(b"x" * 10000)
    try:
        raise ValueError("secret of exc-info-late")
    except ValueError:
        start_response("500 Oops", TEXT, sys.exc_info())
    return [b"not to be reached"]


def too_short(environ, start_response):
    """/too-short: 10 of 100 bytes. 500 or cut."""
    start_response("200 OK", TEXT + [("Content-Length", "100")])
    return [b"0123456789"]


def too_short_late(environ, start_response):
    """/too-short-late: the last byte of 4000000 is missing. 500 or cut."""
    start_response("200 OK", TEXT + [("Content-Length", "4000000")])
    return iter([b"x" * 1999999, b"x" * 2000000])


def too_long(environ, start_response):
    """/too-long: 100 bytes where 10 were announced. The first 10, never more."""
    start_response("200 OK", TEXT + [("Content-Length", "10")])
    return [b"0123456789" * 10]


def never_starts(environ, start_response):
    """/never-starts: no start_response at all. 500."""
    return [b"body without a head"]


def starts_twice(environ, start_response):
    """/starts-twice: without exc_info, which is an error (PEP 3333). 500."""
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return [b"twice"]


def splits(environ, start_response):
    """/split: a field value with a line end in it. 500, and no field X-Injected."""
    start_response("200 OK", TEXT + [("X-Value", "a\r\nX-Injected: yes")])
    return [b"split"]


def hop_by_hop(environ, start_response):
    """/hop-by-hop: a field that is the server's own (PEP 3333, Other HTTP Features). 500."""
    start_response("200 OK", TEXT + [("Transfer-Encoding", "chunked")])
    return [b"5\r\nhello\r\n0\r\n\r\n"]


def bad_status(environ, start_response):
    """/bad-status: a status that is none. 500."""
    start_response("OK", TEXT)
    return [b"status"]


def text_body(environ, start_response):
    """/text-body: str instead of bytes. 500."""
    start_response("200 OK", TEXT)
    return ["text"]


def returns_none(environ, start_response):
    """/none: nothing to iterate over. 500."""
    start_response("200 OK", TEXT)


def exits(environ, start_response):
    """/exit: sys.exit in a view. 500; the process lives on."""
    sys.exit(3)


def dies(environ, start_response):
    """/die: the process ends on the spot. 502 for the requests that it held."""
    os._exit(3)


def killed(environ, start_response):
    """/kill: by SIGKILL. 502 likewise."""
    os.kill(os.getpid(), signal.SIGKILL)


def dies_in_body(environ, start_response):
    """/die-in-body: the process ends within a body. 502 or cut."""
    start_response("200 OK", TEXT)

    def produce():
        yield b"x" * 4000000
        os._exit(3)

    return produce()


VIEWS = {
    "/raise": raises,
    "/raise-started": raises_started,
    "/raise-in-body": raises_in_body,
    "/tell": tell,
    "/raise-when-told": raises_when_told,
    "/die-when-told": dies_when_told,
    "/raise-late": raises_late,
    "/raise-in-close": raises_in_close,
    "/exc-info-late": exc_info_late,
    "/too-short": too_short,
    "/too-short-late": too_short_late,
    "/too-long": too_long,
    "/never-starts": never_starts,
    "/starts-twice": starts_twice,
    "/split": splits,
    "/hop-by-hop": hop_by_hop,
    "/bad-status": bad_status,
    "/text-body": text_body,
    "/none": returns_none,
    "/exit": exits,
    "/die": dies,
    "/kill": killed,
    "/die-in-body": dies_in_body,
}


def fine(environ, start_response):
    body = b"%d\n" % os.getpid()
    start_response("200 OK", TEXT + [("Content-Length", str(len(body)))])
    return [body]


def application(environ, start_response):
    return VIEWS.get(environ["PATH_INFO"], fine)(environ, start_response)
