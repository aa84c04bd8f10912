"""The worker program: sets the process up, loads the application, serves."""

import os
import sys
from _socket import AF_UNIX, SOCK_STREAM, socket

from _overlay import application, host, streams
from _overlay.frames import (
    ALIVE,
    ASK_FILES,
    FAILED,
    FILES,
    FLAG_LAST,
    HEADER,
    HEADER_SIZE,
    INTERRUPT,
    LEAVING,
    PING,
    READY,
    STACK,
    STOP,
    encode_text,
    split_names,
)
from _overlay.threads import Pool
from _overlay.watch import Watch
from _overlay.wsgi import Requests, describe


class Control:
    """The socket on which the server process gives orders."""

    def __init__(self, descriptor):
        self.socket = socket(AF_UNIX, SOCK_STREAM, 0, descriptor)
        self.rest = b""
        self.files = application.Files()
        self.pool = None  # whose requests it may be told to interrupt
        self.reason = ""  # why this process is to end
        self.closed = False  # True in a child that was forked, as in Pool

    def send(self, kind, text):
        self.send_bytes(kind, 0, encode_text(text))

    def send_bytes(self, kind, flags, data):
        try:
            self.socket.sendall(HEADER.pack(len(data), 0, kind, flags, 0, 0) + data)
        except OSError:
            pass  # the server process is gone; reading says so, too

    def send_files(self, names):
        pieces = split_names(names)
        for piece in pieces:
            self.send_bytes(FILES, FLAG_LAST if piece is pieces[-1] else 0, piece)

    def on_readable(self):
        """Carries out what has come. Returns False when this process is to end."""
        try:
            data = self.socket.recv(4096)
        except OSError:
            data = b""
        if not data:
            return False
        data = self.rest + data
        while len(data) >= HEADER_SIZE:
            length, number, kind, _, _, _ = HEADER.unpack_from(data)
            if len(data) < HEADER_SIZE + length:
                break
            payload = data[HEADER_SIZE : HEADER_SIZE + length]
            data = data[HEADER_SIZE + length :]
            if kind == STOP:
                self.reason = payload.decode("utf-8", "replace")
                return False
            if kind == PING:
                self.send(ALIVE, "")
            elif kind == ASK_FILES:
                self.send_files(self.files.new())
            elif kind == INTERRUPT and self.pool is not None:
                self.send(STACK, self.pool.interrupt(number))
        self.rest = data
        return True


def main(control_descriptor, data_descriptor, settings):
    """Runs the worker program. The caller exits with its result."""
    control = Control(control_descriptor)
    errors = streams.install()
    process = host.begin(settings)
    enable_faulthandler()
    leave = leave_on_signals(control)
    try:
        application.prepare(settings)
        app, file = application.load(settings)
    except application.LoadError as error:
        control.send(FAILED, str(error))
        return 3
    except BaseException:
        control.send(FAILED, describe())
        return 3
    base = dict(settings["environ"])
    base.update(settings["environment"])
    base.setdefault("SCRIPT_FILENAME", file)
    data_socket = socket(AF_UNIX, SOCK_STREAM, 0, data_descriptor)
    data_socket.settimeout(None)  # the application may have set a default
    pool = Pool(data_socket, app, Requests(base, errors), settings["threads"], settings["window"])
    control.pool = pool
    process.attach(app, pool.use, pool.running)
    let_go = keep_from_children(control, pool)
    pool.start()
    control.send(READY, "\0".join(interpreter()))
    Watch(pool).keep(control_descriptor, control.on_readable)
    process.stopping(control.reason)
    run_sigterm_handler(leave)
    pool.close()
    let_go()
    control.socket.close()
    # The descriptor stays open until the process ends: its number must not become that of
    # another file while a thread is about to read.
    data_socket.detach()
    sys.stdout.flush()
    sys.stderr.flush()
    return 0


def interpreter():
    """What pybridge.Interpreter tells about this process."""
    from platform import python_implementation

    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    version = "%d.%d.%d" % sys.version_info[:3]
    return [python_implementation(), version, sys.executable or "", sys.prefix, "gil" if gil else "free-threaded"]


def keep_from_children(control, pool):
    """Keeps the sockets from what the application starts or forks.

    A child that held them would hide the end of this process from the server
    process; one that went on as if it were this process would answer requests
    a second time.

    Returns what lets go of both. Python keeps the function to the very end of the
    process, and with it whatever can be reached from there, the application too. A
    finalizer that runs so late and has to warn of an open socket crashes Python 3.9.
    """
    holders = [control, pool]

    def close():
        for each in holders:
            each.closed = True
            each.socket.close()

    for each in holders:
        os.set_inheritable(each.socket.fileno(), False)
    os.register_at_fork(after_in_child=close)
    return holders.clear


def enable_faulthandler():
    """A crash in C leaves the Python stack of each thread in the log."""
    try:
        import faulthandler

        faulthandler.enable(2)
    except (ImportError, RuntimeError, ValueError):
        pass  # PyPy builds without it


def leave_on_signals(control):
    """A signal to one worker process replaces it; no request is lost by that. Returns the handler."""
    import signal

    def leave(number, frame):
        host.this.reason = "graceful_signal" if number == signal.SIGUSR1 else "shutdown_signal"
        control.send(LEAVING, signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, leave)
    return leave


def run_sigterm_handler(leave):
    """Calls the handler that the application has set for SIGTERM in the place of leave.

    Elsewhere that signal is how a server process is told to go, and libraries clean
    up there. The order of the server process comes without a signal.
    """
    import signal

    handler = signal.getsignal(signal.SIGTERM)
    if handler is leave or not callable(handler):
        return
    try:
        handler(signal.SIGTERM, sys._getframe())
    except (SystemExit, KeyboardInterrupt):
        pass  # as it is meant: this process ends
    except BaseException:
        sys.stderr.write(describe() + "\n")
