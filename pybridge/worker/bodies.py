"""wsgi.input of requests whose body is not a string in their frame.

A descriptor comes with the frame: that of a file with the whole body, or of a socket on
which the body comes as the client sends it (pybridge/input.go).
"""

import errno
import io
import os
from _socket import AF_UNIX, SHUT_RDWR, SOCK_STREAM, socket
from stat import S_ISSOCK
from struct import Struct

# What stands before each piece: its length. 0 is the end of the body, and with
# FAILURE in it the number of an error.
PIECE = Struct("<I")
FAILURE = 1 << 31

TEXTS = {
    errno.ECONNRESET: "the client left before it had sent the whole body",
    errno.ETIMEDOUT: "the client sends the body too slowly",
    errno.EFBIG: "the body is larger than --limit-request-body",
    errno.EBADMSG: "the client's message is malformed",
    errno.ECONNABORTED: "the request is over, and so is its body",
}


def open_input(descriptor):
    """Returns the input stream of a request; the descriptor is closed with it."""
    if S_ISSOCK(os.fstat(descriptor).st_mode):
        stream = Arriving(Socket(descriptor))
    else:
        stream = os.fdopen(descriptor, "rb")
    os.set_inheritable(descriptor, False)  # last: PyPy's socket() makes it inheritable
    return stream


class Socket(io.RawIOBase):
    """A body as it arrives. The first read asks for it; nobody else invites it.

    A body that is cut short never ends: reading it raises an OSError, such as
    ConnectionResetError when the client has left, and TimeoutError.
    """

    def __init__(self, descriptor):
        self.socket = socket(AF_UNIX, SOCK_STREAM, 0, descriptor)
        self.socket.settimeout(None)  # the application may have set a default
        self.asked = False
        self.left = 0  # bytes of the piece that has begun
        self.end = None  # how the body has ended: 0, or the number of an error

    def readable(self):
        return True

    def readinto(self, buffer):
        if self.end is None:
            if not self.left:
                self.begin_piece()
            if self.left:
                data = self.receive(min(self.left, len(buffer)))
                size = len(data)
                self.left -= size
                if size:
                    buffer[:size] = data
                    return size
        if self.end:
            raise OSError(self.end, TEXTS.get(self.end) or os.strerror(self.end))
        return 0

    def begin_piece(self):
        """Reads how long the next piece is, or how the body has ended."""
        if not self.asked:
            self.asked = True
            try:
                self.socket.send(b"?")
            except OSError:
                self.end = errno.ECONNABORTED
                return
        head = b""
        while len(head) < PIECE.size:
            data = self.receive(PIECE.size - len(head))
            if not data:
                return
            head += data
        (value,) = PIECE.unpack(head)
        if not value or value & FAILURE:
            self.end = value & ~FAILURE
        else:
            self.left = value

    def receive(self, size):
        """Reads from the socket; its end is never that of the body."""
        try:
            data = self.socket.recv(size)
        except OSError:
            data = b""
        if not data:
            self.end = errno.ECONNABORTED
        return data

    def stop(self):
        """Ends a read that another thread of the application is in."""
        try:
            self.socket.shutdown(SHUT_RDWR)
        except OSError:
            pass  # the other side has closed it

    def close(self):
        if not self.closed:
            self.socket.close()
        super().close()


class Arriving(io.BufferedReader):
    """wsgi.input over a Socket. read(n) waits for n bytes or the end, read1 for any."""

    def __init__(self, raw):
        super().__init__(raw, 64 * 1024)

    def close(self):
        if not self.closed:
            self.raw.stop()
        super().close()
