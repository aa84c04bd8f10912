"""The Flask example inside wsgiref.validate: what a framework does, held to PEP 3333.

Run it with --python-path examples/flask.
"""

from wsgiref.validate import validator

from app import app


def sized(application):
    """Let Werkzeug read wsgi.input by size, up to Content-Length.

    Told that the stream ends by itself, it calls read() without a size, which
    PEP 3333 allows and wsgiref.validate does not.
    """

    def wrapped(environ, start_response):
        environ.pop("wsgi.input_terminated", None)
        return application(environ, start_response)

    return wrapped


validated = validator(sized(app))
