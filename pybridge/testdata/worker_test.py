"""Tests of the worker program's parts that are easier to reach from Python.

Run by TestWorkerProgram, which says where the worker program is; Python 3.9
and later, standard library only.
"""

import errno
import gzip
import io
import os
import socket
import sys
import tempfile
import threading
import time
import unittest

DIRECTORY = os.environ["OVERLAY_TEST_WORKER"]


def load(names):
    """Makes the modules of the worker program, as boot.py does it."""
    package = type(sys)("_overlay")
    package.__path__ = []
    sys.modules["_overlay"] = package
    for name in names:
        module = type(sys)("_overlay." + name)
        sys.modules[module.__name__] = module
        setattr(package, name, module)
        path = os.path.join(DIRECTORY, name + ".py")
        with open(path, encoding="utf-8") as file:
            exec(compile(file.read(), path, "exec", dont_inherit=True), module.__dict__)
    return package


INTERRUPTED = 600  # times that a request is interrupted

overlay = load(["frames", "streams", "bodies", "wsgi", "watch", "threads"])
frames, streams, bodies, wsgi, threads = overlay.frames, overlay.streams, overlay.bodies, overlay.wsgi, overlay.threads
watch = overlay.watch


class Sink:
    """A file that takes what a LineStream writes to its descriptor."""

    def __init__(self):
        self.file = tempfile.TemporaryFile()
        self.stream = streams.LineStream(self.file.fileno())

    def text(self):
        self.file.seek(0)
        return self.file.read().decode("utf-8")


class LineStreamTest(unittest.TestCase):
    def setUp(self):
        streams.partial.clear()
        self.sink = Sink()
        self.addCleanup(self.sink.file.close)
        self.addCleanup(self.sink.stream.flush)

    def test_what_is_written(self):
        stream = self.sink.stream
        for name, pieces, want in [
            ("whole line", ["a\n"], "a\n"),
            ("pieces", ["a", "b", "c\n"], "abc\n"),
            ("two lines at once", ["a\nb\n"], "a\nb\n"),
            ("an end and a beginning", ["a", "b\nc", "d\n"], "ab\ncd\n"),
            ("empty", ["", "\n", ""], "\n"),
            ("not ASCII", ["\u20ac\U0001f600\n"], "\u20ac\U0001f600\n"),
            ("a lone surrogate", ["\udcff\n"], "\\udcff\n"),
            ("carriage return", ["a\r\n"], "a\r\n"),
        ]:
            with self.subTest(name):
                before = len(self.sink.text())
                for piece in pieces:
                    self.assertEqual(stream.write(piece), len(piece))
                self.assertEqual(self.sink.text()[before:], want)

    def test_line_waits_for_its_end(self):
        self.sink.stream.write("half")
        self.assertEqual(self.sink.text(), "")
        self.sink.stream.flush()
        self.assertEqual(self.sink.text(), "half\n")

    def test_flush_of_nothing(self):
        self.sink.stream.flush()
        self.assertEqual(self.sink.text(), "")

    def test_writelines_and_print(self):
        self.sink.stream.writelines(["a\n", "b", "c\n"])
        print("x", 1, sep="-", file=self.sink.stream)
        self.assertEqual(self.sink.text(), "a\nbc\nx-1\n")

    def test_only_text(self):
        for value in (b"bytes", None, 1):
            with self.subTest(value=value), self.assertRaises(TypeError):
                self.sink.stream.write(value)

    def test_close_keeps_it_open(self):
        self.sink.stream.close()
        self.sink.stream.write("still here\n")
        self.assertEqual(self.sink.text(), "still here\n")

    def test_lines_of_threads_do_not_mix(self):
        threads, lines = 8, 200

        def write(letter):
            for number in range(lines):
                for piece in (letter * 5, " %d " % number, letter * 5, "\n"):
                    self.sink.stream.write(piece)

        running = [threading.Thread(target=write, args=(chr(65 + n),)) for n in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        got = self.sink.text().splitlines()
        self.assertEqual(len(got), threads * lines)
        for n in range(threads):
            letter = chr(65 + n)
            want = ["%s %d %s" % (letter * 5, number, letter * 5) for number in range(lines)]
            self.assertEqual([line for line in got if line.startswith(letter)], want)

    def test_line_without_end_is_bounded(self):
        for size in (1, 1000, 60_000, streams.MAX_PARTIAL, streams.MAX_PARTIAL + 1, 1_000_000):
            with self.subTest(size=size):
                most = 0
                for _ in range(min(20_000, 3_000_000 // size)):
                    self.sink.stream.write("x" * size)
                    most = max(most, sum(len(piece) for pieces in streams.partial.values() for piece in pieces))
                self.assertLessEqual(most, streams.MAX_PARTIAL)
                self.sink.stream.flush()

    def test_nothing_of_a_long_line_is_lost(self):
        for _ in range(10):
            self.sink.stream.write("x" * 50_000)
        self.sink.stream.write("\n")
        self.assertEqual(self.sink.text().count("x"), 500_000)


class FileWrapperTest(unittest.TestCase):
    """Which file goes by its descriptor, and which is read."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "file")
        with open(self.path, "wb") as file:
            file.write(b"0123456789")

    def descriptor(self, file):
        self.addCleanup(file.close)
        return streams.FileWrapper(file).descriptor()

    def test_plain_files(self):
        def buffered():
            return open(self.path, "rb")

        def advanced():
            file = open(self.path, "rb")
            file.read(3)  # its buffer has all of it, its descriptor stands at the end
            return file

        def written():
            file = open(self.path, "r+b")
            file.seek(0, os.SEEK_END)
            file.write(b"more")
            return file

        for name, make, position, size in [
            ("buffered", buffered, 0, 10),
            ("raw", lambda: open(self.path, "rb", buffering=0), 0, 10),
            ("advanced", advanced, 3, 10),
            ("being written", written, 14, 14),
        ]:
            with self.subTest(name):
                file = make()
                self.assertEqual(self.descriptor(file), (file.fileno(), position, size))

    def test_temporary_files(self):
        for make in (tempfile.TemporaryFile, tempfile.NamedTemporaryFile):
            with self.subTest(make.__name__):
                file = make()
                file.write(b"abc")
                file.seek(1)
                self.assertEqual(self.descriptor(file)[1:], (1, 3))

    def test_what_is_read_instead(self):
        reader, writer = os.pipe()
        os.close(writer)
        closed = open(self.path, "rb")
        closed.close()

        class OwnRead(io.FileIO):
            def read(self, size=-1):
                return b"something else"

        class Pretends:
            def fileno(self):
                return 0

            def read(self, size=-1):
                return b""

            def close(self):
                pass

        with gzip.open(self.path + ".gz", "wb") as file:
            file.write(b"compressed")
        for name, file in [
            ("in memory", io.BytesIO(b"abc")),
            ("text", open(self.path, encoding="ascii")),
            ("gzip", gzip.open(self.path + ".gz", "rb")),
            ("pipe", open(reader, "rb")),
            ("device", open(os.devnull, "rb")),
            ("closed", closed),
            ("read overridden", OwnRead(self.path)),
            ("no file at all", Pretends()),
            ("buffer of something else", io.BufferedReader(io.BytesIO(b"abc"))),
        ]:
            with self.subTest(name):
                self.assertIsNone(self.descriptor(file))

    def test_iteration(self):
        wrapper = streams.FileWrapper(io.BytesIO(b"0123456789"), 4)
        self.assertEqual(list(wrapper), [b"0123", b"4567", b"89"])

    def test_close_only_where_there_is_one(self):
        class NoClose:
            def read(self, size):
                return b""

        self.assertFalse(hasattr(streams.FileWrapper(NoClose()), "close"))
        file = io.BytesIO()
        streams.FileWrapper(file).close()
        self.assertTrue(file.closed)


class Pool:
    """What an Exchange needs of threads.Pool."""

    window = 1 << 20

    def __init__(self):
        self.frames = []

    def put(self, exchange, frame, hold=False):
        self.frames.append(frame)

    def wait_for_window(self, exchange, size):
        raise AssertionError("the window is large enough")


class ArrivingTest(unittest.TestCase):
    """A body that comes on a socket, piece by piece."""

    def setUp(self):
        self.ours, theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.stream = bodies.open_input(theirs.detach())
        self.addCleanup(self.stream.close)

    def piece(self, data):
        return bodies.PIECE.pack(len(data)) + data

    def failure(self, number):
        return bodies.PIECE.pack(bodies.FAILURE | number)

    END = bodies.PIECE.pack(0)

    def send(self, data, step=None):
        """Sends data, step bytes at a time, from a thread; then closes."""

        def run(ours):
            size = step or len(data) or 1
            for start in range(0, len(data), size):
                ours.sendall(data[start : start + size])
            ours.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=run, args=(self.ours,))
        thread.start()
        self.addCleanup(thread.join)

    def test_asks_with_the_first_read(self):
        self.ours.setblocking(False)
        with self.assertRaises(BlockingIOError):
            self.ours.recv(1)
        self.send(self.piece(b"a") + self.END)
        self.assertEqual(self.stream.read(), b"a")
        self.assertEqual(self.ours.recv(10), b"?")

    def test_pieces(self):
        long = bytes(range(256)) * 1000
        for name, pieces, step in [
            ("whole", [b"first line\nsecond\n"], None),
            ("byte by byte", [b"first", b" line\nsecond\n"], 1),
            ("long", [long, b"x", long], None),
            ("long, cut anywhere", [long, long], 1009),
            ("none", [], None),
        ]:
            with self.subTest(name):
                self.setUp()
                data = b"".join(pieces)
                self.send(b"".join(map(self.piece, pieces)) + self.END, step)
                self.assertEqual(self.stream.read(7), data[:7])
                end = data.find(b"\n", 7) + 1 or len(data)
                self.assertEqual(self.stream.readline(), data[7:end])
                buffer = bytearray(3)
                size = self.stream.readinto(buffer)
                self.assertEqual(bytes(buffer[:size]), data[end : end + 3])
                self.assertEqual(self.stream.read(), data[end + 3 :])
                self.assertEqual(self.stream.read(), b"")
                self.assertEqual(list(self.stream), [])

    def test_never_a_short_body(self):
        for name, data, error in [
            ("cut before the first piece", b"", ConnectionAbortedError),
            ("cut in a length", b"\5\0", ConnectionAbortedError),
            ("cut in a piece", self.piece(b"abc")[:-1], ConnectionAbortedError),
            ("cut behind a piece", self.piece(b"abc"), ConnectionAbortedError),
            ("the client left", self.piece(b"abc") + self.failure(errno.ECONNRESET), ConnectionResetError),
            ("too slow", self.failure(errno.ETIMEDOUT), TimeoutError),
            ("some other error", self.failure(errno.EIO), OSError),
        ]:
            with self.subTest(name):
                self.setUp()
                self.send(data)
                for _ in range(3):
                    with self.assertRaises(error):
                        self.stream.read()

    def test_close_ends_a_read(self):
        caught = []

        def read():
            try:
                self.stream.read()
            except (OSError, ValueError) as error:
                caught.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        self.assertEqual(self.ours.recv(1), b"?")  # it reads
        self.stream.close()
        thread.join(20)
        self.assertFalse(thread.is_alive())
        self.assertEqual(len(caught), 1)

    def test_descriptors(self):
        with bodies.open_input(os.dup(0)) as file:
            for descriptor in self.stream.raw.socket.fileno(), file.fileno():
                self.assertFalse(os.get_inheritable(descriptor))
        self.stream.close()
        self.assertEqual(self.stream.raw.socket.fileno(), -1)
        self.assertEqual(self.ours.recv(1), b"")

    def test_file(self):
        with tempfile.TemporaryFile() as file:
            file.write(b"in a file")
            file.seek(0)
            with bodies.open_input(os.dup(file.fileno())) as stream:
                self.assertEqual(stream.read(), b"in a file")


class StartResponseTest(unittest.TestCase):
    """PEP 3333, The start_response() Callable."""

    def start(self, *arguments):
        exchange = wsgi.Exchange(Pool(), 1, False)
        exchange.start_response(*arguments)
        return exchange

    def test_accepted(self):
        class Text(str):  # as Django's SafeString is one
            pass

        for name, status, headers, head in [
            ("status and value of a class of its own", Text("200 OK"), [("A", Text("b"))], b"200 OK\nA\nb"),
            ("no headers", "200 OK", [], b"200 OK"),
            ("no reason", "200 ", [], b"200 "),
            ("headers", "200 OK", [("A", "b"), ("c", "")], b"200 OK\nA\nb\nc\n"),
            ("repeated", "200 OK", [("A", "b"), ("A", "c")], b"200 OK\nA\nb\nA\nc"),
            ("latin-1", "200 Tr\xe8s", [("A", "\xff")], b"200 Tr\xe8s\nA\n\xff"),
            ("every letter of a token", "200 OK", [("!#$%&'*+-.^_`|~09azAZ", "x")], b"200 OK\n!#$%&'*+-.^_`|~09azAZ\nx"),
            ("length", "200 OK", [("Content-Length", "5")], b"200 OK\nContent-Length\n5"),
            ("the same length twice", "200 OK", [("Content-Length", "5"), ("content-length", "05")], b"200 OK\nContent-Length\n5"),
            ("longest length", "200 OK", [("Content-Length", "9" * 18)], b"200 OK\nContent-Length\n" + b"9" * 18),
            ("last status", "999 Odd", [], b"999 Odd"),
        ]:
            with self.subTest(name):
                self.assertEqual(self.start(status, headers).head, head)

    def test_refused(self):
        large = [("A", "x" * 1000)] * (frames.MAX_HEAD // 1000 + 1)
        for name, status, headers, error in [
            ("status as bytes", b"200 OK", [], TypeError),
            ("status as a number", 200, [], TypeError),
            ("status without a space", "200", [], ValueError),
            ("status with four digits", "2000 OK", [], ValueError),
            ("status that begins with zero", "099 OK", [], ValueError),
            ("digits of another script", "\u0662\u0660\u0660 OK", [], ValueError),
            ("informational", "100 Continue", [], ValueError),
            ("line feed in the status", "200 OK\nA: b", [], ValueError),
            ("carriage return in the status", "200 OK\r", [], ValueError),
            ("beyond latin-1 in the status", "200 \u20ac", [], ValueError),
            ("headers as a tuple", "200 OK", (), TypeError),
            ("headers as a dictionary", "200 OK", {"A": "b"}, TypeError),
            ("header as a list", "200 OK", [["A", "b"]], TypeError),
            ("header of three", "200 OK", [("A", "b", "c")], TypeError),
            ("name as bytes", "200 OK", [(b"A", "b")], TypeError),
            ("name that cannot be a key", "200 OK", [([], "b")], TypeError),
            ("value as bytes", "200 OK", [("A", b"b")], TypeError),
            ("value as a number", "200 OK", [("A", 5)], TypeError),
            ("value that is missing", "200 OK", [("A", None)], TypeError),
            ("empty name", "200 OK", [("", "b")], ValueError),
            ("space in a name", "200 OK", [("A b", "c")], ValueError),
            ("colon in a name", "200 OK", [("A:", "c")], ValueError),
            ("line feed in a name", "200 OK", [("A\nB", "c")], ValueError),
            ("line feed at the end of a name", "200 OK", [("A\n", "c")], ValueError),
            ("beyond ASCII in a name", "200 OK", [("\xc4", "c")], ValueError),
            ("line feed in a value", "200 OK", [("A", "b\nC: d")], ValueError),
            ("line feed at the end of a value", "200 OK", [("A", "b\n")], ValueError),
            ("carriage return in a value", "200 OK", [("A", "b\rc")], ValueError),
            ("NUL in a value", "200 OK", [("A", "b\0c")], ValueError),
            ("tab in a value", "200 OK", [("A", "b\tc")], ValueError),
            ("DEL in a value", "200 OK", [("A", "b\x7fc")], ValueError),
            ("beyond latin-1 in a value", "200 OK", [("A", "\u20ac")], ValueError),
            ("length that is no number", "200 OK", [("Content-Length", "x")], ValueError),
            ("empty length", "200 OK", [("Content-Length", "")], ValueError),
            ("negative length", "200 OK", [("Content-Length", "-1")], ValueError),
            ("length with a space", "200 OK", [("Content-Length", " 1")], ValueError),
            ("length in digits of another script", "200 OK", [("Content-Length", "\u0661")], ValueError),
            ("length in superscript", "200 OK", [("Content-Length", "\xb2")], ValueError),
            ("length that is too long", "200 OK", [("Content-Length", "1" * 19)], ValueError),
            ("two lengths", "200 OK", [("Content-Length", "1"), ("Content-Length", "2")], ValueError),
            ("connection", "200 OK", [("Connection", "close")], ValueError),
            ("keep-alive", "200 OK", [("KEEP-ALIVE", "x")], ValueError),
            ("transfer-encoding", "200 OK", [("Transfer-encoding", "chunked")], ValueError),
            ("te", "200 OK", [("TE", "x")], ValueError),
            ("trailer", "200 OK", [("Trailer", "x")], ValueError),
            ("upgrade", "200 OK", [("Upgrade", "h2c")], ValueError),
            ("proxy-authenticate", "200 OK", [("Proxy-Authenticate", "Basic")], ValueError),
            ("too much", "200 OK", large, ValueError),
        ]:
            for attempt in ("first", "again"):  # the second time names are known
                with self.subTest(name, attempt=attempt), self.assertRaises(error):
                    self.start(status, headers)

    def test_largest_head(self):
        size = frames.MAX_HEAD - len("200 OK\nA\n")
        self.assertEqual(len(self.start("200 OK", [("A", "x" * size)]).head), frames.MAX_HEAD)
        with self.assertRaises(ValueError):
            self.start("200 OK", [("A", "x" * (size + 1))])

    def test_second_call(self):
        exchange = self.start("200 OK", [])
        with self.assertRaises(AssertionError):
            exchange.start_response("500 No", [])
        try:
            raise KeyError("x")
        except KeyError:
            exchange.start_response("500 No", [("A", "b")], sys.exc_info())
        self.assertEqual(exchange.head, b"500 No\nA\nb")

    def test_second_call_after_the_head(self):
        exchange = self.start("200 OK", [])
        exchange.write(b"begin")
        try:
            raise KeyError("x")
        except KeyError:
            with self.assertRaises(KeyError):
                exchange.start_response("500 No", [], sys.exc_info())
        self.assertEqual(exchange.head, b"200 OK")

    def test_write_takes_bytes(self):
        exchange = self.start("200 OK", [])
        for value in ("text", 5, None, bytearray(b"x")):
            with self.subTest(value=value), self.assertRaises(TypeError):
                exchange.write(value)

    def test_known_names_are_bounded(self):
        for number in range(wsgi._MAX_NAMES + 100):
            self.start("200 OK", [("X-%d" % number, "y")])
        self.assertLessEqual(len(wsgi._names), wsgi._MAX_NAMES)
        self.assertEqual(self.start("200 OK", [("X-New", "y")]).head, b"200 OK\nX-New\ny")


class EnvironTest(unittest.TestCase):
    def make(self):
        errors = object()
        requests = wsgi.Requests({"DOCUMENT_ROOT": "/srv"}, errors)
        return requests, errors

    def values(self, *more):
        return "\0".join(["v%d" % n for n in range(len(wsgi.Requests.FIXED))] + list(more)).encode("latin-1")

    def test_keys(self):
        requests, errors = self.make()
        body = io.BytesIO(b"x")
        environ = requests.environ(b"Host\0content-type\0Content-Length\0x-A-b", self.values("h", "t", "1", "\xe9"), body)
        self.assertEqual(environ["HTTP_HOST"], "h")
        self.assertEqual(environ["CONTENT_TYPE"], "t")
        self.assertEqual(environ["CONTENT_LENGTH"], "1")
        self.assertEqual(environ["HTTP_X_A_B"], "\xe9")
        self.assertEqual([environ[key] for key in wsgi.Requests.FIXED], ["v%d" % n for n in range(len(wsgi.Requests.FIXED))])
        self.assertIs(environ["wsgi.input"], body)
        self.assertIs(environ["wsgi.errors"], errors)
        self.assertEqual(environ["DOCUMENT_ROOT"], "/srv")
        self.assertIs(type(environ), dict)

    def test_one_request_does_not_see_another(self):
        requests, _ = self.make()
        first = requests.environ(b"Secret", self.values("x"), io.BytesIO())
        first["left.behind"] = 1
        second = requests.environ(b"", self.values(), io.BytesIO())
        self.assertNotIn("HTTP_SECRET", second)
        self.assertNotIn("left.behind", second)

    def test_shapes_are_bounded(self):
        requests, _ = self.make()
        for number in range(3 * requests.MAX_SHAPES):
            names = b"X-%d" % number
            environ = requests.environ(names, self.values("y"), io.BytesIO())
            self.assertEqual(environ["HTTP_X_%d" % number], "y")
            self.assertLessEqual(len(requests.shapes), requests.MAX_SHAPES)


class PoolTest(unittest.TestCase):
    """Requests in a real Pool, read from a socket and run by the test."""

    def pool(self, application):
        ours, theirs = socket.socketpair()
        pool = threads.Pool(theirs, application, wsgi.Requests({}, sys.stderr), 2, 1 << 20)
        for each in ours, theirs:
            self.addCleanup(each.close)
        self.addCleanup(pool.alarm.close)
        return pool, ours

    def frame(self, number, flags=0):
        values = b"\0".join([b"x"] * len(wsgi.Requests.FIXED))
        size = len(values) + frames.REQUEST_HEADER_SIZE - frames.HEADER_SIZE
        return frames.REQUEST_HEADER.pack(size, number, frames.REQUEST, flags, 0, len(values), 0.0, 0.0) + values

    def test_descriptors_stay_with_their_requests(self):
        """Whichever of two threads comes first to the body of its request."""

        def application(environ, start_response):
            start_response("200 OK", [])
            return [environ["wsgi.input"].read()]

        pool, server = self.pool(application)
        for number in 1, 2:
            with tempfile.TemporaryFile() as file:
                file.write(b"body %d" % number)
                file.seek(0)
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, file.fileno().to_bytes(4, sys.byteorder))]
                server.sendmsg([self.frame(number, frames.FLAG_DESCRIPTOR)], rights)
        while len(pool.pending) < 2:
            self.assertTrue(pool.read())
        for frame in pool.pending:  # what the application starts has no part in them
            self.assertFalse(os.get_inheritable(frame[4]))
        for frame, want in (pool.pending[1], b"body 2"), (pool.pending[0], b"body 1"):
            self.assertTrue(pool.run(frame, 0.0, 0.0).endswith(want))

    def test_window_of_two_threads(self):
        """The application sends while another thread reads that more may be sent: neither is lost."""
        pool, _ = self.pool(None)
        pool.window = 100
        exchange = wsgi.Exchange(pool, 1, 0)
        exchange.start_response("200 OK", [])
        pool.exchanges[1] = exchange

        class Word:
            def unpack(self, payload):  # in the midst of the addition
                exchange.send(b"x" * 60)
                return (50,)

        self.addCleanup(setattr, threads, "WORD", threads.WORD)
        threads.WORD = Word()
        pool.steer(frames.WINDOW, 1, b"")
        waited = []
        pool.wait_for_window = lambda exchange, size: waited.append(size)
        exchange.send(b"x" * (100 - 60 + 50))
        self.assertEqual(waited, [])
        exchange.send(b"x")
        self.assertEqual(waited, [1])

    @unittest.skipIf(sys.implementation.name == "pypy", "its threads cannot be interrupted")
    def test_interrupted_anywhere(self):
        """Wherever RequestTimeout comes, other requests lose nothing, and the thread goes on.

        The request streams, has to wait for its window, or sends a file. It is interrupted
        a little later each time.
        """

        def stream(environ, start_response):
            write = start_response("200 OK", [])
            write(b"one")
            return iter([b"two", b"three"])

        def send_file(environ, start_response):
            start_response("200 OK", [])
            file.seek(0)
            return streams.FileWrapper(file, 1 << 16)

        with tempfile.TemporaryFile() as file:
            file.write(bytes(frames.MAX_BODY))
            for application in stream, send_file:
                for moment in range(INTERRUPTED):
                    with self.subTest(application.__name__, moment=moment):
                        interval = sys.getswitchinterval()
                        self.addCleanup(sys.setswitchinterval, interval)
                        sys.setswitchinterval(1e-6)
                        self.interrupt_at(moment, application)
                    self.doCleanups()

    def interrupt_at(self, moment, application):
        """Runs a request and interrupts it at a moment."""
        pool, server = self.pool(application)
        pool.window = 8
        other = frames.HEADER.pack(0, 7, frames.BODY, frames.FLAG_END, 0, 0)
        pool.out.append(other)  # the answer of another request is held back
        window = frames.WORD.pack(100)
        server.sendall(frames.HEADER.pack(len(window), 1, frames.WINDOW, 0, 0, 0) + window + self.frame(2))

        def interrupt():
            begun.acquire()
            for _ in range(8 * moment):
                pass
            pool.interrupt(1)

        begun = threading.Lock()
        begun.acquire()
        main = threading.Thread(target=interrupt)
        main.start()
        pool.turn.acquire()
        pool.right.append(None)
        request = (1, 0, b"", b"\0".join([b"x"] * len(wsgi.Requests.FIXED)), b"", 0.0, 0.0)
        begun.release()
        last = pool.run(request, 0.0, 0.0)
        main.join()
        try:
            pool.right.pop()
            pool.turn.release()
        except IndexError:
            pass
        self.assertEqual((pool.exchanges, pool.interrupted), ({}, 0))
        self.assertTrue(pool.turn.acquire(blocking=False), "the turn is lost")
        pool.turn.release()
        pool.send(last)
        server.setblocking(False)
        data, ended = b"", set()
        try:
            while True:
                data += server.recv(1 << 20)
        except BlockingIOError:
            pass
        while data:
            length, number, _, flags, _, _ = frames.HEADER.unpack_from(data)
            self.assertLessEqual(frames.HEADER_SIZE + length, len(data), "part of a frame")
            data = data[frames.HEADER_SIZE + length :]
            if flags & frames.FLAG_END:
                self.assertNotIn(number, ended)
                ended.add(number)
        self.assertEqual(ended, {1, 7})
        if not pool.pending:
            pool.read(socket.MSG_DONTWAIT)
        self.assertEqual([frame[0] for frame in pool.pending], [2])


    @unittest.skipUnless(sys.implementation.name == "cpython", "no thread can be interrupted")
    def test_interruption_waits(self):
        """What others depend on is done first; the main thread does not wait for that."""
        pool, _ = self.pool(None)
        sending, interrupted, seen = threading.Event(), threading.Event(), []

        def send():
            sending.set()
            interrupted.wait(60)
            seen.append("sent")

        def run():
            try:
                pool.guarded(exchange, send)
            except wsgi.RequestTimeout:
                seen.append("interrupted")

        exchange = wsgi.Exchange(pool, 1, False)
        thread = threading.Thread(target=run)
        thread.start()
        exchange.thread = thread.ident
        pool.exchanges[1] = exchange
        self.assertTrue(sending.wait(60))
        pool.interrupt(1)
        interrupted.set()
        thread.join(60)
        self.assertEqual(seen, ["sent", "interrupted"])


class NamesTest(unittest.TestCase):
    def test_split_names(self):
        long = "x" * frames.MAX_NAME
        for name, names, sizes in [
            ("none", [], [0]),
            ("few", ["/a", "/b"], [5]),
            ("a longest one", [long, "/b"], [frames.MAX_NAME + 3]),
            ("a longer one is left out", ["/a", long + "x", "/b"], [5]),
            ("as many as fit", ["y" * 1023] * 256, [256 * 1024 - 1]),
            ("one more", ["y" * 1023] * 257, [256 * 1024 - 1, 1023]),
        ]:
            with self.subTest(name):
                pieces = frames.split_names(names)
                self.assertEqual([len(piece) for piece in pieces], sizes)
                self.assertLessEqual(max(sizes), frames.MAX_TEXT)
                got = b"\0".join(pieces).decode().split("\0") if names else []
                self.assertEqual(got, [n for n in names if len(n) <= frames.MAX_NAME])
class WatchTest(unittest.TestCase):
    """A whole Pool with its threads and its watch; the test is the server process.

    Applications wait for events that the test sets when it has received what it
    asks for, so that nothing depends on how long anything takes.
    """

    DEADLINE = 20
    alarm = staticmethod(watch.alarm)

    def setUp(self):
        self.server, theirs = socket.socketpair()
        self.server.settimeout(self.DEADLINE)
        self.events = {}
        self.rest = b""
        original, threads.alarm = threads.alarm, self.alarm
        try:
            self.pool = threads.Pool(theirs, self.application, wsgi.Requests({}, sys.stderr), 2, 1 << 20)
        finally:
            threads.alarm = original
        self.pool.start()
        control, self.control = socket.socketpair()
        keeper = threading.Thread(target=watch.Watch(self.pool).keep, args=(control.fileno(), lambda: False))
        keeper.start()

        def stop():
            for event in self.events.values():
                event.set()
            self.control.send(b"stop")
            keeper.join()
            self.pool.close()
            for thread in threading.enumerate():
                if thread.name.startswith("overlay-"):  # it must not outlive the interpreter
                    thread.join(self.DEADLINE)
            for each in self.server, theirs, control, self.control:
                each.close()

        self.addCleanup(stop)

    def event(self, name):
        return self.events.setdefault(name, threading.Event())

    def wait(self, name):
        if not self.event(name).wait(self.DEADLINE):
            raise TimeoutError(name)

    def application(self, environ, start_response):
        """PATH_INFO says what is done: "list", or "list:event", or "stream:event,event" or "close:event"."""
        what, _, names = environ["PATH_INFO"].partition(":")
        names = names.split(",") if names else []
        start_response("200 OK", [])
        if what == "list":
            for name in names:
                self.wait(name)
            return [b"list"]
        if what == "flood":
            return self.Flood(int(names[0]))
        return self.Stream(self, names) if what == "stream" else self.Closing(self, names)

    class Stream:
        """A block before each event, after a pause in which the watch may fall asleep."""

        def __init__(self, test, names):
            self.test, self.names = test, names

        def __iter__(self):
            for name in self.names:
                time.sleep(0.07)
                yield name.encode()
                self.test.wait(name)

    class Flood:
        """Blocks without an end: the thread is in overlay's own code nearly all the time."""

        def __init__(self, size):
            self.block = b"x" * size

        def __iter__(self):
            while True:
                yield self.block

    class Closing(Stream):
        """All there is, and then a close() that takes its time."""

        def __iter__(self):
            return iter([b"whole"])

        def close(self):
            self.test.wait(self.names[0])

    def ask(self, number, path):
        values = [b"x"] * len(wsgi.Requests.FIXED)
        values[wsgi.Requests.FIXED.index("PATH_INFO")] = path.encode()
        values = b"\0".join(values)
        size = len(values) + frames.REQUEST_HEADER_SIZE - frames.HEADER_SIZE
        header = frames.REQUEST_HEADER.pack(size, number, frames.REQUEST, 0, 0, len(values), 0.0, 0.0)
        self.server.sendall(header + values)

    def frame(self):
        """The next frame: number, kind, flags, and its bytes of the body."""
        while True:
            if len(self.rest) >= frames.HEADER_SIZE:
                length, number, kind, flags, _, head = frames.HEADER.unpack_from(self.rest)
                end = frames.HEADER_SIZE + length
                if len(self.rest) >= end:
                    body = self.rest[frames.HEADER_SIZE + head : end]
                    self.rest = self.rest[end:]
                    return number, kind, flags, body
            data = self.server.recv(65536)
            self.assertTrue(data, "the worker has closed its socket")
            self.rest += data

    def test_blocks_leave_as_they_come(self):
        names = ["one", "two", "three", "four"]
        self.ask(1, "stream:" + ",".join(names))
        for name in names:
            self.assertEqual(self.frame()[3], name.encode())
            self.event(name).set()
        self.assertTrue(self.frame()[2] & frames.FLAG_END)

    def test_the_end_does_not_wait_for_close(self):
        for eager in 0, 4:
            with self.subTest(eager=eager):
                self.pool.eager = eager
                self.ask(1, "close:%d" % eager)
                self.assertEqual(self.frame()[3], b"whole")
                self.event("%d" % eager).set()
                self.assertTrue(self.frame()[2] & frames.FLAG_END)

    def test_a_finished_answer_does_not_wait_for_the_next_request(self):
        for fast in 0, 9:
            with self.subTest(fast=fast):
                self.pool.fast, self.pool.eager = fast, 0
                self.ask(1, "list")
                self.ask(2, "list:%d" % fast)
                self.assertEqual(self.frame()[0], 1)
                self.event("%d" % fast).set()
                self.assertEqual(self.frame()[0], 2)

    def test_the_turn_goes_on(self):
        for number in range(1, 40, 2):
            with self.subTest(number):
                self.pool.eager = 0
                self.ask(number, "list:%d" % number)
                self.ask(number + 1, "list")
                self.assertEqual(self.frame()[0], number + 1)
                self.event("%d" % number).set()
                self.assertEqual(self.frame()[0], number)

    def test_what_finds_no_thread_is_given_back(self):
        for number in 1, 2:
            self.ask(number, "list:end")
            deadline = time.monotonic() + self.DEADLINE
            while len(self.pool.running()) < number:
                self.assertLess(time.monotonic(), deadline, "a request is not begun")
        for number in 3, 4, 5:  # the last ones come when the watch has nothing to do any more
            self.ask(number, "list")
            self.assertEqual(self.frame()[:2], (number, frames.GIVE_BACK))
        self.event("end").set()
        self.assertEqual({self.frame()[0], self.frame()[0]}, {1, 2})
        self.ask(6, "list")
        self.assertEqual(self.frame()[:2], (6, frames.RESPONSE))


    @unittest.skipIf(sys.implementation.name == "pypy", "its threads cannot be interrupted")
    def test_an_interrupted_request_takes_nothing_from_the_others(self):
        """Wherever RequestTimeout comes, each frame is whole, and each answer leaves."""
        ended, number = {}, 0

        def take():
            got, kind, flags, body = self.frame()
            if flags & frames.FLAG_END:
                ended[got] = kind
            else:
                self.assertIn(kind, (frames.RESPONSE, frames.BODY, frames.NOTE))
                self.assertEqual(body.strip(b"x"), b"")

        for turn in range(100):
            self.pool.eager = 0
            number += 10
            self.ask(number, "flood:%d" % (1 << turn % 13))
            deadline = time.monotonic() + self.DEADLINE
            while number not in self.pool.exchanges:
                self.assertLess(time.monotonic(), deadline, "the request is not begun")
            others = range(number + 1, number + 4)
            for other in others:
                self.ask(other, "list")
            for _ in range(turn % 5):  # another place each time
                take()
            self.pool.interrupt(number)
            while number not in ended or not ended.keys() >= set(others):
                take()
            self.assertIn(ended[number], (frames.ERROR, frames.BODY))
            for other in others:
                self.assertIn(ended[other], (frames.RESPONSE, frames.GIVE_BACK))
        self.assertEqual(self.pool.interrupted, 0)


class WatchWithBellTest(WatchTest):
    """The same where the kernel or Python offers no timer."""

    alarm = staticmethod(watch.Bell)


class TextTest(unittest.TestCase):
    def test_encode_text(self):
        limit = frames.MAX_TEXT
        for name, text in [("empty", ""), ("short", "caf\xe9 \udcff"), ("as long as allowed", "x" * limit)]:
            with self.subTest(name):
                self.assertEqual(frames.encode_text(text), text.encode("utf-8", "backslashreplace"))
        for name, text in [("one more", "x" * (limit + 1)), ("very long", "begin" + "\u20ac" * limit + "end")]:
            with self.subTest(name):
                data = frames.encode_text(text)
                self.assertLessEqual(len(data), limit)
                self.assertTrue(data.startswith(text[:5].encode()) and data.endswith(text[-3:].encode()))
                self.assertIn(b"bytes left out", data)

    def test_describe(self):
        class Unprintable(Exception):
            def __str__(self):
                raise RuntimeError

        for error, want in [(ValueError("why"), "ValueError: why"), (Unprintable(), "Unprintable")]:
            with self.subTest(want):
                try:
                    raise error
                except Exception:
                    self.assertIn(want, wsgi.describe())


if __name__ == "__main__":
    unittest.main(verbosity=2)
