"""The names that Apache's mod_wsgi 6 gives an application, for monitoring written for it.

Served by overlay: `import overlay` has the same under its own name.
"""

from _overlay import host as _host
from _overlay import metrics as _metrics
from _overlay.streams import FileWrapper  # noqa: F401
from _overlay.wsgi import RequestTimeout  # noqa: F401

_this = _host.this

version = (6, 0, 4)  # whose interface this is
process_group = _this.process_group if _this.daemon else ""
application_group = ""  # the main interpreter, "%{GLOBAL}"
maximum_processes = _this.processes
threads_per_process = _this.threads


def __getattr__(name):
    """The attributes that have to be watched for: the first look at one begins that (PEP 562)."""
    if name == "active_requests":
        return _this.observe().data
    if name == "event_callbacks":
        return _this.observe().events.all
    if name == "shutdown_callbacks":
        return _this.subscribers().shutdown
    if name == "signal_callbacks":
        return _this.subscribers().signals
    raise AttributeError("module 'mod_wsgi' has no attribute %r" % name)


def subscribe_events(callback):
    """Has callback(name, **event) called for each event."""
    _this.observe().events.all.append(_check(callback))
    return callback


def subscribe_shutdown(callback):
    """Has callback(name, **event) called for process_stopping."""
    _this.subscribers().shutdown.append(_check(callback))
    return callback


def subscribe_signals(callback):
    """Has callback(name, **event) called for process_signal: SIGHUP or SIGUSR2 to this process.

    Python takes signals in the main thread only, which loads the application.
    """
    _this.subscribers().subscribe_signal(_check(callback))
    return callback


def request_data():
    """Returns the scratch dict of the request that this thread runs; RuntimeError outside of one."""
    return _this.observe().request_data()


def start_recording_metrics():
    """Begins to record for request_metrics and process_metrics."""
    _metrics.record(_this)


def request_metrics():
    """Returns the figures since the last call, or None before start_recording_metrics."""
    recorder = _recorder()
    return None if recorder is None else recorder.drain()


def process_metrics():
    """Returns the figures of this process, or None before start_recording_metrics."""
    recorder = _recorder()
    return None if recorder is None else recorder.process()


def server_metrics():
    """Returns None, as mod_wsgi does where the scoreboard is switched off: there is none here."""
    return None


def _recorder():
    return None if _this.observer is None else _this.observer.recorder


def _check(callback):
    if not callable(callback):
        raise TypeError("a callback must be callable, got %r" % (callback,))
    return callback
