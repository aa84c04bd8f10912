"""An application that records which process began which request.

/work?id=N&seconds=S appends the line "N PID" to the file named by the variable
RECORD, waits S seconds, and answers {"id": N, "pid": PID}. What the file and the
client's account say together shows which requests a dead process held, and
that none was handed to two.
"""

import json
import os
import time
from urllib.parse import parse_qs

record = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    number = query["id"][0]
    os.write(record, b"%s %d\n" % (number.encode("ascii"), os.getpid()))
    time.sleep(float(query.get("seconds", ["0"])[0]))
    body = json.dumps({"id": number, "pid": os.getpid()}).encode("ascii")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
