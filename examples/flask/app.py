"""A guest book in Flask: a form, a JSON endpoint, an upload and a streamed response.

Entries live in the memory of one worker process, so run it with --processes 1
(the default), or see some of the entries some of the time.
"""

import hashlib
import threading
import time

from flask import Flask, Response, abort, jsonify, redirect, render_template, request, url_for

app = Flask(__name__)

# Names and texts, newest last; never more than MAX_ENTRIES of them.
MAX_ENTRIES = 100
entries = []
lock = threading.Lock()  # guards entries: overlay runs several threads per process


@app.get("/")
def index():
    with lock:
        return render_template("index.html", entries=list(reversed(entries)))


@app.post("/entries")
def add_entry():
    name = request.form.get("name", "").strip()[:80]
    text = request.form.get("text", "").strip()[:500]
    if not name or not text:
        abort(400, "an entry needs a name and a text")
    with lock:
        entries.append({"name": name, "text": text})
        del entries[:-MAX_ENTRIES]
    return redirect(url_for("index"), code=303)


@app.get("/api/entries")
def list_entries():
    with lock:
        return jsonify(entries=list(entries))


@app.post("/api/entries")
def add_entry_as_json():
    entry = request.get_json()
    if not isinstance(entry, dict) or not all(isinstance(entry.get(k), str) for k in ("name", "text")):
        abort(400, "want an object with the strings name and text")
    with lock:
        entries.append({"name": entry["name"][:80], "text": entry["text"][:500]})
        del entries[:-MAX_ENTRIES]
    return jsonify(count=len(entries)), 201


@app.post("/upload")
def upload():
    """Tell length and SHA-256 of the file sent in the field named file."""
    file = request.files.get("file")
    if file is None:
        abort(400, "want a multipart form with a file in the field file")
    digest = hashlib.sha256()
    length = 0
    for chunk in iter(lambda: file.stream.read(64 * 1024), b""):
        digest.update(chunk)
        length += len(chunk)
    return jsonify(name=file.filename, length=length, sha256=digest.hexdigest())


@app.get("/countdown/<int:start>")
def countdown(start):
    """Send one line at a time; a browser or `curl -N` shows each as it comes."""
    pause = min(request.args.get("pause", 0.5, type=float), 5)

    def lines():
        for number in range(min(start, 1000), -1, -1):
            yield "%d\n" % number
            if number:
                time.sleep(pause)

    return Response(lines(), mimetype="text/plain")
