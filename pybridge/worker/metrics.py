"""Sums over requests and the figures of the process, in the shape that mod_wsgi 6 has."""

import os
from threading import Lock
from time import perf_counter, time

# Request phase to the key of its figures.
PHASES = ("server", "queue", "daemon", "application", "request", "input_read", "output_write")
BUCKETS = 65


def bucket(seconds):
    """Returns the place of a duration in a histogram.

    Sixteen octaves from 1 ms on, four equal steps each; what is shorter is in
    the first place, and what takes 65536 ms or more in the last.
    """
    milliseconds = seconds * 1000
    if milliseconds < 1:
        return 0
    octave = int(milliseconds).bit_length() - 1
    if octave >= 16:
        return BUCKETS - 1
    low = 1 << octave
    return octave * 4 + int((milliseconds - low) * 4 / low)


def cpu():
    """CPU seconds of this process, user and system."""
    times = os.times()
    return times.user, times.system


def memory():
    """Resident bytes of this process, now and at most; 0 where that cannot be had."""
    now = most = 0
    try:
        with open("/proc/self/statm", "rb") as file:
            now = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    try:
        from resource import RUSAGE_SELF, getrusage

        most = getrusage(RUSAGE_SELF).ru_maxrss * 1024  # KiB on Linux
    except ImportError:
        pass
    return now, max(now, most)


class Phase:
    """Durations of one phase in one window."""

    def __init__(self):
        self.total = 0.0
        self.least = self.most = None
        self.buckets = [0] * BUCKETS

    def add(self, seconds):
        self.total += seconds
        self.least = seconds if self.least is None else min(self.least, seconds)
        self.most = seconds if self.most is None else max(self.most, seconds)
        self.buckets[bucket(seconds)] += 1

    def tell(self, name, requests, result):
        result[name + "_time"] = self.total / requests if requests else 0.0
        result[name + "_time_min_us"] = None if self.least is None else int(self.least * 1e6)
        result[name + "_time_max_us"] = None if self.most is None else int(self.most * 1e6)
        result[name + "_time_buckets"] = self.buckets


class Recorder:
    """Adds up the finished requests of this process."""

    def __init__(self, observer):
        self.observer = observer
        self.daemon = observer.host.daemon
        self.size = observer.host.threads
        self.lock = Lock()  # guards what follows
        self.requests = 0  # finished since recording began
        self.busy = 0.0
        self.served = {}  # thread_id to requests
        self.begin_window(time())

    def begin_window(self, now):
        self.start, self.started_at, self.cpu = now, perf_counter(), cpu()
        self.count = 0
        self.phases = {name: Phase() for name in PHASES}
        self.sums = dict.fromkeys(("input_bytes", "input_reads", "output_bytes", "output_writes"), 0)
        self.statuses = [0] * 6
        self.completed = [0] * self.size
        self.busy_time = [0.0] * self.size
        self.cpu_time = [0.0] * self.size
        self.longest = [0.0] * self.size

    def add(self, event):
        """Takes in the payload of one request_finished."""
        start, finish = event["application_start"], event["application_finish"]
        accepted = event["request_start"] or start
        queued = event["queue_start"] or accepted
        arrived = event["daemon_start"] or start
        place = min(event["thread_id"], self.size) - 1
        took = event["application_time"]
        with self.lock:
            self.requests += 1
            self.busy += took
            self.served[event["thread_id"]] = self.served.get(event["thread_id"], 0) + 1
            self.count += 1
            phases = self.phases
            phases["server"].add(max(queued - accepted, 0.0))
            if self.daemon:
                phases["queue"].add(max(arrived - queued, 0.0))
                phases["daemon"].add(max(finish - arrived, 0.0))
            phases["application"].add(took)
            phases["request"].add(max(finish - accepted, 0.0))
            phases["input_read"].add(event["input_time"])
            phases["output_write"].add(event["output_time"])
            self.sums["input_bytes"] += event["input_length"]
            self.sums["input_reads"] += event["input_reads"]
            self.sums["output_bytes"] += event["output_length"]
            self.sums["output_writes"] += event["output_writes"]
            self.statuses[event["status"] // 100 if 100 <= event["status"] < 600 else 5] += 1
            self.completed[place] += 1
            # What lay before this window has been told with that one.
            self.busy_time[place] += max(min(took, finish - self.start), 0.0)
            self.cpu_time[place] += event.get("cpu_time", 0.0)
            self.longest[place] = max(self.longest[place], took)

    def drain(self):
        """Returns the window since the last call, and begins another."""
        with self.lock:
            now = time()
            period = max(perf_counter() - self.started_at, 1e-6)
            elapsed = [0.0] * self.size
            busy = list(self.busy_time)
            active = {place for place, n in enumerate(self.completed) if n}
            for request in list(self.observer.requests.values()):
                place = min(request.thread_id, self.size) - 1
                begun = request.times["application_start"]
                elapsed[place] = max(now - begun, 0.0)
                busy[place] += max(now - max(begun, self.start), 0.0)
                active.add(place)
            user, system = cpu()
            rates = (user - self.cpu[0]) / period, (system - self.cpu[1]) / period
            rss, most = memory()
            result = {
                "pid": os.getpid(),
                "start_time": self.start,
                "stop_time": now,
                "sample_period": period,
                "request_count": self.count,
                "request_throughput": self.count / period,
                "request_threads_maximum": self.size,
                "request_threads_started": self.size if self.daemon else len(self.observer.places),
                "request_threads_active": len(active),
                "capacity_utilization": sum(busy) / (period * self.size),
                "request_threads_completed": self.completed,
                "request_threads_buckets": self.completed,
                "request_threads_busy_time": busy,
                "request_threads_cpu_time": self.cpu_time,
                "request_threads_current_elapsed": elapsed,
                "request_threads_max_duration": self.longest,
                "cpu_user_utilization": rates[0],
                "cpu_system_utilization": rates[1],
                "cpu_utilization": sum(rates),
                "cpu_user_time": rates[0],
                "cpu_system_time": rates[1],
                "cpu_time": sum(rates),
                "memory_rss": rss,
                "memory_max_rss": most,
                # Nobody in Python can tell how long it waited for the GIL.
                "gil_wait_time": 0.0,
                "gil_wait_time_min_us": None,
                "gil_wait_time_max_us": None,
                "gil_wait_time_buckets": [0] * BUCKETS,
                "gil_wait_count": 0,
            }
            for name in PHASES:
                self.phases[name].tell(name, self.count, result)
            if not self.daemon:
                result["queue_time"] = result["daemon_time"] = None
            result.update(self.sums)
            for hundred in range(1, 6):
                result["status_%dxx" % hundred] = self.statuses[hundred]
            self.begin_window(now)
        return result

    def process(self):
        """Returns the figures of the process. Requests count from the start of recording."""
        host, now = self.observer.host, time()
        user, system = cpu()
        rss, most = memory()
        with self.lock:
            requests, busy = self.requests, self.busy
            served = sorted(self.served.items())
        return {
            "pid": os.getpid(),
            "restart_time": host.born,
            "current_time": now,
            "running_time": int(now - host.born),
            "request_count": requests,
            "request_busy_time": busy,
            "request_threads": host.threads if self.daemon else len(self.observer.places),
            "active_requests": max(len(host.running()), len(self.observer.requests)),
            "cpu_user_time": user,
            "cpu_system_time": system,
            "cpu_time": user + system,
            "memory_rss": rss,
            "memory_max_rss": most,
            "threads": [{"thread_id": number, "request_count": n} for number, n in served],
        }


def record(host):
    """Returns the Recorder of this process; recording begins with the first call."""
    observer = host.observe()
    with observer.lock:
        if observer.recorder is None:
            observer.recorder = Recorder(observer)
        return observer.recorder
