"""Embedded mode: the Python side of the C core in the server process.

The quick way of a request is in C (wsgi.c). One that leaves it goes on in an
Exchange, as in a worker process, and its frames go to Go by a function call.
"""

import os
import sys
import threading  # here, so that the thread that loads the application is the main thread
from io import BytesIO  # noqa: F401: for the C core

from _overlay import application, host, streams
from _overlay.bodies import open_input  # noqa: F401: for the C core
from _overlay.main import interpreter
from _overlay.native import running, send, send_file, use, warn
from _overlay.streams import end_lines, partial  # noqa: F401: for the C core
from _overlay.threads import stack_of
from _overlay.wsgi import ClientGone, Exchange, RequestTimeout, Requests, describe

app = None  # the application, once it is loaded
shape = None  # Requests.shape: field names to keys and template of an environ
_settings = None
_errors = None
_prepared = False


class Channel:
    """Stands in for the Pool of a worker process: where an Exchange sends to."""

    window = 1 << 62  # send waits, with the GIL free, when Go holds enough

    def glance(self, exchange):
        """There is nothing to read: put says when the client is gone."""

    def put(self, exchange, frame, hold):
        if not send(frame):
            raise ClientGone

    def put_descriptor(self, exchange, frame, descriptor):
        if not send_file(frame, descriptor):
            raise ClientGone


_channel = Channel()


def main(output_descriptor, error_descriptor, settings):
    """Sets up the process, up to loading the application."""
    global _settings, _errors
    _settings = settings
    sys.stdin = open(os.devnull, encoding="utf-8")
    sys.stdout = sys.__stdout__ = streams.LineStream(output_descriptor)
    sys.stderr = sys.__stderr__ = _errors = streams.LineStream(error_descriptor)
    streams.standard[:] = sys.stdout, sys.stderr
    refuse_signals()
    host.begin(settings).daemon = False


def load():
    """Loads the application. Returns what went wrong as text, or None."""
    global app, shape, _prepared
    try:
        if not _prepared:
            application.prepare(_settings)
            _prepared = True
        app, file = application.load(_settings)
    except application.LoadError as error:
        return str(error)
    except BaseException:
        return describe()
    values = dict(_settings["environ"])
    values.update(_settings["environment"])
    values.setdefault("SCRIPT_FILENAME", file)
    shape = Requests(values, _errors).shape
    host.this.attach(app, use, here)
    if host.this.observer is not None:  # it was asked for while the application was loaded
        app = host.this.observer
    return None


def here():
    """What the calling thread runs, as Pool.running tells it of all threads."""
    number = running()
    return [] if number < 0 else [(number, threading.get_ident())]


def about():
    return "\0".join(interpreter())


def make(number, is_head, head, declared):
    """Returns the Exchange of a request that leaves the quick way."""
    exchange = Exchange(_channel, number, is_head)
    exchange.head = head
    exchange.declared = declared
    return exchange


def complete(exchange, environ, result, error):
    """The rest of a request whose application has returned result, or raised error."""

    def again(environ, start_response):
        if error is not None:
            raise error
        return result

    try:
        last = exchange.run(again, environ)
    except RequestTimeout:  # raised in overlay's own code
        last = exchange.fail()
    send(last)


def refuse_signals():
    """Leaves the signals of the process to the server, whose they are.

    A handler of Python would take them from it, and would not run either: the
    main thread of Python executes nothing once the application is loaded.
    """
    import signal

    def refused(name, result):
        def refuse(number, *rest):
            caller = sys._getframe(1)
            place = "%s:%d" % (caller.f_code.co_filename, caller.f_lineno)
            warn("signal.%s(%r) at %s has no effect in embedded mode: signals are the server's" % (name, number, place))
            return result(number)

        return refuse

    signal.signal = refused("signal", signal.getsignal)
    signal.siginterrupt = refused("siginterrupt", lambda number: None)


def stop():
    """Runs the exit handlers, as a Python that ends does."""
    import atexit

    host.this.stopping("shutdown_signal")
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
