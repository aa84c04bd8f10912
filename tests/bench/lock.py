"""Makes requirements.lock from requirements.in: python3 tests/bench/lock.py

Exact versions with the hashes of the wheels for the Pythons and processors below, as
pip itself resolves them.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHONS = ["3.11", "3.12", "3.13"]
PROCESSORS = ["x86_64", "aarch64"]


def resolve(python, processor):
    """pip's answer for one Python: (name, version, sha256) of each package."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report.json")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
             "--target", directory, "--only-binary", ":all:",
             "--platform", f"manylinux_2_17_{processor}", "--platform", f"manylinux_2_28_{processor}",
             "--python-version", python, "--report", report, "--requirement", HERE / "requirements.in"],
            check=True,
        )
        for package in json.loads(report.read_text())["install"]:
            yield (
                package["metadata"]["name"].lower(),
                package["metadata"]["version"],
                package["download_info"]["archive_info"]["hashes"]["sha256"],
            )


def main():
    packages = {}  # name -> {version -> set of hashes}
    for python in PYTHONS:
        for processor in PROCESSORS:
            for name, version, sha256 in resolve(python, processor):
                packages.setdefault(name, {}).setdefault(version, set()).add(sha256)
    lines = ["# Made from requirements.in by lock.py: edit that file, not this one."]
    for name, versions in sorted(packages.items()):
        if len(versions) > 1:
            sys.exit(f"{name}: the Pythons want different versions {sorted(versions)}: narrow requirements.in")
        for version, hashes in versions.items():
            lines.append(" \\\n    ".join([f"{name}=={version}"] + [f"--hash=sha256:{h}" for h in sorted(hashes)]))
    (HERE / "requirements.lock").write_text("\n".join(lines) + "\n")


main()
