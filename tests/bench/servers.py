"""What a server is to the benchmark, and the two that every table starts from.

Each server is a small descriptor: a name, the programs that it needs, and a function
that writes its configuration into a temporary directory and returns its commands. All
run in the foreground on 127.0.0.1, without an access log.
"""

import http.client
import os
import signal
import ssl
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
class Certificate:
    """The certificate that every server has in a benchmark over TLS: self-signed, ECDSA P-256."""

    chain: Path
    key: Path


def new_certificate(directory):
    certificate = Certificate(Path(directory, "site.crt"), Path(directory, "site.key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-out", certificate.chain, "-keyout", certificate.key], check=True, capture_output=True)
    return certificate


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
    certificate: Optional[Certificate] = None  # None: plain HTTP

    @property
    def url(self):
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    def connect(self, timeout):
        if not self.certificate:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        trusting = ssl.create_default_context(cafile=self.certificate.chain)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=trusting)

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


def go_tls(site):
    """Options of the Go programs beside this file."""
    return ["-certificate", site.certificate.chain, "-key", site.certificate.key] if site.certificate else []


def fixed(site):
    return [Command([install.build("./tests/bench/fixed"), "-address", f"127.0.0.1:{site.port}",
                     "-size", str(site.fixed_size), *go_tls(site)])]


def overlay(site):
    """Daemon mode. Files first, the application beneath; either may be absent."""
    words = [site.overlay or install.build("./cmd/overlay"), "--host", "127.0.0.1"]
    if site.certificate:
        words += ["--disable-http", "--https-port", str(site.port), "--ssl-certificate-file", site.certificate.chain,
                  "--ssl-certificate-key-file", site.certificate.key]
    else:
        words += ["--port", str(site.port)]
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
