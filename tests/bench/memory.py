"""What a worker process costs beyond the same application in a plain python."""

import subprocess
import tempfile
from pathlib import Path

import install
import process
import rounds
import scenarios
import wrk
from servers import OVERLAY

WARM_SECONDS = 3  # under load before a worker is measured

# Imports the application as `python -c` would, says so, and stays.
PLAIN = "import sys, {module}; print('ready', flush=True); sys.stdin.read()"


def plain_python(application, virtual_env):
    """Memory of a python that has done nothing but import the application's module."""
    python = subprocess.Popen(
        [virtual_env / "bin" / "python", "-c", PLAIN.format(module=application.module)],
        cwd=application.directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if python.stdout.readline() != b"ready\n":
            raise process.ServerError(f"import {application.module}: python ended")
        return process.memory([python.pid])
    finally:
        python.communicate()


def workers(root):
    """Ids of the worker processes: the descendants that run Python."""
    return [pid for pid in root.tree()[1:] if "python" in Path(f"/proc/{pid}/exe").resolve().name]


def of_overlay(application, virtual_env, program):
    """Memory of overlay's largest worker process, idle after its start and after a load, and of its server process."""
    with tempfile.TemporaryDirectory(prefix="bench-") as parent:
        site = rounds.new_site(parent, 0, application=application, virtual_env=virtual_env, overlay=program)
        with rounds.running(OVERLAY, site) as (root,):
            scenario = scenarios.WSGI[0]
            answer = scenarios.verify(site, scenario)
            largest = lambda: max((process.memory([pid]) for pid in workers(root)), key=lambda sizes: sizes["Uss"])
            idle = largest()
            wrk.load(site.url, 64, WARM_SECONDS, scenario, answer, site.directory)
            return idle, largest(), process.memory([root.popen.pid])


def markdown(applications, virtual_env, program):
    """A table for the applications, given as pairs of label and Application."""
    lines = ["| application | process | RSS MiB | beyond plain python | USS MiB | beyond plain python |",
             "| --- | --- | ---: | ---: | ---: | ---: |"]
    for label, application in applications:
        plain = plain_python(application, virtual_env)
        idle, loaded, server = of_overlay(application, virtual_env, program)

        def row(name, sizes, compare=True):
            cells = []
            for kind in ("Rss", "Uss"):
                cells.append(f"{sizes[kind] / 2**20:.1f}")
                cells.append(f"{(sizes[kind] - plain[kind]) / 2**20:+.1f}" if compare else "")
            lines.append(f"| {label} | {name} | " + " | ".join(cells) + " |")

        row("plain python", plain, compare=False)
        row("worker, idle", idle)
        row("worker, after load", loaded)
        row("overlay's server process, after load", server, compare=False)
    return "\n".join(lines)
