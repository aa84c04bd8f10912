"""Views that read the body (PEP 3333, Input and Error Streams)."""

import hashlib

import support


def operate(environ, start_response):
    """Does what ?ops= says to wsgi.input, one after the other, and answers the results."""
    stream = environ["wsgi.input"]
    results = [result(stream, op) for op in support.query(environ, "ops").split(",")]
    return support.answer_json(start_response, {"results": results, "length": environ.get("CONTENT_LENGTH")})


def result(stream, op):
    name, _, argument = op.partition(":")
    arguments = [None if argument == "None" else int(argument)] if argument else []
    if name == "iter":
        return shown(list(stream))
    if name == "next":
        return shown(next(iter(stream), None))
    if name == "digest":
        return digest(stream, int(argument or 65536))
    if name not in ("read", "readline", "readlines"):
        raise ValueError("operation %r" % op)
    try:
        return shown(getattr(stream, name)(*arguments))
    except Exception as error:
        return {"error": type(error).__name__}


def shown(value):
    """Strings of bytes as JSON has them, anything else with its type."""
    if type(value) is list:
        return [shown(item) for item in value]
    if type(value) is bytes:
        return value.decode("latin-1")
    return {"type": type(value).__name__}


def digest(stream, size):
    sha = hashlib.sha256()
    length = 0
    for part in iter(lambda: stream.read(size), b""):
        sha.update(part)
        length += len(part)
    return {"length": length, "sha256": sha.hexdigest()}


def digest_lines(environ, start_response):
    """The digest of the body as its lines give it."""
    sha = hashlib.sha256()
    length = lines = 0
    for line in environ["wsgi.input"]:
        sha.update(line)
        length += len(line)
        lines += 1
    return support.answer_json(start_response, {"length": length, "sha256": sha.hexdigest(), "lines": lines})


def ignore(environ, start_response):
    """Answers without a look at the body."""
    return support.answer_text(start_response, "ignored\n")


def late(environ, start_response):
    """Reads the body while it is answering: an echo, piece by piece."""
    start_response("200 OK", support.BINARY)
    stream = environ["wsgi.input"]
    return iter(lambda: stream.read(1000), b"")


def returned(environ, start_response):
    """The input stream is an iterable of bytes: it can be the response."""
    start_response("200 OK", support.BINARY)
    return environ["wsgi.input"]


def wrapped(environ, start_response):
    """The input stream has read(): wsgi.file_wrapper takes it. ?skip= bytes are read before."""
    environ["wsgi.input"].read(support.query(environ, "skip", 0))
    start_response("200 OK", support.BINARY)
    return environ["wsgi.file_wrapper"](environ["wsgi.input"])


VIEWS = {"ops": operate, "lines": digest_lines, "ignore": ignore, "echo": late, "returned": returned, "wrapped": wrapped}
