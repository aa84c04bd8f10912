"""The server that runs this application: overlay.

What the process is (version, process_group, maximum_processes,
threads_per_process), what it does (active_requests, process_metrics,
request_metrics), and callbacks for what happens (subscribe_events,
subscribe_shutdown). docs/python-api.md has the events and their fields.

Nothing here costs a request anything before it is used for the first time.
"""

from _overlay import host as _host
from _overlay.wsgi import RequestTimeout

__all__ = [
    "RequestTimeout",
    "active_requests",
    "maximum_processes",
    "process_group",
    "process_metrics",
    "request_data",
    "request_metrics",
    "subscribe_events",
    "subscribe_shutdown",
    "threads_per_process",
    "version",
]

_this = _host.this

version = _this.version
process_group = _this.process_group
maximum_processes = _this.processes
threads_per_process = _this.threads


def subscribe_events(callback):
    """Has callback(name, **fields) called for each event. Returns callback, so it is a decorator too.

    A dict that it returns is added to the fields for callbacks after it; an
    "application_object" in the answer to request_started is called instead of
    the application.
    """
    _this.observe().events.all.append(_check(callback))
    return callback


def subscribe_shutdown(callback):
    """Has callback("process_stopping", shutdown_reason=...) called before this process ends."""
    _this.subscribers().shutdown.append(_check(callback))
    return callback


def request_data():
    """Returns a dict that lives as long as the request that this thread runs.

    Callbacks get it as request_data. Outside of a request: RuntimeError.
    """
    return _this.observe().request_data()


def active_requests():
    """Returns the requests in flight in this process: request_id to a dict of what is known."""
    return _this.observe().active_requests()


def process_metrics():
    """Returns the figures of this process. Requests are counted from the first call of a metrics function on."""
    from _overlay.metrics import record

    return record(_this).process()


def request_metrics():
    """Returns the figures of the requests that ended since the last call, for one caller per process.

    The first call begins to record, and has nothing to tell yet.
    """
    from _overlay.metrics import record

    return record(_this).drain()


def _check(callback):
    if not callable(callback):
        raise TypeError("a callback must be callable, got %r" % (callback,))
    return callback
