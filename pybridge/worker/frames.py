"""The wire format, the worker's side of pybridge/frame.go.

A frame is a header of 16 bytes, little endian, and its payload:

    length   uint32   bytes of the payload
    request  uint32   which request it belongs to; chosen by the server process
    kind     uint8    one of the constants below
    flags    uint8
    names    uint16   in a request: how much of the payload is field names
    head     uint32   in a request: how much after that is values of the environ;
                      in a response: how much of the payload is status and fields

The payload of a request begins with two doubles, seconds since the epoch: when
the server process had read its head, and when it began to wait for a thread.

Names here are the names there. A frame with FLAG_DESCRIPTOR comes with one
file descriptor (SCM_RIGHTS) attached to its first byte.
"""

from struct import Struct

HEADER = Struct("<IIBBHI")
HEADER_SIZE = HEADER.size
WORD = Struct("<I")
REQUEST_HEADER = Struct("<IIBBHIdd")  # of a request, with its two times
REQUEST_HEADER_SIZE = REQUEST_HEADER.size

# Data socket, server process to worker.
REQUEST = 1  # names, values, body
WINDOW = 2  # uint32: bytes of response body that the client has taken
CANCEL = 3  # the client is gone: nobody reads what this request still sends

# Data socket, worker to server process.
RESPONSE = 16  # head, first bytes of the body
BODY = 17  # more bytes of the body
ERROR = 18  # text for the log; the request has failed
FILE = 19  # offset and length (uint64) of the descriptor that comes with it
NOTE = 20  # text for the log about this request, which goes on
GIVE_BACK = 21  # the request has not been begun, and will not be

# Control socket, worker to server process.
READY = 32  # fields of Interpreter, NUL between them
FAILED = 33  # text for the log: the application could not be loaded
LEAVING = 34  # why this worker process wants to be replaced
ALIVE = 35  # the answer to PING: Python runs
FILES = 37  # part of the answer to ASK_FILES: names, NUL between them
STACK = 36  # the stack of the thread that is being interrupted, for the log

# Control socket, server process to worker.
STOP = 48  # leave now, nothing is in flight; why, as in process_stopping
INTERRUPT = 49  # raise overlay.RequestTimeout in the thread of this request
PING = 50  # answer with ALIVE
ASK_FILES = 51  # which files have been imported since the last time?

FLAG_END = 1  # the thread that ran this request is free
FLAG_LAST = 2  # no byte of the body follows
FLAG_DESCRIPTOR = 4
FLAG_HEAD = 8  # REQUEST: the method is HEAD

# The most body bytes that one frame carries: more would hold up the answers
# of other requests on the same socket.
MAX_BODY = 128 * 1024

# The largest status and fields of a response.
MAX_HEAD = 256 * 1024

# The most bytes of text for the log: the server process takes no larger frame.
MAX_TEXT = 256 * 1024

# The longest file name that the server process is told of.
MAX_NAME = 64 * 1024


def encode_text(text):
    """Returns text for the log as bytes; the middle of a very long one is left out."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= MAX_TEXT:
        return data
    half = MAX_TEXT // 2 - 50
    return b"%b\n[... %d bytes left out ...]\n%b" % (data[:half], len(data) - 2 * half, data[-half:])


def split_names(names):
    """Joins file names, NUL between them, to as few pieces as fit into frames.

    A list of files is no text: part of a name would be another name. So a name
    that is longer than any path can be is left out.
    """
    pieces, piece, size = [], [], 0
    for name in names:
        data = name.encode("utf-8", "backslashreplace")
        if len(data) > MAX_NAME:
            continue
        if size + len(data) > MAX_TEXT:
            pieces.append(b"\0".join(piece))
            piece, size = [], 0
        piece.append(data)
        size += len(data) + 1
    pieces.append(b"\0".join(piece))
    return pieces


class ProtocolError(Exception):
    """The server process sent what this worker does not understand."""
