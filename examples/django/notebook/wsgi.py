"""The WSGI callable of the site: overlay --application-type module notebook.wsgi."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notebook.settings")
application = get_wsgi_application()
