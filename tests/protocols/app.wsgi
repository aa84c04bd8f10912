"""The applications of tests/apps, and what they were asked."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "apps"))

import faulty  # noqa: E402
import plain  # noqa: E402


def seen(environ, start_response):
    """/seen: what of environ comes from the client, and the body."""
    names = ["REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "CONTENT_TYPE", "CONTENT_LENGTH"]
    told = {name: environ.get(name) for name in names}
    told.update((name, value) for name, value in environ.items() if name.startswith("HTTP_") or name == "REMOTE_USER")
    told["body"] = environ["wsgi.input"].read().decode("latin-1")
    return plain.answer(start_response, told)


def secure(environ, start_response):
    """/secure: what the connection is."""
    names = ["SERVER_PROTOCOL", "wsgi.url_scheme", "HTTPS", "SSL_PROTOCOL", "SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN"]
    return plain.answer(start_response, {name: environ.get(name) for name in names})


def refuses(environ, start_response):
    """/refuses: answers without a look at the body."""
    start_response("403 Forbidden", plain.TEXT + [("Content-Length", "3")])
    return [b"no\n"]


def application(environ, start_response):
    own = {"/seen": seen, "/secure": secure, "/refuses": refuses}.get(environ["PATH_INFO"])
    if own:
        return own(environ, start_response)
    if environ["PATH_INFO"].startswith("/faulty/"):
        environ["PATH_INFO"] = environ["PATH_INFO"][len("/faulty"):]
        return faulty.application(environ, start_response)
    return plain.application(environ, start_response)
