"""The smallest application worth looking at: one page, a few facts of the request.

A WSGI script file is Python source with a callable named application in it
(PEP 3333). It needs nothing but the standard library.
"""

import html
import platform
import sys

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Hello from overlay</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }}
  td {{ padding: .2rem 1rem .2rem 0; vertical-align: top; }}
  td:first-child {{ color: #667; white-space: nowrap; }}
  code {{ overflow-wrap: anywhere; }}
</style>
<h1>Hello from Python</h1>
<p>No file of the document root has this name, so the request fell through
to <code>application</code> in {script}.</p>
<table>
{rows}
</table>
</html>
"""

# What is worth showing to somebody who tries overlay for the first time.
KEYS = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "SERVER_PROTOCOL",
    "REMOTE_ADDR",
    "HTTP_USER_AGENT",
    "wsgi.url_scheme",
    "wsgi.multithread",
    "wsgi.multiprocess",
)


def readable(text):
    """Text of an environ value: WSGI carries bytes as ISO-8859-1 (PEP 3333, Unicode Issues)."""
    return text.encode("iso-8859-1").decode("utf-8", "replace")


def application(environ, start_response):
    facts = [("Python", "%s %s" % (platform.python_implementation(), platform.python_version()))]
    facts.append(("interpreter", sys.executable or "unknown"))
    for key in KEYS:
        if key in environ:
            value = environ[key]
            facts.append((key, readable(value) if isinstance(value, str) else str(value)))

    rows = "\n".join(
        "<tr><td>%s</td><td><code>%s</code></td></tr>" % (html.escape(name), html.escape(value))
        for name, value in facts
    )
    body = PAGE.format(script=html.escape(__file__), rows=rows).encode("utf-8")
    start_response(
        "200 OK",
        [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ],
    )
    # A body for HEAD is the server's to drop (PEP 3333), so there is no case for it.
    return [body]
