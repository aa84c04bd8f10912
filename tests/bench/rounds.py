"""Interleaved rounds: every server once per round, so that all of them see the same machine."""

import contextlib
import http.client
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bareloop
import process
import scenarios
import wrk
from servers import Site

START_SECONDS = 30
WARM_UP_SECONDS = 1

# On a machine shared with others a run waits for a quiet moment, and is repeated when
# it was disturbed nevertheless; what remains is said below each table.
DISTURBED = 0.10  # share of the machine that others used


@dataclass(frozen=True)
class Plan:
    rounds: int
    seconds: int
    connections: tuple
    attempts: int  # runs of which the least disturbed counts
    patience: float  # seconds to wait for a quiet moment before each of them


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def answers(site):
    """Report whether the server of the site answers, be it with 404."""
    connection = site.connect(timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status not in (502, 503)  # nginx is up before the application
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def running(server, site):
    """The server's processes, started and answering; ended when the block is left."""
    started = []
    try:
        for command in server.commands(site):
            started.append((process.Process(command.words, site.directory, command.environment), command.stop_signal))

        def ready():
            for root, _ in started:
                root.check_alive()
            return answers(site)

        process.wait_for(ready, START_SECONDS, f"{server.name}: answer on port {site.port}")
        yield [root for root, _ in started]
    finally:
        for root, stop_signal in reversed(started):
            root.stop(stop_signal)


def new_site(parent, number, **what):
    """A directory of its own, open to the accounts that nginx, lighttpd and Apache change to."""
    directory = Path(parent, f"server{number}")
    directory.mkdir()
    directory.chmod(0o777)
    return Site(directory=directory, port=process.free_port(), **what)


def run(servers, list_of_scenarios, plan, site_of, record):
    """Run all scenarios over all servers.

    site_of(parent, number) makes the Site of a server. record(dict) is called for every
    single run, with "failed" in place of figures when the server did not start or gave
    a wrong answer: such a server is left out of that scenario, not of the others.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as parent, contextlib.ExitStack() as stack:
        Path(parent).chmod(0o755)
        live = []
        for number, server in enumerate(servers):
            site = site_of(parent, number)
            try:
                live.append((server, site, stack.enter_context(running(server, site))))
            except (process.ServerError, subprocess.CalledProcessError, OSError) as error:
                say(f"{server.name}: {error}")
                record({"server": server.name, "failed": f"not started: {str(error).splitlines()[0]}"})
        for scenario in list_of_scenarios:
            for connections in plan.connections:
                run_scenario(live, scenario, connections, plan, Path(parent), record)


def run_scenario(live, scenario, connections, plan, directory, record):
    for number in range(plan.rounds):
        turn = number % len(live)
        bare = bareloop.share(scenario.seconds, plan.seconds) if scenario.seconds else None
        for server, site, roots in live[turn:] + live[:turn]:
            if server.name == "fixed" and not scenario.fixed_size:
                continue
            result = {"scenario": scenario.name, "connections": connections, "round": number, "server": server.name}
            try:
                asked = scenarios.as_fixed(scenario) if server.name == "fixed" else scenario
                answer = scenarios.verify(site, asked)
                result.update(measure_in_quiet(plan, roots, site.url, connections, scenario, answer, directory))
                if result["errors"]:
                    result["log"] = [root.log_end() for root in roots]
                if scenario.seconds:
                    result["bound"], result["bare"] = min(server.slots, connections) / scenario.seconds, bare
                say(f"{scenario.name}, {connections} connections, round {number + 1}: {server.name}: "
                    f"{result['requests_per_second']:,.0f}/s, {result['cpu_us']:.1f} µs, errors {result['errors']}")
            except (scenarios.WrongAnswer, OSError, http.client.HTTPException) as error:
                result["failed"] = f"{type(error).__name__}: {error}"
                say(f"{scenario.name}: {server.name}: {result['failed']}")
            record(result)


def measure_in_quiet(plan, roots, url, connections, *arguments):
    """The least disturbed of up to plan.attempts runs, each after a warm-up; mostly there is one."""
    runs = []
    while len(runs) < plan.attempts:
        wrk.wait_until_quiet(DISTURBED, plan.patience)
        wrk.load(url, connections, WARM_UP_SECONDS, *arguments)
        runs.append(wrk.measure(roots, url, connections, plan.seconds, *arguments))
        if runs[-1]["other_share"] <= DISTURBED:
            break
    return {**min(runs, key=lambda run: run["other_share"]), "attempts": len(runs)}
