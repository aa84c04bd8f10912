"""Views that fail, at every point where one can."""

import os
import signal
import sys

import support
from support import TEXT, Expected

SECRET = "only-for-the-log"


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class Base(BaseException):
    pass


ERRORS = {
    "exception": lambda: Expected(SECRET),
    "base": lambda: Base(SECRET),
    "unprintable": Unprintable,
    "system-exit": lambda: SystemExit(3),
    "system-exit-text": lambda: SystemExit(SECRET),
    "keyboard-interrupt": KeyboardInterrupt,
    "generator-exit": GeneratorExit,
    "stop-iteration": StopIteration,
    "memory": lambda: MemoryError(SECRET),
    "surrogate": lambda: Expected(SECRET + "\udcff"),
    "os-error": lambda: BrokenPipeError(32, SECRET),
    "assertion": lambda: AssertionError(SECRET),
}


def fail(environ):
    raise ERRORS[support.query(environ, "error", "exception")]()


def before_start(environ, start_response):
    fail(environ)


def after_start(environ, start_response):
    start_response("200 OK", TEXT + [("X-Mine", "yes")])
    fail(environ)


def in_first_next(environ, start_response):
    start_response("200 OK", TEXT + [("X-Mine", "yes")])
    fail(environ)
    yield b"never\n"


def after_empty(environ, start_response):
    """Nothing but empty strings: the headers have not been sent."""
    start_response("200 OK", TEXT + [("X-Mine", "yes")])
    yield b""
    yield b""
    fail(environ)


class Iterates:
    def __iter__(self):
        raise Expected(SECRET)


def in_iter(environ, start_response):
    start_response("200 OK", TEXT + [("X-Mine", "yes")])
    return Iterates()


def after_block(environ, start_response):
    """One block, and once the client has it the error. ?length= declares more."""
    head = list(TEXT)
    length = support.query(environ, "length")
    if length:
        head.append(("Content-Length", length))
    start_response("200 OK", head)
    yield b"block\n"
    support.wait_for_note(support.query(environ, "note"))
    fail(environ)


def after_write(environ, start_response):
    write = start_response("200 OK", list(TEXT))
    write(b"block\n")
    support.wait_for_note(support.query(environ, "note"))
    fail(environ)


def recursion(environ, start_response):
    return recursion(environ, start_response)


def handled(environ, start_response):
    """The application's own page of its own error: nothing of the server's business."""
    try:
        fail(environ)
    except Expected:
        start_response("500 My Fault", list(TEXT), sys.exc_info())
        return [b"my own page\n"]


def die(environ, start_response):
    """The process ends in the middle of a request; ?how= says how."""
    if support.query(environ, "block"):
        start_response("200 OK", list(TEXT))
        return die_after_block(environ)
    end(environ)


def die_after_block(environ):
    yield b"block\n"
    support.wait_for_note(support.query(environ, "note"))
    end(environ)


def end(environ):
    if support.query(environ, "how") == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(support.query(environ, "code", 1))


VIEWS = {
    "before-start": before_start,
    "after-start": after_start,
    "in-first-next": in_first_next,
    "after-empty": after_empty,
    "in-iter": in_iter,
    "after-block": after_block,
    "after-write": after_write,
    "recursion": recursion,
    "handled": handled,
    "die": die,
}
