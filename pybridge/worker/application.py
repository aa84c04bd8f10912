"""Finds and loads the application that a worker process runs."""

import os
import site
import sys

MODULE_NAME = "__wsgi__"  # of a script file; in sys.modules, so that its classes can be pickled


class LoadError(Exception):
    """What is wrong with how the application was named; no traceback needed."""


def prepare(settings):
    """Sets up the process as the application expects to find it."""
    for name, value in settings["environment"]:
        os.environ[name] = value
    directory = settings["directory"]
    os.chdir(directory)
    # `python -c` has put "" first: the application's own directories take its place.
    if sys.path and sys.path[0] == "":
        del sys.path[0]
    if settings["kind"] == "script":
        folder = os.path.dirname(settings["entry"])
        if folder != directory:
            sys.path.insert(0, folder)
    sys.path.insert(0, directory)
    for path in settings["path"]:
        add_directory(path)
    sys.argv[:] = [settings["entry"]]


def add_directory(path):
    """Puts path and what its .pth files name in front of the standard library's places."""
    before = list(sys.path)
    site.addsitedir(path)
    added = [entry for entry in sys.path if entry not in before]
    if path not in added:
        added.insert(0, path)
    sys.path[:] = before[:1] + added + [entry for entry in before[1:] if entry not in added]


def load(settings):
    """Returns the application, and the file name of its module if it has one."""
    entry, name = settings["entry"], settings["callable"]
    if settings["kind"] == "script":
        module = load_script(entry)
    else:
        from importlib import import_module

        module = import_module(entry)
    found = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise LoadError("%s has no %r%s" % (entry, name, suggest(module))) from None
    if not callable(found):
        raise LoadError("%r in %s is %s, which cannot be called" % (name, entry, type(found).__name__))
    return found, getattr(module, "__file__", None) or ""


def load_script(path):
    """Runs the script file as a module; leaves no compiled file beside it."""
    with open(path, "rb") as file:
        source = file.read()
    module = type(sys)(MODULE_NAME)
    module.__file__ = path
    sys.modules[MODULE_NAME] = module
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[MODULE_NAME]
        raise
    return module


def suggest(module):
    """Names what the application may be called in module, for the log."""
    likely = [
        name
        for name, value in vars(module).items()
        if name in ("app", "application", "wsgi", "wsgi_app", "api", "server")
        or callable(value) and not isinstance(value, type) and "app" in name.lower()
    ]
    if not likely:
        return ""
    return "; try --callable-object %s" % min(likely, key=len)


class Files:
    """The files that the application is made of: where its modules came from.

    Those of the standard library are left out; nobody edits them.
    """

    def __init__(self):
        self.told = set()
        self.modules = set()  # names of those that there were the last time

    def new(self):
        """Returns those that have not been returned before."""
        names = set(list(sys.modules))  # of a list: other threads import meanwhile
        if names == self.modules:
            return []
        modules = [sys.modules.get(name) for name in names - self.modules]
        self.modules = names
        library = os.path.dirname(os.__file__) + os.sep
        packages = (os.path.join(library, "site-packages"), os.path.join(library, "dist-packages"))
        found = []
        for module in modules:
            path = getattr(module, "__file__", None)
            if not isinstance(path, str) or not os.path.isabs(path) or path in self.told:
                continue
            self.told.add(path)
            if not path.startswith(library) or path.startswith(packages):
                found.append(path)
        return found
