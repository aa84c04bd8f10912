"""An application with monitoring that was written for mod_wsgi."""

import json
import tempfile
import threading
import time

import mod_wsgi

events = []  # [name, fields] of each request event, in order
finished = threading.Condition()  # notified at each


@mod_wsgi.subscribe_events
def first(name, **event):
    if name == "request_started":
        event["request_data"]["seen"] = event["request_environ"]["PATH_INFO"]
        if event["request_environ"]["PATH_INFO"] == "/wrapped":
            return {"application_object": wrapped, "added": True}
    if name == "request_finished" and event["request_data"]["seen"] == "/bad-callback":
        raise ValueError("a callback that fails")


@mod_wsgi.subscribe_events
def second(name, **event):
    fields = {key: plain(value) for key, value in event.items()}
    with finished:
        events.append([name, fields])
        finished.notify_all()


@mod_wsgi.subscribe_signals
def signalled(name, **event):
    print("told of", name, json.dumps(event, sort_keys=True), flush=True)


@mod_wsgi.subscribe_shutdown
def stopping(name, **event):
    print("told of", name, event["shutdown_reason"], flush=True)


mod_wsgi.start_recording_metrics()


def plain(value):
    if isinstance(value, (str, int, float, bool, list, type(None))):
        return value
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key in ("seen", "PATH_INFO", "mine")}
    return type(value).__name__


def wrapped(environ, start_response):
    start_response("202 Accepted", [])
    return [b"wrapped"]


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/told"):
        return told(environ, start_response)
    return globals()["do" + path.replace("/", "_").replace("-", "_")](environ, start_response)


def told(environ, start_response):
    """Answers the events of the request for QUERY_STRING, when it has ended."""
    wanted = environ["QUERY_STRING"]
    deadline = time.monotonic() + 20

    def found():
        ids = {fields["request_id"] for _, fields in events if fields.get("request_data", {}).get("seen") == wanted}
        mine = [event for event in events if event[1].get("request_id") in ids]
        return mine if any(name == "request_finished" for name, _ in mine) else None

    with finished:
        while found() is None and time.monotonic() < deadline:
            finished.wait(1)
        body = json.dumps(found()).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]


def do_plain(environ, start_response):
    mod_wsgi.request_data()["mine"] = "from the application"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"12 ", b"bytes or so"]


def do_bad_callback(environ, start_response):
    start_response("200 OK", [])
    return [b"all the same"]


def do_post(environ, start_response):
    stream = environ["wsgi.input"]
    line = stream.readline()
    rest = stream.read()
    start_response("200 OK", [])
    return [line + rest]


def do_stream(environ, start_response):
    start_response("200 OK", [])
    yield b"one"
    yield b"two"


def do_write(environ, start_response):
    write = start_response("200 OK", [])
    write(b"written")
    return [b" and returned"]


def do_file(environ, start_response):
    file = tempfile.TemporaryFile()
    file.write(b"f" * 200000)
    file.seek(0)
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](file)


def do_fail(environ, start_response):
    raise KeyError("as it was meant to")


def do_hangs(environ, start_response):
    time.sleep(3)  # no exception gets there
    return do_plain(environ, start_response)


def do_fail_late(environ, start_response):
    start_response("200 OK", [])
    yield b"some"
    raise KeyError("in the middle")


def do_exc_info(environ, start_response):
    start_response("200 OK", [])
    try:
        raise KeyError("handled")
    except KeyError:
        import sys

        start_response("503 Later", [], sys.exc_info())
    return [b"sorry"]


def do_active(environ, start_response):
    request = mod_wsgi.request_data()
    same = [name for name, data in mod_wsgi.active_requests.items() if data is request]
    body = json.dumps({"same": len(same), "callbacks": len(mod_wsgi.event_callbacks)}).encode()
    start_response("200 OK", [])
    return [body]


def do_metrics(environ, start_response):
    answer = {
        "process": mod_wsgi.process_metrics(),
        "request": mod_wsgi.request_metrics(),
        "server": mod_wsgi.server_metrics(),
        "facts": [mod_wsgi.process_group, mod_wsgi.application_group, mod_wsgi.maximum_processes, mod_wsgi.threads_per_process],
        "types": [mod_wsgi.FileWrapper is environ["wsgi.file_wrapper"], mod_wsgi.RequestTimeout.__mro__[1].__name__],
    }
    body = json.dumps(answer).encode()
    start_response("200 OK", [])
    return [body]
