"""Tests of what watches requests: observe.py, counted.py, events.py, metrics.py and host.py.

Run by TestObserve, which says where the worker program is; Python 3.9 and
later, standard library only.
"""

import contextlib
import io
import os
import sys
import threading
import unittest

DIRECTORY = os.environ["OVERLAY_TEST_WORKER"]


def read(name):
    with open(os.path.join(DIRECTORY, name + ".py"), encoding="utf-8") as file:
        return file.read()


def load(names):
    """Makes the modules of the worker program, as boot.py does it; the others come by host.Finder."""
    package = type(sys)("_overlay")
    package.__path__ = []
    package.sources = {name[:-3]: read(name[:-3]) for name in os.listdir(DIRECTORY) if name.endswith(".py")}
    sys.modules["_overlay"] = package
    for name in names:
        module = type(sys)("_overlay." + name)
        sys.modules[module.__name__] = module
        setattr(package, name, module)
        exec(compile(package.sources[name], name + ".py", "exec", dont_inherit=True), module.__dict__)
    return package


overlay = load(["frames", "streams", "wsgi", "host"])
host, streams = overlay.host, overlay.streams
host.begin({"version": "1", "group": "/", "threads": 2, "processes": 1, "mod_wsgi": True})

from _overlay import metrics, observe  # noqa: E402
from _overlay.events import Events  # noqa: E402


def environ(body=b"", **keys):
    return {"wsgi.input": io.BytesIO(body), "REQUEST_METHOD": "GET", **keys}


class Case(unittest.TestCase):
    """Has an Observer before self.application, and the events that it publishes."""

    def setUp(self):
        self.host = host.Host({"version": "1", "group": "/", "threads": 2, "processes": 1, "mod_wsgi": True})
        self.used = []
        self.host.attach(lambda *arguments: self.application(*arguments), self.used.append, list)
        self.observer = self.host.observe()
        self.events = []
        self.observer.events.all.append(lambda name, **event: self.events.append((name, event)))

    def application(self, environ, start_response):
        start_response("200 OK", [])
        return [b"body"]

    def call(self, **keys):
        """Does with a request what Exchange.run does. Returns the body."""
        result = self.observer(environ(**keys), lambda status, headers, exc_info=None: self.written.append)
        try:
            return b"".join(result)
        finally:
            if hasattr(result, "close"):
                result.close()

    written = []

    def names(self):
        return [name for name, _ in self.events]

    def last(self):
        name, event = self.events[-1]
        self.assertEqual(name, "request_finished")
        return event


class ObserverTest(Case):
    def test_stands_before_the_application_once(self):
        self.assertEqual(self.used, [self.observer])
        self.assertIs(self.host.observe(), self.observer)
        self.assertEqual(self.used, [self.observer])

    def test_a_shutdown_callback_watches_no_request(self):
        process = host.Host({"version": "1", "group": "/", "threads": 2, "processes": 1, "mod_wsgi": True})
        seen = []
        process.subscribers().shutdown.append(lambda name, **event: seen.append(event["shutdown_reason"]))
        process.stopping("")
        self.assertEqual(seen, ["shutdown_signal"])
        self.assertIsNone(process.observer)

    def test_asked_before_the_application_is_there(self):
        early = host.Host({"version": "1", "group": "/", "threads": 2, "processes": 1, "mod_wsgi": True})
        observer = early.observe()
        used = []
        early.attach(self.application, used.append, list)
        self.assertEqual(used, [observer])

    def test_list_stays_a_list(self):
        result = self.observer(environ(), lambda *arguments: None)
        self.assertIs(type(result), list)
        self.assertEqual(self.names(), ["request_started", "response_started", "request_finished"])

    def test_nothing_is_left_behind(self):
        def fails(environ, start_response):
            raise KeyError

        def fails_later(environ, start_response):
            start_response("200 OK", [])
            yield b"x"
            raise KeyError

        for application in self.application, fails, fails_later:
            with self.subTest(application.__name__), contextlib.suppress(KeyError):
                self.application = application
                self.call()
            for kept in self.observer.requests, self.observer.data, self.observer.threads:
                self.assertEqual(kept, {})

    def test_a_request_that_could_not_finish_goes_with_the_next(self):
        observe.Request(self.observer, environ(), None)
        self.assertEqual(len(self.observer.data), 1)
        self.call()
        self.assertEqual(self.observer.data, {})

    def test_finished_once(self):
        def generator(environ, start_response):
            start_response("200 OK", [])
            yield b"x"

        self.application = generator
        result = self.observer(environ(), lambda *arguments: None)
        list(result)
        result.close()
        result.close()
        self.assertEqual(self.names().count("request_finished"), 1)

    def test_close_that_raises_ends_the_request(self):
        class Body(list):
            def close(self):
                raise KeyError

        self.application = lambda environ, start_response: Body([b"x"])
        with self.assertRaises(KeyError):
            self.call()
        self.assertEqual(self.names()[-1], "request_finished")

    def test_places_are_those_of_threads(self):
        seen = []

        def run():
            self.call()
            seen.append(self.last()["thread_id"])

        for _ in range(5):  # more threads than places, one after the other
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        self.assertLessEqual(max(seen), 2)
        self.assertGreaterEqual(min(seen), 1)

    def test_input(self):
        def reads(environ, start_response):
            stream = environ["wsgi.input"]
            start_response("200 OK", [])
            return [stream.readline(), stream.read(1), *stream, *stream.readlines(), stream.read(), stream.read()]

        self.application = reads
        self.assertEqual(self.call(body=b"a\nbc\nd"), b"a\nbc\nd")
        event = self.last()
        self.assertEqual(event["input_length"], 6)
        self.assertGreaterEqual(event["input_reads"], 6)

    def test_head_sends_no_body(self):
        self.call(REQUEST_METHOD="HEAD")
        self.assertEqual(self.last()["output_length"], 0)


class EventsTest(unittest.TestCase):
    def test_answers_go_to_those_after(self):
        events, seen = Events(), []
        events.all += [lambda name, **event: {"added": 1}, lambda name, **event: seen.append((name, event))]
        self.assertEqual(events.publish("x", {"there": 2}), {"there": 2, "added": 1})
        self.assertEqual(seen, [("x", {"there": 2, "added": 1})])

    def test_a_callback_that_raises(self):
        events, seen = Events(), []

        def bad(name, **event):
            raise KeyError("why")

        events.all += [bad, lambda name, **event: seen.append(name)]
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            events.publish("x", {})
        self.assertEqual(seen, ["x"])
        self.assertIn("KeyError: 'why'", errors.getvalue())

    def test_stopping_is_told_once(self):
        events, seen = Events(), []
        events.shutdown.append(lambda name, **event: seen.append((name, event)))
        events.stop("first")
        events.stop("second")
        self.assertEqual(seen, [("process_stopping", {"shutdown_reason": "first"})])


class MetricsTest(Case):
    def test_bucket(self):
        for milliseconds, want in [
            (0, 0), (0.999, 0), (1, 0), (1.24, 0), (1.25, 1), (1.99, 3), (2, 4), (2.5, 5), (3.99, 7), (4, 8),
            (1024, 40), (65535, 63), (65536, 64), (1e9, 64),
        ]:
            with self.subTest(milliseconds):
                self.assertEqual(metrics.bucket(milliseconds / 1000), want)

    def test_windows(self):
        recorder = metrics.record(self.host)
        self.assertIs(metrics.record(self.host), recorder)
        for _ in range(3):
            self.call()
        first, second = recorder.drain(), recorder.drain()
        self.assertEqual((first["request_count"], second["request_count"]), (3, 0))
        self.assertEqual(first["status_2xx"], 3)
        self.assertEqual(first["output_bytes"], 12)
        self.assertEqual(sum(first["request_threads_completed"]), 3)
        self.assertEqual(sum(first["application_time_buckets"]), 3)
        self.assertEqual(first["stop_time"], second["start_time"])
        self.assertIsNone(second["application_time_min_us"])
        self.assertEqual(recorder.process()["request_count"], 3)
        self.assertEqual(recorder.process()["threads"], [{"thread_id": 1, "request_count": 3}])

    def test_a_request_in_flight_counts_as_busy(self):
        recorder = metrics.record(self.host)
        inside = []

        def looks(environ, start_response):
            inside.append(recorder.drain())
            return []

        self.application = looks
        now = recorder.start
        self.call(**{"overlay.application_start": now})
        window = inside[0]
        self.assertEqual(window["request_threads_active"], 1)
        self.assertEqual(window["request_count"], 0)
        self.assertGreaterEqual(max(window["request_threads_current_elapsed"]), 0.0)


class FinderTest(unittest.TestCase):
    def test_modules(self):
        import mod_wsgi
        import overlay as module

        self.assertEqual(module.threads_per_process, 2)
        self.assertEqual(mod_wsgi.version[0], 6)
        for name in module.__all__:
            self.assertTrue(hasattr(module, name), name)
        with self.assertRaises(AttributeError):
            mod_wsgi.nothing
        for subscribe in module.subscribe_events, module.subscribe_shutdown, mod_wsgi.subscribe_events:
            with self.assertRaises(TypeError):
                subscribe("no callable")

    def test_left_out(self):
        finder = host.Finder(overlay.sources, {"overlay": "overlay_module"})
        self.assertIsNone(finder.find_spec("mod_wsgi"))
        self.assertIsNotNone(finder.find_spec("overlay"))
        self.assertIsNone(finder.find_spec("overlay.sub"))
        self.assertIsNone(finder.find_spec("_overlay.nothing"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
