"""Runs in the user's interpreter before anything else of overlay.

Makes the package _overlay of the sources that the server process sent, so
that no file of overlay has to lie anywhere.
"""

import sys


class Loader:
    """Gives tracebacks the lines of the worker program."""

    def __init__(self, source):
        self.source = source

    def get_source(self, name):
        return self.source


def boot(sources, order, control_descriptor, data_descriptor, settings):
    """Installs the modules named in order and runs the last one's main."""
    package = type(sys)("_overlay")
    package.__path__ = []
    package.sources = sources  # those not in order are loaded when they are imported (host.py)
    sys.modules["_overlay"] = package
    for name in order:
        module = type(sys)("_overlay." + name)
        module.__file__ = "<overlay>/%s.py" % name
        module.__loader__ = Loader(sources[name])
        sys.modules[module.__name__] = module
        setattr(package, name, module)
        exec(compile(sources[name], module.__file__, "exec", dont_inherit=True), module.__dict__)
    return module.main(control_descriptor, data_descriptor, settings)
