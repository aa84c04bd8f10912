"""A Django project as small as a real one gets: settings, URLs, the WSGI callable."""
