"""An application that tells what it was asked, and keeps a record.

The file named by the variable RECORD gets one line "METHOD PATH" for each
request that is executed. The response is a JSON object: method, path, query,
body (ISO-8859-1), and every HTTP_, CONTENT_ and REQUEST_ variable. Of the body of a
request for /.../part it reads three bytes, of one for /.../none nothing. /big?N answers
with N bytes.
"""

import json
import os

record = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def application(environ, start_response):
    line = "%s %s\n" % (environ["REQUEST_METHOD"], environ["PATH_INFO"])
    os.write(record, line.encode("latin-1"))
    if environ["PATH_INFO"] == "/big":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return [bytes(int(environ["QUERY_STRING"]))]
    seen = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
    }
    size = {"part": 3, "none": 0}.get(environ["PATH_INFO"].rpartition("/")[2], -1)
    seen["body"] = environ["wsgi.input"].read(size).decode("latin-1")
    for name, value in environ.items():
        if name.startswith(("HTTP_", "CONTENT_", "REQUEST_")):
            seen[name] = value
    body = json.dumps(seen).encode("ascii")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
