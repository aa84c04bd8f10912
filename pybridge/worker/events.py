"""Who has subscribed to what, and the telling."""

import sys


class Events:
    """The callbacks of this process. Each is called with a name and keyword arguments."""

    def __init__(self):
        self.all = []  # callbacks for every event
        self.shutdown = []  # for process_stopping alone
        self.signals = []  # for process_signal alone
        self.stopped = False

    def publish(self, name, payload, callbacks=None):
        """Calls the callbacks in the order of their subscription. Returns payload.

        What a callback returns as a dict is added to payload for those after
        it. One that raises is named in the log, and the others are called.
        """
        for callback in tuple(self.all if callbacks is None else callbacks):
            try:
                result = callback(name, **payload)
            except Exception:
                self.complain(name, callback)
                continue
            if isinstance(result, dict):
                payload.update(result)
        return payload

    def complain(self, name, callback):
        from traceback import format_exc

        sys.stderr.write("overlay: callback %r for %s:\n%s" % (callback, name, format_exc()))

    def stop(self, reason):
        """Publishes process_stopping, once."""
        if not self.stopped:
            self.stopped = True
            self.publish("process_stopping", {"shutdown_reason": reason}, self.all + self.shutdown)

    def subscribe_signal(self, callback):
        """Adds a callback for SIGHUP and SIGUSR2 to this process."""
        from signal import Signals

        def handle(number, frame):
            payload = {"signame": Signals(number).name, "signum": number}
            self.publish("process_signal", payload, self.all + self.signals)

        if not self.signals:
            from signal import SIGHUP, SIGUSR2, signal

            for number in SIGHUP, SIGUSR2:
                signal(number, handle)
        self.signals.append(callback)
