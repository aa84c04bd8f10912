"""The WSGI application of the suite: one view for each thing a case needs.

Serve `suite:application`. The first part of PATH_INFO names the module below,
the second the view. A request without a path, or with a path that a case is
about, names its view in X-View instead.
"""

import os
import sys
from wsgiref.validate import validator

import environ_views
import failure_views
import file_views
import input_views
import iterable_views
import log_views
import process_views
import response_views
import start_views
import support

MODULES = {
    "environ": environ_views,
    "fail": failure_views,
    "file": file_views,
    "input": input_views,
    "iter": iterable_views,
    "log": log_views,
    "process": process_views,
    "response": response_views,
    "start": start_views,
}


def about(environ, start_response):
    """What the client needs to know of this server."""
    return support.answer_json(
        start_response,
        {
            "notes": support.NOTES,
            "pid": os.getpid(),
            "python": sys.version,
            "implementation": sys.implementation.name,
        },
    )


def dispatch(environ, start_response):
    path = environ.get("HTTP_X_VIEW") or environ.get("PATH_INFO", "")
    _, _, path = path.partition("/")
    module, _, view = path.partition("/")
    if module == "about":
        return about(environ, start_response)
    views = getattr(MODULES.get(module), "VIEWS", {})
    found = views.get(view.partition("/")[0]) or views.get("*")
    if found is None:
        body = b"no such view\n"
        start_response("404 Not Found", support.TEXT + [("Content-Length", str(len(body)))])
        return [body]
    return found(environ, start_response)


validated = validator(dispatch)


def application(environ, start_response, /):
    """dispatch, inside wsgiref.validate when the client asks for it.

    The names of the parameters are nobody's affair: no server may call it with keywords.
    """
    if "HTTP_X_VALIDATE" in environ:
        return validated(environ, start_response)
    return dispatch(environ, start_response)
