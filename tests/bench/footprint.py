"""What overlay needs beside CPU time: memory under churn and per connection, system calls, time to start.

These have bounds of their own (issue 3), not a comparison with other servers.
"""

import os
import random
import re
import signal
import socket
import ssl
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import install
import process
import rounds
import scenarios
import wrk
from servers import OVERLAY, new_certificate

KIB, MIB = 1024, 1024 * 1024
CACHE_MIB = 64
CHURN_FILES = 10_000
CHURN_SECONDS = 20
CONNECTIONS = 2000
FIRST_CONNECTIONS = 300
TRACE_SECONDS = 2
STARTS = 20
SETTLE_SECONDS = 3


@dataclass(frozen=True)
class Figure:
    what: str
    measured: float
    bound: float
    unit: str


def overlay_server(parent, program, *options, **kinds):
    """Site of an overlay with further options, and the context that runs it."""
    site = rounds.new_site(parent, len(os.listdir(parent)), overlay=program, **kinds)

    def commands(site):
        (command,) = OVERLAY.commands(site)
        command.words[1:1] = options
        return [command]

    return site, rounds.running(type(OVERLAY)(OVERLAY.name, OVERLAY.programs, commands), site)


def status_bytes(pid, key):
    """VmRSS or VmHWM (the most that VmRSS ever was) of a process, in bytes."""
    found = re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found.group(1)) * KIB


def churn(parent, program, codings=("identity",)):
    """The most memory of a server whose cache is much smaller than what is asked for."""
    generator = random.Random(20240229)
    root = Path(parent, "churn")
    script = next(install.virtual_environment().glob("lib/*/site-packages/django/contrib/admin/static/**/jquery.js")).read_bytes()
    names = []
    for number in range(CHURN_FILES):
        size, start = generator.randint(512, 48 * KIB), generator.randrange(len(script) - 48 * KIB)
        name = f"{number // 100:02}/{number % 100:02}.js"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(script[start : start + size])
        os.utime(root / name, (time.time() - 3600,) * 2)
        names.append("/" + name)
    site, server = overlay_server(parent, program, "--cache-size", f"{CACHE_MIB}M", document_root=root)
    scenario = scenarios.Scenario("churn", path=names[0], paths=tuple(names), codings=codings)
    with server as (running,):
        summary = wrk.load(site.url, 64, CHURN_SECONDS, scenario, scenarios.Answer({}, 0), site.directory)
        if summary["status"]:
            raise process.ServerError(f"churn: {summary['status']} error responses")
        return status_bytes(running.popen.pid, "VmHWM") / MIB


def each(server, open_one):
    """KiB of memory per connection: open_one(site) makes one, of CONNECTIONS."""
    site, context = server
    with context as (running,), socket_list() as sockets:
        pid = running.popen.pid
        for _ in range(FIRST_CONNECTIONS):  # what the first connections need once is not counted
            sockets.append(open_one(site))
        time.sleep(SETTLE_SECONDS)
        before = status_bytes(pid, "VmRSS")
        for _ in range(CONNECTIONS):
            sockets.append(open_one(site))
        time.sleep(SETTLE_SECONDS)
        return (status_bytes(pid, "VmRSS") - before) / CONNECTIONS / KIB


class socket_list(list):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self:
            one.close()


def idle(site):
    """A kept connection that has had one answer."""
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    if site.certificate:
        connection = ssl.create_default_context(cafile=site.certificate.chain).wrap_socket(connection, server_hostname="localhost")
    connection.sendall(b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\nhello\n"):
        received = connection.recv(4096)
        if not received:
            raise process.ServerError(f"idle connection: closed after {answer!r}")
        answer += received
    return connection


def slow_post(site):
    """A POST of which one KiB of many has come."""
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    connection.sendall(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n" + KIB * b"x")
    return connection


def first_byte(parent, program, root):
    """Milliseconds from the start of the process to the first byte of a file: the median."""
    took = []
    words = [program or install.build("./cmd/overlay"), "--host", "127.0.0.1", "--document-root", root, "--port"]
    for _ in range(STARTS):
        port = process.free_port()
        started = time.monotonic()
        running = subprocess.Popen([*words, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                        connection.sendall(b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        if connection.recv(1):
                            took.append(time.monotonic() - started)
                            break
                except ConnectionRefusedError:
                    time.sleep(0.0005)
                if time.monotonic() - started > 5:
                    raise process.ServerError("start: no byte within 5 s")
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(process.STOP_SECONDS)
    return 1000 * statistics.median(took)


def system_calls(parent, program, root, connections):
    """System calls for one request of a hot small file, and how many of each kind.

    nanosleep is not counted: it comes from the one thread of Go's runtime that looks after
    the others by the clock, whatever the requests.
    """
    site, server = overlay_server(parent, program, document_root=root)
    scenario = scenarios.Scenario("system calls", path="/hello.txt", answer=b"hello\n")
    with server as (running,):
        answer = scenarios.verify(site, scenario)
        summary = site.directory / "strace"
        tracer = subprocess.Popen([install.find("strace"), "-f", "-c", "-U", "calls,name", "-o", summary, "-p", str(running.popen.pid)],
                                  stderr=subprocess.PIPE, text=True)
        try:
            tracer.stderr.readline()  # says that it is attached
            requests = wrk.load(site.url, connections, TRACE_SECONDS, scenario, answer, site.directory)["requests"]
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(10)
    kinds = {name: int(calls) for calls, name in re.findall(r"^ *(\d+) (\w+)$", summary.read_text(), re.MULTILINE)
             if name not in ("total", "nanosleep")}
    return (sum(kinds.values()) / requests,
            ", ".join(f"{name} {calls / requests:.2f}" for name, calls in kinds.items() if calls > requests / 100))


def figures(program, application, virtual_env):
    with tempfile.TemporaryDirectory(prefix="bench-") as parent:
        Path(parent).chmod(0o755)
        root = Path(parent, "htdocs")
        root.mkdir()
        (root / "hello.txt").write_text("hello\n")
        os.utime(root / "hello.txt", (time.time() - 3600,) * 2)
        churned = f"resident memory under churn, --cache-size {CACHE_MIB}M"
        yield Figure(churned, churn(parent, program), CACHE_MIB + 40, "MiB")
        yield Figure(churned + ", every coding", churn(parent, program, ("gzip", "br", "zstd", "identity")), CACHE_MIB + 40, "MiB")
        yield Figure("idle connection", each(overlay_server(parent, program, document_root=root), idle), 16, "KiB")
        yield Figure("idle connection over TLS", each(overlay_server(parent, program, document_root=root, certificate=new_certificate(parent)), idle),
                     16, "KiB")
        yield Figure("slow POST", each(overlay_server(parent, program, application=application, virtual_env=virtual_env),
                                       slow_post), 32, "KiB")
        yield Figure("start to first byte", first_byte(parent, program, root), 30, "ms")
        if install.find("strace"):
            for connections in (8, 64):
                calls, kinds = system_calls(parent, program, root, connections)
                yield Figure(f"system calls of a hot small file, {connections} connections ({kinds})", calls, 3, "")


def markdown(program, application, virtual_env):
    lines = ["| what | measured | at most |", "| --- | ---: | ---: |"]
    for figure in figures(program, application, virtual_env):
        unit = " " + figure.unit if figure.unit else ""
        line = f"| {figure.what} | {figure.measured:.1f}{unit} | {figure.bound}{unit} |"
        rounds.say(line)
        lines.append(line)
    return "\n".join(lines)
