"""Views that show what is in the environ (PEP 3333, environ Variables)."""

import sys
from urllib.parse import quote

import support


def show(environ, start_response):
    """Every key, with the name of the type of its value, and the value if JSON has one for it."""
    keys = {}
    strange = [repr(key) for key in environ if type(key) is not str]
    for key, value in environ.items():
        entry = {"type": type(value).__name__, "builtin": type(value).__module__ == "builtins"}
        if type(value) in (str, bool, int):
            entry["value"] = value
        elif type(value) is tuple:
            entry["value"] = list(value)
        keys[str(key)] = entry
    stream, errors = environ["wsgi.input"], environ["wsgi.errors"]
    return support.answer_json(
        start_response,
        {
            "exactDict": type(environ) is dict,
            "strangeKeys": strange,
            "keys": keys,
            "inputMethods": [name for name in ("read", "readline", "readlines", "__iter__") if hasattr(stream, name)],
            "errorMethods": [name for name in ("flush", "write", "writelines") if hasattr(errors, name)],
            "fileWrapperCallable": callable(environ.get("wsgi.file_wrapper")),
            "url": reconstruct(environ),
            "bigByteOrder": sys.byteorder,
        },
    )


def reconstruct(environ):
    """PEP 3333, URL Reconstruction. Latin-1, since the strings are bytes in disguise."""
    url = environ["wsgi.url_scheme"] + "://"
    if environ.get("HTTP_HOST"):
        url += environ["HTTP_HOST"]
    else:
        url += environ["SERVER_NAME"]
        default = "443" if environ["wsgi.url_scheme"] == "https" else "80"
        if environ["SERVER_PORT"] != default:
            url += ":" + environ["SERVER_PORT"]
    url += quote(environ.get("SCRIPT_NAME", ""), encoding="latin-1")
    url += quote(environ.get("PATH_INFO", ""), encoding="latin-1")
    if environ.get("QUERY_STRING"):
        url += "?" + environ["QUERY_STRING"]
    return url


def spoil(environ, start_response):
    """Changes the environ in every way: PEP 3333 lets the application do that."""
    environ["conformance.leak"] = "leaked"
    environ["HTTP_X_LEAK"] = "leaked"
    environ["wsgi.version"] = (9, 9)
    environ["SERVER_NAME"] = "leaked"
    for key in list(environ):
        if key.startswith("REQUEST_"):
            del environ[key]
    result = support.answer_text(start_response, "spoilt\n")
    if support.query(environ, "clear"):
        environ.clear()
    return result


def take_apart(environ, start_response):
    """Replaces the streams, as middleware does."""
    environ["wsgi.input"] = None
    environ["wsgi.errors"] = None
    return support.answer_text(start_response, "taken apart\n")


VIEWS = {"*": show, "spoil": spoil, "streams": take_apart}
