"""Runs wrk, and measures the server meanwhile."""

import json
import os
import resource
import subprocess
import time
from pathlib import Path

import install
import process

SCRIPT = Path(__file__).resolve().parent / "wrk.lua"
CORES = os.cpu_count()
THREADS = 2  # of wrk


def load(url, connections, seconds, scenario, answer, directory):
    """Send the scenario's requests for some seconds; wrk's summary (see wrk.lua) is returned."""
    environment = {**os.environ, "BENCH_METHOD": scenario.method}
    if scenario.body:
        environment["BENCH_BODY"] = str(directory / "body")
        (directory / "body").write_bytes(scenario.body)
    if scenario.paths:
        environment["BENCH_PATHS"] = str(directory / "paths")
        (directory / "paths").write_text("\n".join(scenario.paths) + "\n")
    words = [install.find("wrk"), "-t", str(min(THREADS, connections)), "-c", str(connections), "-d", f"{seconds}s",
             "--timeout", "5s", "-s", str(SCRIPT)]
    for name, value in answer.fields.items():
        words += ["-H", f"{name}: {value}"]
    done = subprocess.run([*words, url + scenario.path], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(server_roots, url, connections, seconds, scenario, answer, directory):
    """One run: figures per request, of the server's processes alone, and how quiet the machine was."""

    def tree():
        return [pid for root in server_roots for pid in root.tree()]

    started, cpu, busy = time.monotonic(), process.cpu_seconds(tree()), process.machine_busy_seconds()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    summary = load(url, connections, seconds, scenario, answer, directory)
    elapsed = time.monotonic() - started
    busy = process.machine_busy_seconds() - busy
    pids = tree()
    cpu = process.cpu_seconds(pids) - cpu
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wrk_cpu = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    requests = max(1, summary["requests"])
    return {
        "requests_per_second": summary["requests"] / (summary["microseconds"] / 1e6),
        "cpu_us": 1e6 * cpu / requests,
        "p50_us": summary["p50"],
        "p99_us": summary["p99"],
        "pss_bytes": process.memory(pids)["Pss"],
        "errors": errors(summary, scenario),
        "size_differs": size_differs(summary, answer, connections),
        "other_share": max(0.0, (busy - cpu - wrk_cpu) / (elapsed * CORES)),
        "summary": summary,
    }


def errors(summary, scenario):
    """Requests without the right answer. wrk counts every status from 400 on as an error, an expected one too."""
    lost = summary["connect"] + summary["read"] + summary["write"] + summary["timeout"]
    if scenario.status >= 400:
        return lost + summary["requests"] - summary["status"]
    return lost + summary["status"]


def size_differs(summary, answer, connections):
    """Report whether the responses had another size than the verified one, say because some were error pages.

    wrk counts the bytes of unfinished responses too, of which there is at most one per connection.
    """
    least = 0.95 * summary["requests"] * answer.wire_bytes
    most = 1.05 * (summary["requests"] + connections) * answer.wire_bytes
    return not least <= summary["bytes"] <= most
