"""An application that asks the server nothing until a request makes it."""

import json
import sys
import time


def application(environ, start_response):
    path = environ["PATH_INFO"]
    answer = globals()["get" + path.replace("/", "_")](environ)
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def get_loaded(environ):
    """Which parts of the worker program there are for this application."""
    return sorted(name for name in sys.modules if name.startswith("_overlay."))


def get_times(environ):
    times = {key: value for key, value in environ.items() if key.endswith("_start")}
    return {
        "now": time.time(),
        "times": times,
        "types": sorted({type(value).__name__ for value in times.values()}),
        "dict": type(environ) is dict,
    }


def get_facts(environ):
    import overlay

    return {
        "version": overlay.version,
        "process_group": overlay.process_group,
        "maximum_processes": overlay.maximum_processes,
        "threads_per_process": overlay.threads_per_process,
        "software": environ["SERVER_SOFTWARE"],
        "timeout": [c.__name__ for c in overlay.RequestTimeout.__mro__],
    }


def get_data(environ):
    """The request that asks first is one that nobody has watched."""
    import threading

    import overlay

    overlay.request_data()["key"] = "value"
    failure = []

    def outside():
        try:
            overlay.request_data()
        except RuntimeError as error:
            failure.append(str(error))

    thread = threading.Thread(target=outside)
    thread.start()
    thread.join()
    return {"data": overlay.request_data(), "outside": failure}


def get_active(environ):
    import overlay

    return {name: fields["thread_id"] for name, fields in overlay.active_requests().items()}


def get_metrics(environ):
    import overlay

    return overlay.process_metrics()


def get_window(environ):
    import overlay

    return overlay.request_metrics()


def get_mod_wsgi(environ):
    try:
        import mod_wsgi
    except ImportError as error:
        return str(error)
    return mod_wsgi.version


def get_help(environ):
    import inspect

    import overlay

    return {"doc": inspect.getdoc(overlay), "source": inspect.getsource(overlay.subscribe_events)}
