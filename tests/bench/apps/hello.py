"""The WSGI application of the benchmarks: one small view for each scenario."""

import time


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    return [b"Hello world\n"]


def sleep(environ, start_response):
    """Wait as for a database: ten milliseconds, without the GIL."""
    time.sleep(0.010)
    return hello(environ, start_response)


def echo(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]


VIEWS = {"/": hello, "/sleep": sleep, "/echo": echo}


def application(environ, start_response):
    return VIEWS[environ["PATH_INFO"]](environ, start_response)
