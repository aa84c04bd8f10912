"""What the modules `overlay` and `mod_wsgi` are told of this process, and where
they come from: they are made when the application imports them.

Nothing of a request passes here. The application is called directly until
somebody wants to know about requests; from then on an Observer stands before it.
"""

import sys
from threading import RLock, get_ident
from time import time

# Module of the application to module of the worker program.
PUBLIC = {"overlay": "overlay_module", "mod_wsgi": "mod_wsgi_module"}

this = None  # the Host of this process


class Host:
    """This process: its place in the server, and a way to stand before its application."""

    def __init__(self, settings):
        self.version = settings["version"]
        self.process_group = settings["group"]
        self.threads = settings["threads"]
        self.processes = settings["processes"]
        self.daemon = True  # False: the server process itself
        self.born = time()
        self.application = None  # what serves, once it is loaded
        self.events = None  # who has subscribed to what
        self.observer = None  # what stands before the application
        self.reason = ""  # what made this process ask to be replaced
        self._use = None
        self._running = list
        self._lock = RLock()  # an Observer asks for the subscribers

    def attach(self, application, use, running):
        """Says how the application can be replaced, and what runs.

        use(callable) makes the host call that one from the next request on;
        running() returns a list of (request number, thread identifier).
        """
        with self._lock:
            self.application, self._use, self._running = application, use, running
            if self.observer is not None:
                use(self.observer)

    def subscribers(self):
        """Returns the Events of this process."""
        with self._lock:
            if self.events is None:
                from _overlay.events import Events

                self.events = Events()
            return self.events

    def observe(self):
        """Returns the Observer, which from now on sees each request."""
        with self._lock:
            if self.observer is None:
                from _overlay.observe import Observer

                self.observer = Observer(self)
                if self._use is not None:
                    self._use(self.observer)
            return self.observer

    def running(self):
        """The requests in flight, as far as the host knows: (number, thread identifier) of each."""
        return self._running()

    def number(self):
        """The number of the request that the calling thread runs, or None."""
        thread = get_ident()
        for number, other in self._running():
            if other == thread:
                return number
        return None

    def stopping(self, reason):
        """Tells the subscribers that this process is about to end."""
        if self.events is not None:
            self.events.stop(reason or self.reason or "shutdown_signal")


class Finder:
    """An import hook (importlib.abc.MetaPathFinder) for overlay and mod_wsgi.

    A module `overlay` of the application's own wins: there may well be one.
    mod_wsgi's express package, if it is installed, stays what it is below
    mod_wsgi; only the module above it is ours, as it is mod_wsgi's in Apache.
    """

    def __init__(self, sources, names):
        self.sources = sources
        self.names = names  # of PUBLIC

    def find_spec(self, name, path=None, target=None):
        package, _, rest = name.partition(".")
        if package == "_overlay" and rest in self.sources:
            return self.spec(name, rest)
        if name not in self.names:
            return None
        from importlib.machinery import PathFinder

        theirs = PathFinder.find_spec(name)
        if name == "overlay" and theirs is not None and theirs.loader is not None:
            return None
        spec = self.spec(name, PUBLIC[name])
        if theirs is not None:
            spec.submodule_search_locations = theirs.submodule_search_locations
        return spec

    def spec(self, name, source):
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, SourceLoader(self.sources[source], "<overlay>/%s.py" % source))


class SourceLoader:
    """Loads one module from its source text."""

    def __init__(self, source, file):
        self.source = source
        self.file = file

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(compile(self.source, self.file, "exec", dont_inherit=True), module.__dict__)

    def get_source(self, name):
        return self.source


def begin(settings):
    """Makes the Host of this process and lets the application import its modules."""
    global this
    this = Host(settings)
    names = PUBLIC if settings["mod_wsgi"] else {"overlay": PUBLIC["overlay"]}
    sys.meta_path.insert(0, Finder(sys.modules["_overlay"].sources, names))
    return this
