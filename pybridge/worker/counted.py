"""The input and the response of a request that is watched, counted (observe.py)."""

from time import perf_counter


class Body:
    """The iterable of a response, counted."""

    def __init__(self, request, result):
        self.request = request
        self.result = result
        self.iterator = None
        self.left = 0.0  # when the last block went to the server

    def __iter__(self):
        return self

    def __next__(self):
        request = self.request
        if self.left:
            request.output_time += perf_counter() - self.left
            self.left = 0.0
        try:
            if self.iterator is None:
                self.iterator = iter(self.result)
            data = next(self.iterator)
        except StopIteration:
            raise
        except BaseException:
            request.fail()
            raise
        if isinstance(data, bytes):
            request.count(data)
        self.left = perf_counter()
        return data

    def close(self):
        if self.left:  # the server has not asked for more
            self.request.output_time += perf_counter() - self.left
        try:
            close = getattr(self.result, "close", None)
            if close is not None:
                close()
        finally:
            self.request.finish()


class Input:
    """wsgi.input, counted."""

    def __init__(self, stream):
        self.stream = stream
        self.reads = self.length = 0
        self.time = 0.0

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def counted(self, method, *arguments):
        before = perf_counter()
        data = method(*arguments)
        self.time += perf_counter() - before
        self.reads += 1
        self.length += len(data)
        return data

    def read(self, *size):
        return self.counted(self.stream.read, *size)

    def readline(self, *size):
        return self.counted(self.stream.readline, *size)

    def readlines(self, *hint):
        lines = self.stream.readlines(*hint)
        self.reads += len(lines)
        self.length += sum(map(len, lines))
        return lines

    def readinto(self, buffer):
        size = self.stream.readinto(buffer)
        self.reads += 1
        self.length += size
        return size

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line
