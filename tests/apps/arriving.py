"""An application that reads bodies as they arrive: serve it with --stream-request-body '/up/*'.

/up/digest      length and SHA-256 of the body, and CONTENT_LENGTH
/up/lines       each line as soon as it is there
/up/deaf        answers and reads nothing
/up/part        reads ten bytes and answers
/up/gate?NAME   the same as digest, once somebody has asked for /open?NAME
/up/die         reads one byte and kills the process
/up/late?NAME   begins to answer, and reads once somebody has asked for /open?NAME
Other paths are those of bodies that have been received whole.
"""

import hashlib
import json
import os
import signal
import sys
import threading

gates = {}
lock = threading.Lock()


def gate(name):
    with lock:
        return gates.setdefault(name, threading.Event())


def digest(environ):
    stream, digest, length = environ["wsgi.input"], hashlib.sha256(), 0
    try:
        for data in iter(lambda: stream.read(50000), b""):
            digest.update(data)
            length += len(data)
    except OSError as error:
        print("read ended with %s after %d bytes" % (type(error).__name__, length), file=sys.stderr)
        raise
    answer = {"length": length, "sha256": digest.hexdigest(), "declared": environ.get("CONTENT_LENGTH")}
    return json.dumps(answer).encode() + b"\n"


def lines(environ):
    for line in environ["wsgi.input"]:
        yield b"got " + line
    yield b"end\n"


def late(environ):
    yield b"begun\n"
    gate(environ["QUERY_STRING"]).wait(60)
    yield digest(environ)


def application(environ, start_response):
    view = environ["PATH_INFO"].rpartition("/")[2]
    headers = [("Content-Type", "text/plain")]
    if view == "open":
        gate(environ["QUERY_STRING"]).set()
    elif view == "gate":
        print("waiting at %s" % environ["QUERY_STRING"], file=sys.stderr)
        if not gate(environ["QUERY_STRING"]).wait(60):
            raise RuntimeError("nobody opened the gate")
    elif view == "die":
        environ["wsgi.input"].read(1)
        os.kill(os.getpid(), signal.SIGKILL)
    elif view == "part":
        environ["wsgi.input"].read(10)
    if view in ("lines", "late"):
        start_response("200 OK", headers)
        return {"lines": lines, "late": late}[view](environ)
    body = digest(environ) if view in ("digest", "gate") else b"answered\n"
    start_response("200 OK", headers)
    return [body]
