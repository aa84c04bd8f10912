"""One request through the application: PEP 3333, the server's side.

Exchange is the life of a request in this process. The server process has
received the whole body before, so wsgi.input never waits for a client, but for
bodies that arrive while they are read (bodies.py).
"""

import sys
from _thread import allocate_lock as Lock
from re import compile as pattern

from _overlay.frames import (
    BODY,
    ERROR,
    FILE,
    FLAG_DESCRIPTOR,
    FLAG_END,
    FLAG_LAST,
    HEADER,
    MAX_BODY,
    MAX_HEAD,
    NOTE,
    RESPONSE,
    encode_text,
)
from _overlay.streams import FileWrapper, end_lines, partial

# PEP 3333, The start_response() Callable: no control characters in a status
# or in a field value. Line feeds join the parts of a head, and no other control
# character may be in it: taking all of them out tells both.
_CONTROL = bytes(range(32)) + b"\x7f"
_status = pattern("[1-9][0-9][0-9] ").match
_token = pattern("[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch

# PEP 3333, Other HTTP Features: fields that are the server's affair alone.
_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization "
    "te trailer trailers transfer-encoding upgrade".split()
)

_ORDINARY = 1
_CONTENT_LENGTH = 2
_MAX_NAMES = 2048
_names = {}  # field name as the application wrote it, to one of the two above
_statuses = {}  # status as the application wrote it, to whether no body follows it


class ClientGone(Exception):
    """Nobody reads this response any more; the application is not at fault."""


class RequestTimeout(BaseException):
    """Raised in a thread whose request took longer than --request-timeout.

    The client has got its 504 already; what is left is to clean up.
    """


class Cut(Exception):
    """The response cannot be completed; the text says why, for the log."""


class Exchange:
    """One request: environ in, response out. Used by one thread at a time."""

    __slots__ = (
        "pool",
        "number",
        "is_head",
        "status",
        "headers",
        "head",
        "head_sent",
        "declared",
        "sent",
        "window",
        "cancelled",
        "ready",
        "thread",
        "guard",
        "late",
    )

    def __init__(self, pool, number, is_head):
        self.pool = pool
        self.number = number
        self.is_head = is_head
        self.head = None  # what start_response was given, ready to be sent
        self.head_sent = False
        self.declared = -1  # Content-Length, or -1
        # Each of the two is changed by one thread only, since Python adds in several steps:
        # by that of the application, and by the one that reads the data socket.
        self.sent = 0  # bytes of the body
        self.window = pool.window  # how many the server process takes, in all so far
        self.cancelled = False
        self.ready = None  # lock that a thread waiting for window sleeps on
        self.guard = Lock()  # held while the thread does what others depend on: RequestTimeout has to wait
        self.late = False  # RequestTimeout waits for that

    # -- what the application calls ------------------------------------------

    def start_response(self, status, headers, exc_info=None):
        if self.head is not None:
            if exc_info is None:
                raise AssertionError("start_response called a second time without exc_info")
            if self.head_sent:
                try:
                    raise exc_info[1].with_traceback(exc_info[2])
                finally:
                    exc_info = None  # no cycle through the traceback
        exc_info = None
        try:
            bodiless = _statuses[status]
        except (KeyError, TypeError):
            bodiless = _check_status(status)
        if type(headers) is not list:
            raise TypeError("headers must be a list, got %s" % type(headers).__name__)
        declared = -1
        parts = [status]
        for field in headers:
            if type(field) is not tuple or len(field) != 2:
                raise TypeError("a header must be a tuple of name and value, got %r" % (field,))
            name, value = field
            # Django's SafeString is a str, too: nothing here can tell it from one.
            if not isinstance(value, str):
                raise TypeError("header %r: value must be str, got %s" % (name, type(value).__name__))
            try:
                kind = _names[name]
            except (KeyError, TypeError):
                kind = _check_name(name)
            if kind is _CONTENT_LENGTH:
                if not (value.isascii() and value.isdigit()) or len(value) > 18:
                    raise ValueError("Content-Length must be a number, got %r" % value)
                if declared >= 0:
                    if declared != int(value):
                        raise ValueError("two different Content-Lengths, %d and %s" % (declared, value))
                    continue
                declared = int(value)
            parts += field
        try:
            head = "\n".join(parts).encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError("status and headers must be ISO-8859-1: %r" % (parts,)) from None
        if len(head) - len(head.translate(None, _CONTROL)) != len(parts) - 1:
            raise ValueError("control character in the status or a header: %r" % (parts,))
        if len(head) > MAX_HEAD:
            raise ValueError("status and headers have %d bytes, at most %d are sent" % (len(head), MAX_HEAD))
        self.head = head
        self.declared = declared
        if bodiless:
            self.declared = 0 if declared < 0 else declared
            self.is_head = True  # whatever the application sends, no body follows
        return self.write

    def write(self, data):
        """PEP 3333, The write() Callable."""
        if not isinstance(data, bytes):
            raise TypeError("write() takes bytes, got %s" % type(data).__name__)
        if not data:
            return
        beyond = not self.is_head and 0 <= self.declared < self.sent + len(data)
        self.send(data)
        if beyond:
            # PEP 3333, Handling the Content-Length Header: what it allows has been sent.
            raise ValueError("write() goes beyond Content-Length, %d bytes" % self.declared)

    # -- the way to the server process ---------------------------------------

    def run(self, application, environ):
        """Calls the application and sends everything it answers.

        Returns the last frame, which says that the thread is free.
        """
        try:
            result = application(environ, self.start_response)
        except BaseException:
            return self.fail()
        try:
            kind = type(result)
            if (kind is list or kind is tuple) and not self.head_sent:
                return self.answer(result)
            if kind is FileWrapper and self.send_file(result):
                pass
            else:
                for data in result:
                    if type(data) is not bytes and not isinstance(data, bytes):
                        raise TypeError("the application yielded %s, not bytes" % type(data).__name__)
                    if self.head is None:
                        raise AssertionError("the application yielded before it called start_response")
                    if data and self.send(data):
                        break
            last = self.finish()
        except BaseException:
            last = self.fail()
        close = getattr(result, "close", None)
        if close is not None:
            try:
                close()
            except BaseException:
                self.note("close() of the response:\n" + describe())
        if partial:
            end_lines()
        return last

    def answer(self, result):
        """The whole response is there: one frame, with its length known."""
        if self.head is None:
            raise AssertionError("the application returned without calling start_response")
        body = result[0] if len(result) == 1 else self.joined(result)
        if type(body) is not bytes and not isinstance(body, bytes):
            raise TypeError("the application returned a list of %s, not bytes" % type(body).__name__)
        size = len(body)
        head = self.head
        if size != self.declared:
            if self.declared < 0:
                if size or not self.is_head:
                    head = b"%b\nContent-Length\n%d" % (head, size)
            elif not self.is_head:
                if size < self.declared:
                    # Nothing has been sent: a plain error is better than a cut response.
                    raise Cut("the body has %d bytes, Content-Length says %d" % (size, self.declared))
                self.note("the body has %d bytes, Content-Length says %d: cut" % (size, self.declared))
                body = body[: self.declared]
        if self.is_head:
            body = b""
        if partial:
            end_lines()
        if len(body) > MAX_BODY:
            self.head = head
            self.declared = len(body)
            self.send(body)
            return self.finish()
        size = len(head)
        return HEADER.pack(size + len(body), self.number, RESPONSE, FLAG_END | FLAG_LAST, 0, size) + head + body

    def joined(self, result):
        for data in result:
            if not isinstance(data, bytes):
                raise TypeError("the application returned a list of %s, not bytes" % type(data).__name__)
        return b"".join(result)

    def send(self, data):
        """Sends part of a body. Reports whether no more of it can follow."""
        if self.head_sent:
            self.pool.glance(self)
        if self.cancelled:
            raise ClientGone
        if self.is_head:
            if not self.head_sent:
                self.send_head(b"", 0)
            return True
        declared = self.declared
        if declared >= 0 and self.sent + len(data) > declared:
            self.note("the body is longer than Content-Length, %d bytes: cut" % declared)
            data = data[: declared - self.sent]
        size = len(data)
        if size > MAX_BODY:
            return self.send_large(data)
        self.await_window(size)
        self.sent += size
        last = self.sent == declared
        if self.head_sent:
            if size:
                frame = HEADER.pack(size, self.number, BODY, FLAG_LAST if last else 0, 0, 0) + data
                self.pool.put(self, frame, last)
        else:
            self.send_head(data, FLAG_LAST if last else 0)
        return last

    def send_large(self, data):
        view = memoryview(data)
        last = False
        for start in range(0, len(view), MAX_BODY):
            last = self.send(bytes(view[start : start + MAX_BODY]))
        return last

    def send_head(self, data, flags):
        head = self.head
        if head is None:
            raise AssertionError("the application sent a body before it called start_response")
        self.head_sent = True
        size = len(head)
        frame = HEADER.pack(size + len(data), self.number, RESPONSE, flags, 0, size) + head + data
        self.pool.put(self, frame, flags & FLAG_LAST)

    def await_window(self, size):
        """Waits until size more bytes may be sent."""
        if self.window - self.sent < size:
            self.pool.wait_for_window(self, size)
            if self.cancelled:
                raise ClientGone

    def send_file(self, wrapper):
        """Sends the file by its descriptor. Reports whether that was possible."""
        if self.is_head or self.head_sent:
            return False
        found = wrapper.descriptor()
        if found is None:
            return False
        if self.head is None:
            raise AssertionError("the application returned without calling start_response")
        descriptor, position, size = found
        length = max(size - position, 0)
        if self.declared < 0:
            self.head = b"%b\nContent-Length\n%d" % (self.head, length)
            self.declared = length
        length = min(length, self.declared)
        if length < MAX_BODY // 2:
            return False  # reading a small file costs less than passing a descriptor
        self.send_head(b"", 0)
        header = HEADER.pack(16, self.number, FILE, FLAG_LAST | FLAG_DESCRIPTOR, 0, 0)
        payload = position.to_bytes(8, "little") + length.to_bytes(8, "little")
        self.pool.put_descriptor(self, header + payload, descriptor)
        self.sent = length
        return True

    def finish(self):
        """The last frame of a response that came in parts."""
        if not self.head_sent:
            if self.head is None:
                raise AssertionError("the application returned without calling start_response")
            head = self.head
            if self.declared < 0 and not self.is_head:
                head += b"\nContent-Length\n0"
            elif self.declared > 0 and not self.is_head:
                raise Cut("the body is empty, Content-Length says %d" % self.declared)
            size = len(head)
            return HEADER.pack(size, self.number, RESPONSE, FLAG_END | FLAG_LAST, 0, size) + head
        if self.sent < self.declared and not self.is_head:
            raise Cut("the body has %d bytes, Content-Length says %d" % (self.sent, self.declared))
        return HEADER.pack(0, self.number, BODY, FLAG_END | FLAG_LAST, 0, 0)

    def fail(self):
        """The last frame of a request whose application failed."""
        if partial:
            end_lines()
        if sys.exc_info()[0] is ClientGone:
            return HEADER.pack(0, self.number, BODY, FLAG_END | FLAG_LAST, 0, 0)
        text = encode_text(describe())
        return HEADER.pack(len(text), self.number, ERROR, FLAG_END | FLAG_LAST, 0, 0) + text

    def note(self, text):
        data = encode_text(text)
        self.pool.put(self, HEADER.pack(len(data), self.number, NOTE, 0, 0, 0) + data, True)


def _check_status(status):
    """Checks a status that has not been seen before; reports whether no body follows it."""
    if not isinstance(status, str):
        raise TypeError("status must be str, got %s" % type(status).__name__)
    if _status(status) is None:
        raise ValueError("status must look like '200 OK', got %r" % status)
    if status[0] == "1":
        raise ValueError("status 1xx is the server's affair, got %r" % status)
    bodiless = status.startswith(("204", "304"))
    if len(_statuses) < _MAX_NAMES and type(status) is str:
        _statuses[status] = bodiless
    return bodiless


def _check_name(name):
    """Checks a field name that has not been seen before; returns its kind."""
    if type(name) is not str:
        raise TypeError("header names must be str, got %s" % type(name).__name__)
    if _token(name) is None:
        raise ValueError("header name %r is not a token" % name)
    lower = name.lower()
    if lower in _HOP_BY_HOP:
        raise ValueError("header %r is hop-by-hop: the server's affair alone (PEP 3333)" % name)
    kind = _CONTENT_LENGTH if lower == "content-length" else _ORDINARY
    if len(_names) < _MAX_NAMES:
        _names[name] = kind
    return kind


def describe():
    """The exception being handled, as text; overlay's own frames left out."""
    kind, error, trace = sys.exc_info()
    if kind is Cut:
        return str(error)
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith("<overlay>"):
        trace = trace.tb_next
    from traceback import format_exception

    try:
        return "".join(format_exception(kind, error, trace)).rstrip("\n")
    except Exception:  # an exception whose __str__ raises, say
        return "%s (its text could not be had)" % kind.__name__
    finally:
        del trace, error


class Requests:
    """Makes environ dictionaries of request frames."""

    # The values that every request has, in the order of pybridge/environ.go.
    FIXED = (
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "REQUEST_URI",
        "SERVER_PROTOCOL",
        "SERVER_NAME",
        "SERVER_PORT",
        "REMOTE_ADDR",
        "REMOTE_PORT",
        "wsgi.url_scheme",
        "REQUEST_SCHEME",
    )
    # When the request reached which part of overlay: floats, seconds since the epoch.
    TIMES = (
        "overlay.request_start",
        "overlay.queue_start",
        "overlay.daemon_start",
        "overlay.application_start",
        "mod_wsgi.request_start",
        "mod_wsgi.queue_start",
        "mod_wsgi.daemon_start",
        "mod_wsgi.application_start",
    )
    MAX_SHAPES = 512

    def __init__(self, base, errors):
        self.base = dict(base)
        self.base["wsgi.version"] = (1, 0)
        self.base["wsgi.errors"] = errors
        self.base["wsgi.file_wrapper"] = FileWrapper
        self.base["wsgi.input_terminated"] = True
        self.base["wsgi.run_once"] = False
        self.base.update(dict.fromkeys(self.TIMES, 0.0))
        self.shapes = {}

    def environ(self, names, values, body, request_start=0.0, queue_start=0.0, daemon_start=0.0, application_start=0.0):
        """Returns the environ of a REQUEST frame with the input stream body.

        The field names of a request come as one string: browsers and
        libraries send few different ones, so their keys are made once, and so
        is a dict that has them: its copy never grows, which costs more than
        the keys below.
        """
        try:
            keys, template = self.shapes[names]
        except KeyError:
            keys, template = self.shape(names)
        environ = template.copy()
        environ.update(zip(keys, values.decode("latin-1").split("\0")))
        environ["wsgi.input"] = body
        environ["overlay.request_start"] = environ["mod_wsgi.request_start"] = request_start
        environ["overlay.queue_start"] = environ["mod_wsgi.queue_start"] = queue_start
        environ["overlay.daemon_start"] = environ["mod_wsgi.daemon_start"] = daemon_start
        environ["overlay.application_start"] = environ["mod_wsgi.application_start"] = application_start
        return environ

    def shape(self, names):
        keys = list(self.FIXED)
        # No field name holds "=". What follows it are the server's own variables.
        fields, _, variables = str(names, "latin-1").partition("=")
        if fields:
            for name in fields.rstrip("\0").split("\0"):
                key = name.upper().replace("-", "_")
                if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                    key = "HTTP_" + key
                keys.append(sys.intern(key))
        if variables:
            keys.extend(map(sys.intern, variables.split("\0")))
        if len(self.shapes) >= self.MAX_SHAPES:
            self.shapes.clear()
        template = self.base.copy()
        template.update(dict.fromkeys(keys), **{"wsgi.input": None})
        shape = self.shapes[names] = tuple(keys), template.copy()  # the copy has no room to spare
        return shape
