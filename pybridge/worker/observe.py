"""Stands before the application while somebody wants to know about requests.

An Observer is a WSGI application itself (PEP 3333, Middleware), so that it does
the same in a worker process and in embedded mode. A list goes through it as it
is, and a file keeps its way by descriptor.
"""

import os
import sys
from itertools import count
from threading import Lock, get_ident
from time import perf_counter, time

from _overlay.counted import Body, Input
from _overlay.streams import FileWrapper

try:
    from resource import RUSAGE_THREAD, getrusage
except ImportError:  # PyPy and others
    getrusage = None


def cpu_times():
    """CPU seconds of the calling thread, user and system, or None."""
    if getrusage is None:
        return None
    usage = getrusage(RUSAGE_THREAD)
    return usage.ru_utime, usage.ru_stime


class Observer:
    """The application, observed."""

    def __init__(self, host):
        self.host = host
        self.events = host.subscribers()
        self.recorder = None  # of metrics.py, once somebody records
        self.requests = {}  # request_id to Request, of those in flight
        self.data = {}  # request_id to request_data: mod_wsgi.active_requests
        self.threads = {}  # thread identifier to the Request that it runs
        self.unseen = {}  # thread identifier to (number, request_data) of a request that began before
        self.places = {}  # thread identifier to thread_id
        self.numbers = count(1)
        self.lock = Lock()  # guards places

    def __call__(self, environ, start_response):
        request = Request(self, environ, start_response)
        try:
            application = request.start()
            result = application(environ, request.start_response)
        except BaseException:
            request.fail()
            raise
        kind = type(result)
        if kind is list or kind is tuple:
            request.count(*[data for data in result if isinstance(data, bytes)])
            request.finish()
            return result
        if kind is FileWrapper:
            found = result.descriptor()
            if found is not None:
                request.pass_on(result, found)
                return result
        return Body(request, result)

    def enter(self, request):
        forgotten = self.threads.get(request.thread)
        if forgotten is not None:  # it was interrupted before it could finish
            self.leave(forgotten)
        self.threads[request.thread] = request
        self.requests[request.id] = request
        self.data[request.id] = request.data

    def leave(self, request):
        if self.threads.get(request.thread) is request:
            del self.threads[request.thread]
        self.requests.pop(request.id, None)
        self.data.pop(request.id, None)

    def place(self, thread):
        """Returns the thread_id of a thread: 1 to threads_per_process.

        Embedded mode has threads that come and go: a new one gets the number
        of one that runs nothing.
        """
        try:
            return self.places[thread]
        except KeyError:
            pass
        with self.lock:
            if len(self.places) < self.host.threads:
                number = len(self.places) + 1
            else:
                idle = next((other for other in self.places if other not in self.threads), None)
                number = self.places.pop(idle) if idle is not None else len(self.places) + 1
            self.places[thread] = number
        return number

    def request_data(self):
        """Returns the dict of the request that the calling thread runs."""
        thread = get_ident()
        request = self.threads.get(thread)
        if request is not None:
            return request.data
        number = self.host.number()
        if number is None:
            raise RuntimeError("request_data() has a meaning only in a thread that runs a request")
        known, data = self.unseen.get(thread, (None, None))
        if known != number:
            data = {}
            self.unseen[thread] = number, data
        return data

    def active_requests(self):
        """Returns what runs, request_id to the fields of request_started.

        Of a request that began before the first subscription little is known.
        """
        found = {request.id: request.about() for request in list(self.requests.values())}
        for number, thread in self.host.running():
            if thread not in self.threads:
                found["%d-early-%d" % (os.getpid(), number)] = {"thread_id": self.place(thread)}
        return found


class Request:
    """One request while it runs."""

    TIMES = ("request_start", "queue_start", "daemon_start", "application_start")

    def __init__(self, observer, environ, start_response):
        self.observer = observer
        self.environ = environ
        self.begin = start_response
        self.thread = get_ident()
        self.thread_id = observer.place(self.thread)
        self.id = "%d-%d" % (os.getpid(), next(observer.numbers))
        self.data = {}
        self.times = {name: environ.get("overlay." + name, 0.0) for name in self.TIMES}
        self.status = 0
        self.writer = None  # the write callable of the server
        self.is_head = environ.get("REQUEST_METHOD") == "HEAD"
        self.output_writes = self.output_length = 0
        self.output_time = 0.0
        self.input = environ["wsgi.input"] = Input(environ["wsgi.input"])
        self.finished = False
        self.used = cpu_times()
        observer.enter(self)

    def about(self):
        """What request_started tells."""
        return dict(
            self.times,
            request_id=self.id,
            thread_id=self.thread_id,
            request_data=self.data,
            request_environ=self.environ,
            application_object=self.observer.host.application,
            callable_object=getattr(self.observer.host.application, "__name__", ""),
            server_pid=os.getppid() if self.observer.host.daemon else os.getpid(),
            daemon_connects=1 if self.observer.host.daemon else 0,
            daemon_restarts=0,
        )

    def start(self):
        """Publishes request_started. Returns the application to call."""
        events = self.observer.events
        if not events.all:
            return self.observer.host.application
        return events.publish("request_started", self.about())["application_object"]

    def start_response(self, status, headers, exc_info=None):
        try:
            if exc_info is None:
                self.writer = self.begin(status, headers)
            else:
                self.writer = self.begin(status, headers, exc_info)
            self.status = int(status[:3])
            events = self.observer.events
            if events.all:
                payload = {
                    "request_id": self.id,
                    "response_status": status,
                    "response_headers": headers,
                    "exception_info": exc_info,
                    "request_data": self.data,
                }
                events.publish("response_started", payload)
        finally:
            exc_info = payload = None  # no cycle through the traceback
        return self.write

    def write(self, data):
        before = perf_counter()
        self.writer(data)
        self.output_time += perf_counter() - before
        self.count(data)

    def count(self, *blocks):
        """Counts blocks of the body that go to the client."""
        if not self.is_head:
            self.output_writes += len(blocks)
            self.output_length += sum(map(len, blocks))

    def pass_on(self, wrapper, found):
        """Lets the server send a file; close() of its wrapper ends the request."""
        _, position, size = found
        if not self.is_head:
            self.output_writes += 1
            self.output_length += max(size - position, 0)
        close = getattr(wrapper, "close", None)

        def finish():
            try:
                if close is not None:
                    close()
            finally:
                self.finish()

        wrapper.close = finish

    def fail(self):
        """Publishes the exception being handled, and ends the request."""
        try:
            events = self.observer.events
            if events.all and not self.finished:
                payload = {"request_id": self.id, "exception_info": sys.exc_info(), "request_data": self.data}
                events.publish("request_exception", payload)
        finally:
            payload = None  # no cycle through the traceback
            self.finish()

    def finish(self):
        """Publishes request_finished, once, and forgets the request."""
        if self.finished:
            return
        self.finished = True
        try:
            observer = self.observer
            if observer.events.all or observer.recorder is not None:
                payload = self.summary()
                if observer.recorder is not None:
                    observer.recorder.add(payload)
                if observer.events.all:
                    observer.events.publish("request_finished", payload)
        finally:
            self.observer.leave(self)

    def summary(self):
        """What request_finished tells."""
        finish = time()
        times = self.times
        payload = dict(
            times,
            request_id=self.id,
            thread_id=self.thread_id,
            request_data=self.data,
            server_pid=os.getppid() if self.observer.host.daemon else os.getpid(),
            application_finish=finish,
            application_time=max(finish - times["application_start"], 0.0),
            queue_time=max(times["application_start"] - times["queue_start"], 0.0) if times["queue_start"] else 0.0,
            input_reads=self.input.reads,
            input_length=self.input.length,
            input_time=self.input.time,
            output_writes=self.output_writes,
            output_length=self.output_length,
            output_time=self.output_time,
            status=self.status,
        )
        if self.used is not None:
            user, system = cpu_times()
            user, system = max(user - self.used[0], 0.0), max(system - self.used[1], 0.0)
            payload.update(cpu_user_time=user, cpu_system_time=system, cpu_time=user + system)
        return payload
