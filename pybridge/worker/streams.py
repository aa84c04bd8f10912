"""Text streams of a worker process: whole lines, never in the protocol."""

import io
import os
import sys
from _thread import allocate_lock, get_ident

# A line longer than this is written in pieces, so that a thread that never
# ends its line cannot fill the memory.
MAX_PARTIAL = 64 * 1024



class Pieces(list):
    """The pieces of a line without its end."""

    size = 0  # characters in all of them


# Pieces by thread identifier and stream.
partial = {}
standard = []  # the streams that install has made


def end_lines():
    """Ends the lines that this thread has begun, for the end of a request.

    They would be the beginning of a line of its next request otherwise.
    """
    thread = get_ident()
    for stream in standard:
        if (thread, stream) in partial:
            stream.flush()


class LineStream(io.TextIOWrapper):
    """Stands in for sys.stdout, sys.stderr and wsgi.errors.

    Lines of different threads never mix: what a thread writes is kept until
    its line ends. flush ends it, too: whoever flushes wants it to be read now,
    and the log is made of lines.
    """

    def __init__(self, descriptor):
        raw = io.FileIO(descriptor, "w", closefd=False)
        super().__init__(
            io.BufferedWriter(raw),
            encoding="utf-8",
            errors="backslashreplace",
            newline="\n",
            write_through=False,
        )
        self._lock = allocate_lock()

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not %s" % type(text).__name__)
        key = get_ident(), self
        end = text.rfind("\n") + 1
        if end:
            whole = "".join(partial.pop(key, ())) + text[:end]
            rest = text[end:]
            with self._lock:
                super().write(whole)
                super().flush()
        else:
            rest = text
        if rest:
            pieces = partial.get(key)
            if pieces is None:
                pieces = partial[key] = Pieces()
            pieces.append(rest)
            pieces.size += len(rest)
            if pieces.size > MAX_PARTIAL or len(pieces) > 1024:
                self.flush()
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        pieces = partial.pop((get_ident(), self), None)
        with self._lock:
            if pieces:
                super().write("".join(pieces) + "\n")
            super().flush()

    def close(self):
        """Closing standard error would lose the last words of the process."""
        self.flush()

    def isatty(self):
        return False


def install():
    """Replaces the standard streams; returns the one for wsgi.errors."""
    sys.stdin = open(os.devnull, encoding="utf-8")
    sys.stdout = LineStream(1)
    sys.stderr = LineStream(2)
    sys.__stdout__ = sys.stdout
    sys.__stderr__ = sys.stderr
    standard[:] = sys.stdout, sys.stderr
    return sys.stderr


class FileWrapper:
    """wsgi.file_wrapper (PEP 3333, Optional Platform-Specific File Handling).

    A regular file that is returned to the server unread goes by its
    descriptor; any other file-like object is read block by block.
    """

    def __init__(self, filelike, blksize=128 * 1024):
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        data = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration

    def descriptor(self):
        """Returns (descriptor, position, size) of a regular file, or None."""
        from stat import S_ISREG

        file = _plain_file(self.filelike)
        if file is None:
            return None
        try:
            if file.writable():
                file.flush()
            descriptor = file.fileno()
            position = file.tell()
            status = os.fstat(descriptor)
        except (OSError, ValueError):
            return None
        if not S_ISREG(status.st_mode):
            return None
        return descriptor, position, status.st_size


def _plain_file(filelike):
    """Returns the file whose own bytes filelike.read gives, or None.

    Having a fileno says too little: a GzipFile has the one of the compressed
    file. So what counts is whose method read is. That sees through the proxies
    of tempfile and of Django's File, which hand out the method of the file.
    """
    read = getattr(filelike, "read", None)
    read = getattr(read, "__wrapped__", read)
    owner = getattr(read, "__self__", None)
    if type(owner) is io.BufferedReader:
        return owner if type(owner.raw) is io.FileIO else None
    return owner if type(owner) in (io.FileIO, io.BufferedRandom) else None
