"""The Flask example inside wsgiref.validate: what a framework does, held to PEP 3333.

Run it with --python-path examples/flask.
"""

from wsgiref.validate import validator

from app import app

validated = validator(app)
