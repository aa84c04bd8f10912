"""Settings of the example. Everything it writes is below NOTEBOOK_VAR, apart from
the static files, which collectstatic puts into the document root NOTEBOOK_HTDOCS.
"""

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("NOTEBOOK_VAR", BASE_DIR / "var"))
DOCUMENT_ROOT = Path(os.environ.get("NOTEBOOK_HTDOCS", BASE_DIR / "htdocs"))


def secret_key():
    """The key that signs sessions: from the environment, else made once and kept in var.

    Every worker process must read the same key, and two may start at once: the
    file appears whole, by a link that the second of them does not get.
    """
    if key := os.environ.get("DJANGO_SECRET_KEY"):
        return key
    file = VAR_DIR / "secret-key"
    if not file.exists():
        VAR_DIR.mkdir(parents=True, exist_ok=True)
        draft = VAR_DIR / ("secret-key.%d" % os.getpid())
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(get_random_secret_key())
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text()


SECRET_KEY = secret_key()
DEBUG = os.environ.get("DJANGO_DEBUG") == "1"
# An example for loopback. A site that is reached from elsewhere names itself here,
# and in CSRF_TRUSTED_ORIGINS where something in front of it speaks HTTPS.
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "notes",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "notebook.urls"
WSGI_APPLICATION = "notebook.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR_DIR / "db.sqlite3",
        # Several worker processes write to one file: wait for the lock, seconds.
        "OPTIONS": {"timeout": 20},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "notes"
LOGOUT_REDIRECT_URL = "notes"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# overlay serves /static/ from the document root; Django only names the URLs.
STATIC_URL = "/static/"
STATIC_ROOT = DOCUMENT_ROOT / "static"
# Uploads are not in the document root: only views.download hands them out.
MEDIA_ROOT = VAR_DIR / "uploads"
