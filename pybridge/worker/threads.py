"""The threads of a worker process, and the turn to read its socket.

What a request costs is mostly waking threads, so as few as possible wake. One
thread has the turn: it reads what has come, which may be several requests,
runs them one after the other, and sends the finished answers together.

That is right only while the application is quick, which the watch judges
(watch.py). What is held back is sent after a moment whatever happens, and
while requests take longer than HOLD nothing is held back (Pool.fast).

`right` makes handing on safe without a lock: the thread that runs an
application puts a token there, and whoever takes it out has the turn.
deque.append and deque.pop are atomic, with a GIL and without.
"""

import os
import sys
from _socket import MSG_CTRUNC, MSG_DONTWAIT, SCM_RIGHTS, SHUT_RDWR, SOL_SOCKET
from array import array
from collections import deque
from io import BytesIO
from threading import Lock, Thread, get_ident
from time import perf_counter, time

from _overlay.bodies import open_input
from _overlay.frames import (
    CANCEL,
    FLAG_DESCRIPTOR,
    FLAG_END,
    FLAG_HEAD,
    FLAG_LAST,
    GIVE_BACK,
    HEADER,
    HEADER_SIZE,
    REQUEST,
    REQUEST_HEADER,
    REQUEST_HEADER_SIZE,
    WINDOW,
    WORD,
    ProtocolError,
)
from _overlay.watch import DELAYS, FORGET, RENEW, Scheduling, alarm
from _overlay.wsgi import Exchange, RequestTimeout

HOLD = 0.0003  # seconds that a request may take while answers are held back
MAX_HELD = 0.0005  # seconds after which a held answer goes whatever the next request does
READ_SIZE = 32 * 1024
CLOSE_ON_EXEC = 0x40000000  # MSG_CMSG_CLOEXEC of Linux, which PyPy does not name


def abandon(text):
    """Ends this process at once, with its last words in the log."""
    os.write(2, ("overlay: worker: " + text + "\n").encode("utf-8", "backslashreplace"))
    os._exit(70)


def raise_in(thread, exception):
    """Raises exception in a thread, at its next byte code; None takes that back.

    Does nothing on PyPy, whose threads cannot be interrupted.
    """
    try:
        from ctypes import c_ulong, py_object, pythonapi

        raiser = pythonapi.PyThreadState_SetAsyncExc
    except (ImportError, AttributeError):
        return
    raiser(c_ulong(thread), None if exception is None else py_object(exception))


def checkpoint():
    """The latest place where an exception comes that another thread has raised in this one."""


def stack_of(thread):
    """The stack of a thread as text, overlay's own frames left out."""
    from traceback import format_list, extract_stack

    frame = sys._current_frames().get(thread)
    if frame is None:
        return "the thread has ended"
    entries = [entry for entry in extract_stack(frame) if not entry.filename.startswith("<overlay>")]
    while entries and entries[0].filename.endswith("threading.py"):
        del entries[0]
    return "Stack (most recent call last):\n" + "".join(format_list(entries)).rstrip("\n")


class Pool:
    """Runs the requests of one worker process on a fixed number of threads."""

    def __init__(self, data_socket, application, requests, threads, window):
        self.socket = data_socket
        self.application = application
        self.requests = requests
        self.threads = threads
        self.window = window
        self.turn = Lock()
        self.right = deque()
        self.pending = deque()  # frames of requests that have been read; for the turn's holder
        self.exchanges = {}  # request number to Exchange
        self.descriptors = deque()  # those that have come and whose frames have not been read
        self.rest = b""  # the beginning of a frame that has not come whole
        self.out = []  # frames that are held back
        self.out_lock = Lock()
        self.started = 0  # requests that have been started
        self.fast = 0  # requests until answers may be held back again
        self.eager = 0  # requests until the turn is kept while the application runs
        self.memory = FORGET  # how many there will be when it waits the next time
        self.interrupting = Lock()  # held while RequestTimeout is raised or taken back
        self.interrupted = 0  # threads that are being interrupted
        self.scheduling = None  # of the thread that has the turn
        self.alarm = alarm()  # for the watch
        self.watching = True  # False: the watch sleeps until the alarm rings
        self.delay = 0  # which of DELAYS it is set to
        self.renew = 0.0  # when it has to be put off, by perf_counter
        self.clock = time() - perf_counter()  # makes seconds since the epoch of perf_counter
        self.arrived = 0.0  # when the frames in pending were read, since the epoch
        self.closed = False

    def use(self, application):
        """Calls this application from the next request on."""
        self.application = application

    def running(self):
        """The requests in flight: number and thread identifier of each."""
        return [(number, exchange.thread) for number, exchange in self.exchanges.copy().items()]

    def start(self):
        for number in range(1, self.threads + 1):
            Thread(target=self.serve, name="overlay-%d" % number, daemon=True).start()

    # -- a thread's life -----------------------------------------------------

    def serve(self):
        """Takes the turn again and again; returns when the server process is gone."""
        try:
            scheduling = Scheduling()
            while True:
                self.turn.acquire()
                self.scheduling = scheduling
                if not self.lead(scheduling):
                    return
        except OSError as error:
            if not self.closed:
                abandon("data socket: %s" % error)
        except BaseException:
            # A fault of this program. Going on with a thread less, or with the
            # turn lost, would be worse than a new worker process.
            from traceback import format_exc

            abandon(format_exc())

    def lead(self, scheduling):
        """Reads and runs requests until the turn is lost. Needs the turn.

        Returns False when there is nothing more to read, ever.
        """
        pending = self.pending
        right = self.right
        before = held = perf_counter()
        while True:
            if not pending:
                if self.out:
                    self.flush()
                while not pending:
                    if not self.read():
                        self.turn.release()
                        return False
                before = held = perf_counter()
                self.arrived = before + self.clock
            frame = pending.popleft()
            self.started += 1
            if self.eager:
                self.run_apart(frame)
                return True
            right.append(None)
            if before > self.renew:
                self.put_off(before)
            last = self.run(frame, self.arrived, before)
            try:
                right.pop()
            except IndexError:  # the watch has given the turn to another thread
                self.fast = FORGET
                self.send(last)
                return True
            self.memory = FORGET
            now = perf_counter()
            if now - before > HOLD and scheduling.own(now - before) > HOLD:
                self.fast = FORGET
            elif self.fast:
                self.fast -= 1
            before = now
            with self.out_lock:
                self.out.append(last)
            if self.fast or now - held > MAX_HELD:
                self.flush()
                held = now

    def run_apart(self, frame):
        """Runs a request of an application that waits: the turn goes first."""
        self.eager -= 1
        arrived, started = self.arrived, perf_counter()
        if self.pending:
            self.alarm.set[0]()  # there may be no other thread for them
        elif not self.out:
            self.alarm.set[-1]()
        self.renew = 0.0  # whoever runs a request with the turn sets it to its own time
        self.turn.release()
        self.send(self.run(frame, arrived, started))

    def run(self, frame, arrived, started):
        """Runs a request that was read at arrived, and is begun at started by perf_counter.

        Returns its last frame.
        """
        number, flags, names, values, body, received, queued = frame
        if flags & FLAG_DESCRIPTOR:
            stream = open_input(body)
        else:
            stream = BytesIO(body)
        exchange = Exchange(self, number, flags & FLAG_HEAD)
        exchange.thread = get_ident()
        try:
            self.exchanges[number] = exchange
            environ = self.requests.environ(names, values, stream, received, queued, arrived, started + self.clock)
            last = exchange.run(self.application, environ)
            # Whoever takes the exchange out decides: this thread, and the request
            # has ended, or the main thread, and it is being interrupted.
            if self.exchanges.pop(number, None) is None:
                self.survive()
        except RequestTimeout:
            last = exchange.fail()
            self.survive()
        if flags & FLAG_DESCRIPTOR:
            stream.close()
        return last

    # -- interrupting --------------------------------------------------------

    def interrupt(self, number):
        """Raises RequestTimeout in the thread of a request. For the main thread.

        Returns the stack of that thread, for the log.
        """
        with self.interrupting:
            exchange = self.exchanges.pop(number, None)
            if exchange is None:
                return "the request ended meanwhile"
            exchange.cancelled = True
            self.interrupted += 1
            text = stack_of(exchange.thread)
            exchange.late = True
            if exchange.guard.acquire(blocking=False):
                exchange.late = False
                raise_in(exchange.thread, RequestTimeout)
                exchange.guard.release()
        return text

    def survive(self):
        """Takes the exception of an interrupted request back when that is over.

        Until then it may be raised at any moment, here as well.
        """
        while True:
            try:
                with self.interrupting:  # it has been raised when this is free
                    raise_in(get_ident(), None)
                    self.interrupted -= 1
                return
            except RequestTimeout:
                pass

    # -- what an Exchange calls ----------------------------------------------

    def guarded(self, exchange, action, *arguments):
        """Does what other requests depend on; RequestTimeout comes before it or behind it."""
        with exchange.guard:
            checkpoint()
            action(*arguments)
        if exchange.late:
            with self.interrupting:
                late, exchange.late = exchange.late, False
            if late:
                raise RequestTimeout

    def glance(self, exchange):
        self.guarded(exchange, self.read_ahead)

    def put(self, exchange, frame, hold):
        self.guarded(exchange, self.keep_or_send, frame, hold)

    def put_descriptor(self, exchange, frame, descriptor):
        self.guarded(exchange, self.send_descriptor, frame, descriptor)

    def wait_for_window(self, exchange, size):
        self.guarded(exchange, self.await_window, exchange, size)

    # -- reading -------------------------------------------------------------

    def read(self, how=0):
        """Reads once and sorts the frames. Needs the turn. False at the end."""
        data, ancillary, flags, _ = self.socket.recvmsg(READ_SIZE, 128, how | CLOSE_ON_EXEC)
        if ancillary:
            self.keep_descriptors(ancillary, flags)
        if not data:
            return False
        if self.rest:
            data = self.rest + data
        start, end = 0, len(data)
        unpack = REQUEST_HEADER.unpack_from
        while end - start >= HEADER_SIZE:
            if end - start >= REQUEST_HEADER_SIZE:
                # The times mean nothing in a frame of another kind.
                length, number, kind, flags, names, head, received, queued = unpack(data, start)
            else:
                length, number, kind, flags, names, head = HEADER.unpack_from(data, start)
            start += HEADER_SIZE
            following = start + length
            if following > end:
                start -= HEADER_SIZE
                break
            if kind == REQUEST:
                start += REQUEST_HEADER_SIZE - HEADER_SIZE
                values = start + names
                body = values + head
                # The descriptor is taken here: a thread that runs a request may not have the turn.
                stream = self.descriptors.popleft() if flags & FLAG_DESCRIPTOR else data[body:following]
                self.pending.append((number, flags, data[start:values], data[values:body], stream, received, queued))
            else:
                self.steer(kind, number, data[start:following])
            start = following
        self.rest = data[start:] if start < end else b""
        return True

    def read_ahead(self):
        """Reads what has come, if nobody else would: it may be a CANCEL.

        Whoever has the turn reads, now or when the watch has given it on. With
        every thread in an application, nobody has it.
        """
        if not self.turn.acquire(blocking=False):
            return
        try:
            self.read(MSG_DONTWAIT)
        except BlockingIOError:
            pass
        finally:
            self.turn.release()
        self.ask_for_pending()

    def ask_for_pending(self):
        """Has the watch give back what a thread has read that cannot run it."""
        if self.pending:
            self.alarm.set[0]()

    def keep_descriptors(self, ancillary, flags):
        if flags & MSG_CTRUNC:
            raise ProtocolError("a descriptor was lost: too many open files?")
        for level, kind, data in ancillary:
            if level == SOL_SOCKET and kind == SCM_RIGHTS:
                numbers = array("i")
                numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
                self.descriptors.extend(numbers)

    def steer(self, kind, number, payload):
        """Takes in a frame about a request that is running."""
        exchange = self.exchanges.get(number)
        if kind == WINDOW:
            if exchange is not None:
                exchange.window += WORD.unpack(payload)[0]
        elif kind == CANCEL:
            if exchange is not None:
                exchange.cancelled = True
        else:
            raise ProtocolError("frame of unknown kind %d" % kind)
        if exchange is not None and exchange.ready is not None:
            try:
                exchange.ready.release()
            except RuntimeError:  # released already
                pass

    def await_window(self, exchange, size):
        """Waits until the server process takes size more bytes of a response.

        Somebody has to read the frame that says so. When every thread runs an
        application nobody has the turn, and the waiting thread takes it.
        """
        try:
            self.right.pop()
        except IndexError:
            pass
        else:
            self.turn.release()  # it was this thread's: it is about to wait
        if exchange.ready is None:
            exchange.ready = Lock()
            exchange.ready.acquire()
        self.flush()
        while exchange.window - exchange.sent < size and not exchange.cancelled:
            if self.turn.acquire(blocking=False):
                try:
                    # A request that has been read is for another thread, which waits for the turn.
                    more = True
                    if not self.pending:
                        more = self.read()
                        self.arrived = time()
                finally:
                    self.turn.release()
                if not more:
                    exchange.cancelled = True
                if not self.pending:
                    continue
                self.ask_for_pending()
            exchange.ready.acquire(timeout=0.005)

    # -- writing -------------------------------------------------------------

    def keep_or_send(self, frame, hold):
        """Sends a frame; keeps it for a moment if hold, or if all is quick."""
        with self.out_lock:
            self.out.append(frame)
        if hold or (self.right and not self.fast):
            if not self.right:  # else the alarm has been set for who has the turn
                self.alarm.set[self.delay]()
        else:
            self.flush()

    def put_off(self, now):
        """Sets the alarm: somebody has to look soon, unless it is put off again."""
        delay = self.delay
        self.renew = now + RENEW * DELAYS[delay]
        self.alarm.set[delay]()

    def send(self, frame):
        with self.out_lock:
            self.out.append(frame)
        self.flush()

    def flush(self):
        with self.out_lock:
            out = self.out
            if out:
                data = out[0] if len(out) == 1 else b"".join(out)
                out.clear()
                self.socket.sendall(data)

    def send_descriptor(self, frame, descriptor):
        """Sends a frame with a descriptor attached to its first byte."""
        self.flush()
        rights = [(SOL_SOCKET, SCM_RIGHTS, array("i", [descriptor]))]
        with self.out_lock:
            sent = self.socket.sendmsg([frame], rights)
            if sent < len(frame):
                self.socket.sendall(frame[sent:])

    # -- what the watch does ----------------------------------------------------

    def give_back(self):
        """Gives back the requests for which there is no thread.

        The server process hands more of them over than there are threads while
        the application is quick. Nobody has the turn when each thread is in an
        application that is not. Reports whether that is so, and more may come.
        """
        if len(self.exchanges) + self.interrupted < self.threads or not self.turn.acquire(blocking=False):
            return False  # somebody reads, or is about to
        more = True
        try:
            try:
                more = self.read(MSG_DONTWAIT)
            except BlockingIOError:
                pass
            while self.pending:
                number, flags, _, _, body, _, _ = self.pending.popleft()
                if flags & FLAG_DESCRIPTOR:
                    os.close(body)
                self.keep_or_send(HEADER.pack(0, number, GIVE_BACK, FLAG_END | FLAG_LAST, 0, 0), True)
        finally:
            self.turn.release()
        self.flush()
        return more

    def close(self):
        self.closed = True
        try:
            self.socket.shutdown(SHUT_RDWR)
        except OSError:
            pass
