"""Processes of a server: started, measured as a whole tree, and ended by their own ids."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 10  # a server that has not ended by then is killed


class ServerError(Exception):
    """A server did not start, or ended too early."""


def free_port():
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """One command and all its descendants, in a session of their own.

    The output goes to the file log, whose end is quoted when something goes wrong.
    """

    def __init__(self, command, directory, environment=None):
        self.command = [str(word) for word in command]
        self.log = Path(directory) / (Path(self.command[0]).name + ".log")
        with open(self.log, "ab") as output:
            self.popen = subprocess.Popen(
                self.command,
                cwd=directory,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def check_alive(self):
        if self.popen.poll() is not None:
            raise ServerError(f"{' '.join(self.command)}: ended with {self.popen.returncode}\n{self.log_end()}")

    def log_end(self):
        return self.log.read_text(errors="replace")[-2000:]

    def tree(self):
        """Ids of the process and of all its living descendants."""
        return process_tree(self.popen.pid)

    def stop(self, stop_signal=signal.SIGTERM):
        """End the process; whatever is left of its session after STOP_SECONDS is killed."""
        if self.popen.poll() is None:
            self.popen.send_signal(stop_signal)
            try:
                self.popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)  # the session that __init__ made, nobody else's
        except ProcessLookupError:
            pass
        self.popen.wait()


def stat_fields(pid):
    """Fields of /proc/PID/stat from the third (state) on, or None if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def process_tree(root):
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_fields(entry)
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found = [root]
    for pid in found:  # grows while it is walked
        found.extend(children.get(pid, ()))
    return found


def cpu_seconds(pids):
    """CPU time of the processes and of the children that they have waited for.

    Counting the reaped children keeps the time of a worker that was replaced
    between two calls.
    """
    ticks = 0
    for pid in pids:
        fields = stat_fields(pid)
        if fields:
            ticks += sum(int(value) for value in fields[11:15])  # utime, stime, cutime, cstime
    return ticks / TICKS_PER_SECOND


def machine_busy_seconds():
    """CPU time that all processes and interrupts of the machine have used, and CPU time stolen by its host."""
    with open("/proc/stat") as stat:
        user, nice, system, _, _, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def memory(pids):
    """Rss, Pss and Uss of the processes together, in bytes.

    Rss counts a shared page once per process, Pss divides it by the number of
    processes that map it, Uss counts only pages that no other process maps.
    """
    total = {"Rss": 0, "Pss": 0, "Uss": 0}
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except (FileNotFoundError, ProcessLookupError):
            continue
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        total["Rss"] += 1024 * kib["Rss"]
        total["Pss"] += 1024 * kib["Pss"]
        total["Uss"] += 1024 * (kib["Private_Clean"] + kib["Private_Dirty"])
    return total


def wait_for(condition, seconds, what):
    """Poll until condition() is true; its last value is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise ServerError(f"{what}: not within {seconds} s")
        time.sleep(0.02)
