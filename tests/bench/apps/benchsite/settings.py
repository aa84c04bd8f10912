"""Django as small as it goes: no database, no applications, one middleware.

A larger site spends its extra time in Python, the same under every server, and so
hides the difference between servers that the benchmark is to show.
"""

ALLOWED_HOSTS = ["127.0.0.1"]
DEBUG = False
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # sets Content-Length; uwsgi's HTTP does not end a response without
ROOT_URLCONF = "benchsite.urls"
SECRET_KEY = "not a secret: the benchmark signs nothing"
USE_TZ = True
