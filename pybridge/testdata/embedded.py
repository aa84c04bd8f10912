"""The application that the tests of embedded mode run; the path chooses a view."""

import atexit
import ctypes
import gc
import json
import locale
import os
import signal
import socket
import sys
import threading
import time

LOADED_BY = threading.current_thread()
atexit.register(print, "exit handler has run")
local = threading.local()
kept = []
closed = []
TEXT = [("Content-Type", "text/plain")]


class Closing:
    def __init__(self, parts, name):
        self.parts = iter(parts)
        self.name = name

    def __iter__(self):
        return self.parts

    def close(self):
        closed.append(self.name)


def hello(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"Hello world\n"]


def plain(environ, start_response):
    keys = {key: value for key, value in environ.items() if isinstance(value, str)}
    return reply(start_response, keys)


def reply(start_response, value):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]


def about(environ, start_response):
    return reply(start_response, {
        "executable": sys.executable,
        "prefix": sys.prefix,
        "utf8_mode": sys.flags.utf8_mode,
        "encodings": [sys.getfilesystemencoding(), locale.getpreferredencoding(False)],
        "path": [entry for entry in sys.path if "site-packages" in entry],
        "main thread": LOADED_BY is threading.main_thread(),
        "ctypes": ctypes.pythonapi is not None,
        "home": os.environ.get("PYTHONHOME"),
    })


def interned(environ, start_response):
    """Which keys are not the very strings that the text of a program has for them."""
    names = ["REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL",
             "REMOTE_ADDR", "HTTP_HOST", "HTTP_USER_AGENT", "HTTP_ACCEPT_ENCODING"]
    keys = {key: key for key in environ}
    return reply(start_response, [name for name in names if keys[name] is not name])


def symbols(environ, start_response):
    """Whether an extension module that is not linked with libpython finds its functions."""
    return reply(start_response, bool(ctypes.CDLL(None).Py_IsInitialized()))


def echo(environ, start_response):
    data = environ["wsgi.input"].read()
    start_response("200 OK", TEXT + [("X-Length", environ["CONTENT_LENGTH"])])
    return [data]


def blocks(environ, start_response):
    """Each block is sent when the one before has been received: ?file= appears then."""
    start_response("200 OK", TEXT)
    name = environ["QUERY_STRING"]
    for number in range(3):
        yield b"block %d\n" % number
        wait_for("%s%d" % (name, number))


def written(environ, start_response):
    write = start_response("200 OK", TEXT)
    name = environ["QUERY_STRING"]
    for number in range(3):
        write(b"block %d\n" % number)
        wait_for("%s%d" % (name, number))
    return []


def wait_for(name):
    end = time.monotonic() + 20
    while not os.path.exists(name):
        if time.monotonic() > end:
            raise TimeoutError(name)
        time.sleep(0.001)


produced = [0]


def endless(environ, start_response):
    def parts():
        while True:
            produced[0] += 1
            yield b"x" * 65536

    start_response("200 OK", TEXT)
    return Closing(parts(), "endless")


def state(environ, start_response):
    return reply(start_response, {"produced": produced[0], "closed": closed, "threads": threading.active_count()})


def raises(environ, start_response):
    raise LookupError("only for the log")


def exits(environ, start_response):
    sys.exit("leaving")


def cut(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"a beginning"
    raise LookupError("in the middle")


def count(environ, start_response):
    local.count = getattr(local, "count", 0) + 1
    return reply(start_response, [threading.get_ident(), local.count])


def prints(environ, start_response):
    print("to stdout")
    sys.stderr.write("to stderr\n")
    environ["wsgi.errors"].write("to wsgi.errors, \xe9, without an end")
    return hello(environ, start_response)


def signals(environ, start_response):
    def handler(number, frame):
        raise AssertionError("a handler of Python ran")

    before = [str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGUSR1)]
    for number in signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGALRM, signal.SIGUSR2:
        signal.signal(number, handler)
    after = [str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGUSR1)]
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    for number in signal.SIGUSR1, signal.SIGUSR2:
        for _ in range(20):
            os.kill(os.getpid(), number)
    time.sleep(0.01)
    one, other = socket.socketpair()
    other.close()
    try:
        for _ in range(2):
            one.send(b"x")
        broken = "no error"
    except OSError as error:
        broken = type(error).__name__
    one.close()
    return reply(start_response, {"same": before == after, "broken": broken})


def keep(environ, start_response):
    kept.append((start_response, start_response("200 OK", TEXT)))
    return [b"kept"]


def use_kept(environ, start_response):
    errors = []
    for old, write in kept:
        for call in lambda: write(b"for nobody"), lambda: old("200 OK", TEXT):
            try:
                call()
                errors.append("")
            except BaseException as error:
                errors.append(type(error).__name__)
    try:
        type(start_response)()("200 OK", TEXT)
    except BaseException:
        pass
    kept.clear()
    return reply(start_response, errors)


def forks(environ, start_response):
    child = os.fork()
    if child == 0:
        return hello(environ, start_response)
    return reply(start_response, os.WEXITSTATUS(os.waitpid(child, 0)[1]))


def runs(environ, start_response):
    import subprocess

    command = [sys.executable, "-c", "print('from a child')"]
    return reply(start_response, subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode())


interrupted = []


def late(environ, start_response):
    try:
        while True:
            time.sleep(0.005)
    except BaseException as error:
        interrupted.append(type(error).__name__)
        raise


def was_late(environ, start_response):
    return reply(start_response, interrupted)


def file(environ, start_response):
    handle = open(environ["QUERY_STRING"], "rb")
    handle.seek(3)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](handle)


def large(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"0123456789" * 200_000]


def collect(environ, start_response):
    gc.collect()
    return reply(start_response, len(gc.get_objects()))


def deep(environ, start_response):
    def down(n):
        return 0 if n == 0 else 1 + down(n - 1)

    nested = []
    for _ in range(50_000):
        nested = [nested]
    try:
        json.dumps(nested)
    except RecursionError:
        pass
    try:
        down(100_000)
    except RecursionError:
        return hello(environ, start_response)


def holds(environ, start_response):
    """Keeps the GIL, as PyDLL does, until a byte can be read from the FIFO."""
    fifo = os.open(environ["QUERY_STRING"], os.O_RDONLY)
    ctypes.PyDLL(None).read(fifo, ctypes.create_string_buffer(1), 1)
    os.close(fifo)
    return hello(environ, start_response)


meetings = {}


def meet(environ, start_response):
    """Waits until as many requests are here as ?name=number says."""
    name = environ["QUERY_STRING"]
    meetings.setdefault(name, threading.Barrier(int(name.partition("=")[2]))).wait(60)
    return hello(environ, start_response)


def waits(environ, start_response):
    """Waits, without the GIL, until the other end of the FIFO is closed."""
    with open(environ["QUERY_STRING"], "rb") as fifo:
        fifo.read()
    return hello(environ, start_response)


pausing = [0, 0]  # requests in pauses, and the most there have been


def pauses(environ, start_response):
    """Waits for less time than passes between two looks."""
    pausing[0] += 1
    pausing[1] = max(pausing)
    time.sleep(0.0005)
    pausing[0] -= 1
    return hello(environ, start_response)


def paused_together(environ, start_response):
    assert pausing[1] > 1, "one after the other"
    return hello(environ, start_response)


told = set()


def computes(environ, start_response):
    """Makes the file and computes, with the GIL, until another request tells it to end."""
    name = environ["QUERY_STRING"]
    open(name, "w").close()
    end = time.monotonic() + 60
    while name not in told:
        if time.monotonic() > end:
            raise TimeoutError(name)
    return hello(environ, start_response)


def tell(environ, start_response):
    told.add(environ["QUERY_STRING"])
    return hello(environ, start_response)


def busy(environ, start_response):
    """Computes for longer than threads of Go are to be kept."""
    end = time.perf_counter() + 0.0002
    while time.perf_counter() < end:
        pass
    return hello(environ, start_response)


def application(environ, start_response):
    return globals()[environ["PATH_INFO"].strip("/") or "hello"](environ, start_response)
