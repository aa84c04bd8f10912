"""What the views share: answers, the query, and notes that outlive a request.

Notes are files in one directory that all worker processes of a server share,
and that the client reads when it runs on the same machine. They are how a case
tells an application to go on, and how it learns what became of an iterable.
"""

import json
import os
import tempfile
import time
from urllib.parse import parse_qs

TEXT = [("Content-Type", "text/plain; charset=utf-8")]
BINARY = [("Content-Type", "application/octet-stream")]
DEADLINE = 240  # seconds until an application stops waiting for its client, who is a little more patient

NOTES = os.environ.get("CONFORMANCE_NOTES") or os.path.join(tempfile.gettempdir(), "wsgi-conformance-%d" % os.getuid())
os.makedirs(NOTES, exist_ok=True)


class Expected(Exception):
    """Raised on purpose: the server has to cope."""


def query(environ, name, default=""):
    """The query parameter name, of default's type."""
    values = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True, encoding="latin-1").get(name)
    return type(default)(values[0]) if values else default


def answer_json(start_response, value):
    body = json.dumps(value, sort_keys=True).encode("ascii")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def answer_text(start_response, text, exc_info=None):
    """Answers text. exc_info replaces what start_response was told before."""
    body = text.encode("utf-8", "backslashreplace")
    head = TEXT + [("Content-Length", str(len(body)))]
    if exc_info:
        start_response("200 OK", head, exc_info)
    else:
        start_response("200 OK", head)
    return [body]


def _path(name):
    if not name or not name.replace("-", "").isalnum():
        raise ValueError("name of a note: %r" % name)
    return os.path.join(NOTES, name)


def note(name, text="x"):
    """Appends text to the note; in one write, so that those of two threads do not mix."""
    descriptor = os.open(_path(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, text.encode("utf-8", "backslashreplace"))
    finally:
        os.close(descriptor)


def read_note(name):
    """The text of the note, or None when there is none."""
    try:
        with open(_path(name), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def wait_for(condition, what):
    """Polls until condition() is true. An event cannot cross processes; a file can."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("waited %d s for %s" % (DEADLINE, what))
        time.sleep(0.002)


def wait_for_note(name):
    wait_for(lambda: read_note(name) is not None, "the note " + name)


class Closing:
    """An iterable that notes each call of its close()."""

    def __init__(self, name, parts):
        self.name = name
        self.parts = iter(parts)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.parts)

    def close(self):
        note(self.name, "closed\n")
