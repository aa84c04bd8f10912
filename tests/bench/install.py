"""Gets the peers: Debian's packages, a virtual environment, and the Go programs.

Only install() changes the machine, and only when it is asked to; everything else lives
below .cache/bench in the repository.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
CACHE = REPOSITORY / ".cache" / "bench"
LOCK = HERE / "requirements.lock"

DEBIAN_PACKAGES = ["nginx", "lighttpd", "lighttpd-mod-deflate", "lighttpd-mod-openssl", "apache2", "libapache2-mod-wsgi-py3",
                   "uwsgi", "uwsgi-plugin-python3", "wrk", "strace", "openssl", "python3-venv"]

# Debian's mod_wsgi and uwsgi are compiled for Debian's Python. Every server gets that
# one, so that the tables compare servers and not builds of Python.
PYTHON = "/usr/bin/python3"

CADDY = "github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9"

# Debian starts services of nginx, lighttpd and apache2 on installation; this file
# keeps it from doing so while ours runs.
POLICY = Path("/usr/sbin/policy-rc.d")


def install():
    """Install Debian's packages (needs root) and fill the virtual environment."""
    refuse_services = not POLICY.exists()
    if refuse_services:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        subprocess.run(["apt-get", "update", "--quiet"], check=True)
        subprocess.run(["apt-get", "install", "--yes", "--no-upgrade", "--no-install-recommends", *DEBIAN_PACKAGES], check=True,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    finally:
        if refuse_services:
            POLICY.unlink()
    virtual_environment()


def install_caddy():
    """Build Caddy from the module proxy: some minutes, and not needed for any claim."""
    subprocess.run(["go", "install", CADDY], check=True,
                   env={**os.environ, "GOBIN": str(CACHE / "bin"), "CGO_ENABLED": "0"})


def virtual_environment():
    """Directory of the virtual environment with the packages of the lock file.

    Its name carries the hash of the lock file: a changed lock file means a new one.
    """
    directory = CACHE / ("venv-" + hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12])
    ready = directory / "ready"
    if not ready.exists():
        print(f"bench: making {directory.relative_to(REPOSITORY)}", file=sys.stderr)
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run([PYTHON, "-m", "venv", directory], check=True)
        subprocess.run([directory / "bin" / "pip", "install", "--quiet", "--require-hashes",
                        "--only-binary", ":all:", "--requirement", LOCK], check=True)
        ready.touch()
    return directory


@functools.lru_cache(maxsize=None)
def build(package, cgo=False):
    """Build a Go program of this repository, once, as a release is built; its path is returned.

    cgo is for overlay's embedded mode alone, which does not exist without it.
    """
    program = CACHE / "bin" / (Path(package).name + ("-cgo" if cgo else ""))
    subprocess.run(["go", "build", "-trimpath", "-o", program, package], check=True, cwd=REPOSITORY,
                   env={**os.environ, "CGO_ENABLED": "1" if cgo else "0"})
    return program


def find(program):
    """Path of an installed program, /usr/sbin included; None if it is not there."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
