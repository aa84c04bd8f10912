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
QUIET_SAMPLE_SECONDS = 0.3
DRAIN_SECONDS = 0.5


def load(url, connections, seconds, scenario, answer, directory):
    """Send the scenario's requests for some seconds; wrk's summary (see wrk.lua) is returned."""
    environment = {**os.environ, "BENCH_METHOD": scenario.method}
    if scenario.body:
        environment["BENCH_BODY"] = str(directory / "body")
        (directory / "body").write_bytes(scenario.body)
    if scenario.paths:
        environment["BENCH_PATHS"] = str(directory / "paths")
        (directory / "paths").write_text("\n".join(scenario.paths) + "\n")
        environment["BENCH_CODINGS"] = ";".join(scenario.codings)
    words = [install.find("wrk"), "-t", str(min(THREADS, connections)), "-c", str(connections), "-d", f"{seconds}s",
             "--timeout", "5s", "-s", str(SCRIPT)]
    for name, value in answer.fields.items():
        words += ["-H", f"{name}: {value}"]
    # What the clients of an earlier load left behind in a queue is gone after this.
    time.sleep(DRAIN_SECONDS)
    done = subprocess.run([*words, url + scenario.path], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(server_roots, url, connections, seconds, scenario, answer, directory):
    """One run: figures per request, of the server's processes alone, and how quiet the machine was.

    served_connections is Little's law, requests per second times mean latency: much less
    than connections if some of them were never answered, which wrk's percentiles hide.
    """

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
    wrong = wrong_statuses(summary, scenario)
    requests = max(1, summary["requests"] - wrong)
    return {
        "requests_per_second": (summary["requests"] - wrong) / (summary["microseconds"] / 1e6),
        "cpu_us": 1e6 * cpu / requests,
        "p50_us": summary["p50"],
        "p99_us": summary["p99"],
        "pss_bytes": process.memory(pids)["Pss"],
        "errors": wrong + sum(summary[kind] for kind in ("connect", "read", "write", "timeout")),
        "served_connections": summary["requests"] / summary["microseconds"] * summary["mean"],
        "size_differs": size_differs(summary, answer, connections),
        "other_share": max(0.0, (busy - cpu - wrk_cpu) / (elapsed * CORES)),
        "summary": summary,
    }


def wait_until_quiet(share, seconds):
    """Wait until everything on the machine together uses less than a share of it, or for some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        busy = process.machine_busy_seconds()
        time.sleep(QUIET_SAMPLE_SECONDS)
        if process.machine_busy_seconds() - busy < share * CORES * QUIET_SAMPLE_SECONDS:
            return


def wrong_statuses(summary, scenario):
    """Responses that are errors. wrk counts every status from 400 on, an expected one too."""
    if scenario.status >= 400:
        return summary["requests"] - summary["status"]
    return summary["status"]


def size_differs(summary, answer, connections):
    """Report whether the responses had another size than the verified one, say because some were error pages.

    wrk counts the bytes of unfinished responses too, of which there is at most one per connection.
    """
    least = 0.95 * summary["requests"] * answer.wire_bytes
    most = 1.05 * (summary["requests"] + connections) * answer.wire_bytes
    return not least <= summary["bytes"] <= most
