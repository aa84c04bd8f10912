"""Side-by-side benchmarks: python3 tests/bench --help, and docs/benchmarks.md."""

import argparse
import contextlib
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import install
import footprint
import memory
import report
import rounds
import scenarios
import static_servers
import wsgi_servers
from servers import Application, new_certificate

APPS = Path(__file__).resolve().parent / "apps"
HELLO = Application("hello", APPS / "hello.py", APPS)
DJANGO = Application("benchsite.wsgi", APPS / "benchsite" / "wsgi.py", APPS)


def main():
    parser = argparse.ArgumentParser(prog="python3 tests/bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="install the peers: Debian's packages (as root) and a virtual environment")
    commands.add_parser("install-caddy", help="build Caddy from the Go module proxy; takes some minutes")
    for name, what in (("wsgi", "a 12-byte application, one that sleeps, an echo"), ("django", "a plain Django view"),
                       ("static", "files under a document root")):
        command = commands.add_parser(name, help=what)
        command.add_argument("--rounds", type=int, default=5)
        command.add_argument("--seconds", type=int, default=3, help="of each run (default 3)")
        command.add_argument("--connections", default="8,64", help="comma-separated (default 8,64)")
        command.add_argument("--server", action="append", metavar="TEXT", help="only servers whose name contains TEXT; repeatable")
        command.add_argument("--without", action="append", metavar="TEXT", help="no server whose name contains TEXT; repeatable")
        command.add_argument("--scenario", action="append", metavar="TEXT", help="only scenarios whose name contains TEXT; repeatable")
        command.add_argument("--attempts", type=int, default=4, help="repeat a run that others disturbed, up to so many (default 4)")
        command.add_argument("--patience", type=float, default=20, help="longest wait for a quiet machine before a run, in seconds (default 20)")
        add_overlay(command)
        if name == "static":
            command.add_argument("--tls", action="store_true", help="every server with TLS, the same certificate, and kept connections")
        command.add_argument("--json", type=Path, help="file for every single run (default: below .cache/bench)")
    command = commands.add_parser("memory", help="a worker process beside a plain python with the same application")
    add_overlay(command)
    command = commands.add_parser("footprint", help="memory of files and connections, system calls, start, each beside its bound")
    add_overlay(command)
    commands.add_parser("report", help="the tables of an earlier run").add_argument("json", type=Path)
    arguments = parser.parse_args()
    for ending in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C does, end the servers on the way out
        signal.signal(ending, lambda number, frame: sys.exit(128 + number))

    if arguments.command == "install":
        install.install()
    elif arguments.command == "install-caddy":
        install.install_caddy()
    elif arguments.command == "report":
        print(report.markdown(json.loads(arguments.json.read_text())))
    elif arguments.command == "memory":
        virtual_env = install.virtual_environment()
        print(memory.markdown([("12 bytes", HELLO), ("Django", DJANGO)], virtual_env, arguments.overlay))
    elif arguments.command == "footprint":
        print(footprint.markdown(arguments.overlay, HELLO, install.virtual_environment()))
    else:
        benchmark(arguments)


def add_overlay(command):
    command.add_argument("--overlay", type=lambda text: Path(text).resolve(strict=True), metavar="PROGRAM",
                         help="measure this program instead of a build of the working tree")


def benchmark(arguments):
    virtual_env = install.virtual_environment()
    plan = rounds.Plan(arguments.rounds, arguments.seconds, tuple(int(n) for n in arguments.connections.split(",")),
                       arguments.attempts, arguments.patience)
    with tempfile.TemporaryDirectory(prefix="bench-htdocs-") as document_root, contextlib.ExitStack() as stack:
        Path(document_root).chmod(0o755)
        if arguments.command == "static":
            servers, references = static_servers.SERVERS, ["fixed", "nginx", "lighttpd"]
            asked = scenarios.static(document_root, arguments.tls)
            what = {"document_root": Path(document_root), "fixed_size": scenarios.KIB,
                    "certificate": stack.enter_context(certificate()) if arguments.tls else None}
        else:
            servers, references = wsgi_servers.SERVERS, ["fixed", wsgi_servers.MOD_WSGI_DAEMON.name]
            asked = scenarios.WSGI if arguments.command == "wsgi" else scenarios.DJANGO
            what = {"virtual_env": virtual_env, "application": HELLO if arguments.command == "wsgi" else DJANGO}
        what["overlay"] = arguments.overlay
        servers = [server for server in chosen(servers, arguments.server)
                   if not any(text in server.name for text in arguments.without or [])]
        asked = chosen(asked, arguments.scenario)
        present = [server for server in servers if not server.missing()]
        document = {
            "date": datetime.date.today().isoformat(),
            "commit": subprocess.run(["git", "describe", "--always", "--dirty"], cwd=install.REPOSITORY,
                                     stdout=subprocess.PIPE, text=True, check=False).stdout.strip(),
            "machine": machine(),
            "versions": [],
            "plan": {"rounds": plan.rounds, "seconds": plan.seconds},
            "references": references,
            "left_out": [f"{server.name}: not installed ({', '.join(server.missing())})"
                         for server in servers if server.missing()],
            "runs": [],
        }
        output = arguments.json or install.CACHE / f"{arguments.command}-{datetime.datetime.now():%Y%m%d-%H%M%S}.json"

        def record(run):
            document["runs"].append(run)
            output.write_text(json.dumps(document, indent=1))  # each time: an interrupted benchmark keeps what it has

        rounds.run(present, asked, plan, lambda parent, number: rounds.new_site(parent, number, **what), record)
        measured = {run["server"] for run in document["runs"] if "failed" not in run}
        document["versions"] = list(dict.fromkeys(filter(None, (server.version() for server in present if server.name in measured))))
        output.write_text(json.dumps(document, indent=1))
    print(report.markdown(document))
    rounds.say(f"every single run is in {output}")


@contextlib.contextmanager
def certificate():
    with tempfile.TemporaryDirectory(prefix="bench-tls-") as directory:
        yield new_certificate(directory)


def chosen(things, texts):
    found = [thing for thing in things if not texts or any(text in thing.name for text in texts)]
    if not found:
        sys.exit(f"bench: no name contains {' or '.join(texts)}: want one of " + ", ".join(thing.name for thing in things))
    return found


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        names = [line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")]
    return {"cores": os.cpu_count(), "processor": names[0] if names else platform.machine(), "kernel": platform.release()}


main()
