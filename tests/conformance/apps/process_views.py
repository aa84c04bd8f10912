"""Views about processes and threads."""

import os
import threading

import support

local = threading.local()


def worker(environ, start_response):
    """Which process and thread this is, and how often this thread has been here."""
    local.count = getattr(local, "count", 0) + 1
    return support.answer_json(
        start_response,
        {
            "pid": os.getpid(),
            "thread": threading.get_ident(),
            "count": local.count,
            "named": threading.current_thread().name,
            "multithread": bool(environ["wsgi.multithread"]),
            "multiprocess": bool(environ["wsgi.multiprocess"]),
        },
    )


def meet(environ, start_response):
    """Waits until ?n= requests have come; the note says who comes and goes, in order."""
    name, count = support.query(environ, "note"), support.query(environ, "n", 1)
    support.note(name, "+")
    support.wait_for(lambda: support.read_note(name).count("+") >= count, "%d requests at once" % count)
    result = worker(environ, start_response)
    support.note(name, "-")
    return result


def event(environ, start_response):
    """Notes what the client says, for a client on another machine."""
    support.note(support.query(environ, "note"), support.query(environ, "text") or "x")
    return support.answer_text(start_response, "noted\n")


def read(environ, start_response):
    """The text of a note, for a client on another machine."""
    return support.answer_json(start_response, support.read_note(support.query(environ, "note")))


def modify_globals(environ, start_response):
    """Changes what the process has only once; the next request must not suffer."""
    before = os.getcwd()
    os.chdir("/")
    os.chdir(before)
    threading.Thread(target=lambda: None, name="conformance").start()
    return support.answer_text(start_response, "changed\n")


def fork(environ, start_response):
    """A child that ends in the middle of the request, and one that the parent waits for."""
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            os._exit(0)
        children.append(child)
    codes = [os.waitpid(child, 0)[1] for child in children]
    return support.answer_text(start_response, "%r\n" % codes)


def descriptors(environ, start_response):
    """What a program that the application starts finds open beyond its standard streams."""
    file = os.path.join(support.NOTES, support.query(environ, "note"))
    # os.system closes nothing, other than subprocess.
    os.system("for d in /proc/self/fd/*; do readlink $d; done >'%s'" % file)
    return support.answer_text(start_response, "listed\n")


def pid_alone(environ, start_response):
    return support.answer_text(start_response, "%d" % os.getpid())


VIEWS = {
    "worker": worker,
    "meet": meet,
    "event": event,
    "read": read,
    "globals": modify_globals,
    "fork": fork,
    "descriptors": descriptors,
    "pid": pid_alone,
}
