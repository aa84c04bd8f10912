"""What a server is to the benchmark, and the two that every table starts from.

Each server is a small descriptor: a name, the programs that it needs, and a function
that writes its configuration into a temporary directory and returns its commands. All
run in the foreground on 127.0.0.1, without an access log.
"""

import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

import install

# As root, nginx, lighttpd and Apache want an account to change to; as anybody else
# they keep the one they have.
AS_ROOT = os.geteuid() == 0
ACCOUNT, GROUP = "www-data", "www-data"


@dataclass(frozen=True)
class Application:
    """A WSGI application, under each of the names that servers ask for."""

    module: str  # callable `application` in this module
    script: Path  # the file of that module
    directory: Path  # to be put on sys.path


@dataclass(frozen=True)
class Site:
    """What one server is to serve, and where."""

    directory: Path  # configuration, sockets and logs of this server alone
    port: int
    virtual_env: Optional[Path] = None
    application: Optional[Application] = None
    document_root: Optional[Path] = None
    fixed_size: int = 12  # bytes in the response of the fixed server
    overlay: Optional[Path] = None  # program to measure; None builds the one of this working tree

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Command:
    words: list
    environment: dict = field(default_factory=dict)
    stop_signal: int = signal.SIGTERM


@dataclass(frozen=True)
class Server:
    name: str
    programs: tuple  # installed programs without which the server is left out
    commands: Callable[[Site], list]  # writes the configuration, returns the commands in the order of their start
    version: Callable[[], str] = lambda: ""
    slots: int = 10  # requests that may be in the application at the same time; 0 if it has none

    def missing(self):
        return [program for program in self.programs if not install.find(program)]


def output_of(*words):
    """First line that a command prints, for the list of versions."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return (done.stdout.strip().splitlines() or [""])[0]


def fixed(site):
    return [Command([install.build("./tests/bench/fixed"), "-address", f"127.0.0.1:{site.port}",
                     "-size", str(site.fixed_size)])]


def overlay(site):
    """Daemon mode. Files first, the application beneath; either may be absent."""
    words = [site.overlay or install.build("./cmd/overlay"), "--host", "127.0.0.1", "--port", str(site.port)]
    if site.document_root:
        words += ["--document-root", site.document_root]
    if site.application:
        words += ["--processes", "2", "--threads", "5", *python_options(site)]
    return [Command(words)]


def overlay_embedded(site):
    """The interpreter inside the server process, of which there is one."""
    return [Command([site.overlay or install.build("./cmd/overlay", cgo=True), "--host", "127.0.0.1",
                     "--port", str(site.port), "--embedded-mode", "--threads", "10", *python_options(site)])]


def python_options(site):
    return ["--python", site.virtual_env / "bin" / "python",
            "--python-path", site.application.directory, site.application.script]


FIXED = Server("fixed", ("go",), fixed, lambda: output_of("go", "version"), slots=0)
OVERLAY = Server("overlay", ("go",), overlay)
OVERLAY_EMBEDDED = Server("overlay --embedded-mode 1×10", ("go", "gcc"), overlay_embedded)
