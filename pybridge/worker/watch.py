"""The watch over the threads of a worker process; its main thread keeps it.

As long as the application is quick nobody has to look, and looking costs: the
watch needs the GIL, which stops the thread that runs requests. So it sleeps
until an alarm rings, and that thread puts the alarm off again and again. When
it rings

- what is held back is sent;
- an application that waits (Scheduling tells) loses the turn to another thread,
  and for some requests to come the turn is handed on before the application is
  called (Pool.eager);
- one that computes keeps the turn for PATIENCE, since another thread would only
  compete for the GIL;
- requests for which there is no thread are given back.
"""

import os
import select
import sys
from _socket import MSG_DONTWAIT
from functools import partial
from threading import get_native_id
from time import perf_counter, time

TICK = 1  # milliseconds between two looks at a request that may be stuck
PATIENCE = 0.010  # seconds that an application may compute before it loses the turn
# Seconds until the alarm rings, and after how many of them it is put off again. Where
# it rings in vain, on a busy machine mostly, the next delay is taken.
DELAYS = (0.002, 0.004, 0.008)
RENEW = 0.5
FORGET = 64  # requests for which an application that waits is remembered at first
REMEMBER = 512  # and when it waits each time it is tried


class Scheduling:
    """How a thread spends its time: computing, queueing for a processor, waiting.

    Wall time alone does not tell an application that waits for a database from
    one that the kernel has put aside on a busy machine.
    """

    def __init__(self):
        try:
            self.file = os.open("/proc/self/task/%d/schedstat" % get_native_id(), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.file = -1  # a kernel without it: every thread seems to wait
        self.queued = self.read()[1]

    def read(self):
        """Returns nanoseconds on a processor, and in the queue for one."""
        if self.file < 0:
            return 0, 0
        computed, queued, _ = os.pread(self.file, 64, 0).split()
        return int(computed), int(queued)

    def own(self, seconds):
        """Returns the part of the last seconds that did not go by in the queue.

        It may be too little once, since the queueing before counts as well.
        """
        before, self.queued = self.queued, self.read()[1]
        return seconds - (self.queued - before) / 1e9


class Alarm:
    """A timer of the kernel, timerfd_create(2): setting it again puts it off.

    set is a function for each of DELAYS. Python offers it from 3.13 on; before
    that ctypes does. The error is one of MISSING when neither can.
    """

    MISSING = (ImportError, AttributeError, OSError)
    looks = 1  # of the watch once it has rung

    def __init__(self):
        if hasattr(os, "timerfd_create"):
            self.descriptor = os.timerfd_create(1, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
            self.set = [partial(os.timerfd_settime, self.descriptor, initial=seconds) for seconds in DELAYS]
            return
        from ctypes import PyDLL, c_int, c_long, c_void_p, sizeof

        if sizeof(c_long) != 8:
            raise OSError("time_t may have another size")
        library = PyDLL(None)  # keeps the GIL: it takes less time than giving it up
        settime = library.timerfd_settime
        settime.argtypes = c_int, c_int, c_void_p, c_void_p
        self.descriptor = library.timerfd_create(1, os.O_NONBLOCK | os.O_CLOEXEC)  # CLOCK_MONOTONIC
        if self.descriptor < 0:
            raise OSError("timerfd_create")
        # The argument is a struct itimerspec.
        specs = [(c_long * 4)(0, 0, 0, int(seconds * 1e9)) for seconds in DELAYS]
        self.set = [partial(settime, self.descriptor, 0, spec, None) for spec in specs]

    def answer(self):
        """Takes in that it has rung."""
        try:
            os.read(self.descriptor, 8)
        except BlockingIOError:  # put off meanwhile
            pass

    def rest(self):
        """Says that the watch is about to sleep. Reports whether it has to look once more before."""
        return False

    def close(self):
        os.close(self.descriptor)


class Bell:
    """Stands in for an Alarm: it rings at once, and the watch looks for a while."""

    looks = 50

    def __init__(self):
        self.descriptor, self.writer = os.pipe()
        os.set_blocking(self.writer, False)
        self.rung = False
        self.set = [self.ring] * len(DELAYS)

    def ring(self):
        if not self.rung:
            self.rung = True
            try:
                os.write(self.writer, b"r")
            except BlockingIOError:
                pass

    def answer(self):
        os.read(self.descriptor, 4096)

    def rest(self):
        self.rung = False
        return True

    def close(self):
        os.close(self.descriptor)
        os.close(self.writer)


def alarm():
    try:
        return Alarm()
    except Alarm.MISSING:
        return Bell()


class Watch:
    """Looks after a Pool."""

    def __init__(self, pool):
        self.pool = pool
        # Without a GIL, others compute beside it.
        self.patience = PATIENCE if getattr(sys, "_is_gil_enabled", lambda: True)() else 0
        self.seen = 0  # requests that had been started at the last look
        self.since, self.spent = perf_counter(), (0, 0)  # when that was, and what its thread had spent
        self.unread = False  # nobody reads the data socket: the watch has to

    def keep(self, control, on_control):
        """Watches until on_control returns False. For the main thread."""
        pool, alarm = self.pool, self.pool.alarm
        data = pool.socket.fileno()
        poll = select.poll()
        poll.register(control, select.POLLIN)
        poll.register(alarm.descriptor, select.POLLIN)
        looks = 0  # that are left before it sleeps
        while True:
            if not looks and alarm.rest() and self.restless():
                looks = 1  # for what came between the last look and the word
            rang, pool.watching = False, looks > 0
            for descriptor, _ in poll.poll(TICK if looks else None):
                if descriptor == alarm.descriptor:
                    alarm.answer()
                    rang = True
                elif descriptor == control and not on_control():
                    return
            if rang:
                # First said, then looked: a thread that begins a request
                # between the two sees that the alarm has to be set again.
                pool.renew = 0.0
                looks = alarm.looks
                pool.clock = time() - perf_counter()  # somebody may have set it
            if looks or self.unread:
                before = self.unread
                looks = self.look(looks, rang)
                if self.unread and not before:
                    poll.register(data, select.POLLIN)
                elif before and not self.unread:
                    poll.unregister(data)

    def restless(self):
        pool = self.pool
        return pool.started != self.seen or pool.right or pool.out

    def look(self, looks, rang):
        """Looks once. Returns how many looks are to follow."""
        pool = self.pool
        if pool.out:
            pool.flush()
        scheduling = pool.scheduling
        moved = pool.started != self.seen
        if moved:
            self.seen, self.since = pool.started, perf_counter()
            if scheduling is not None:
                self.spent = scheduling.read()
        if pool.right:
            self.unread = False
            if moved and rang:
                pool.delay = min(pool.delay + 1, len(DELAYS) - 1)
            if not moved:
                self.judge(scheduling, perf_counter() - self.since)
                return max(looks, 1)  # who gets the turn is seen then
        elif rang or self.unread or not moved:
            self.unread = pool.give_back()
            if not self.unread and not pool.turn.locked():
                return max(looks, 1)  # a thread is about to read, or to be in the application
        if moved:
            return pool.alarm.looks if rang and pool.right or pool.alarm.looks > 1 else 0
        return max(looks - 1, 0)

    def judge(self, scheduling, seconds):
        """Takes the turn from a request that has run for so long, if it should."""
        pool, spent = self.pool, self.spent
        computed, queued = scheduling.read()
        waited = seconds - (computed - spent[0] + queued - spent[1]) / 1e9
        if waited * 2 > seconds:
            pool.delay = 0
            pool.eager = pool.memory
            pool.memory = min(2 * pool.memory, REMEMBER)
        elif seconds < self.patience:
            return
        try:
            pool.right.pop()
        except IndexError:  # it has just ended
            return
        pool.turn.release()
