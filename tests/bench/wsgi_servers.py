"""The WSGI servers that overlay is compared with."""

import signal

import install
import nginx
from servers import ACCOUNT, AS_ROOT, FIXED, GROUP, OVERLAY, OVERLAY_EMBEDDED, Command, Server, output_of


def gunicorn(site, *options):
    """gunicorn behind nginx, on a Unix socket, as its documentation advises."""
    return Command(
        [site.virtual_env / "bin" / "gunicorn", "--bind", f"unix:{site.directory}/application.sock",
         "--workers", "2", *options, "--umask", "0", "--backlog", "1024", "--no-control-socket",
         "--pythonpath", site.application.directory, f"{site.application.module}:application"],
    )


PROXY = """\
        location / {
            proxy_pass http://application;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }"""


def nginx_gunicorn_sync(site):
    upstream = f"    upstream application {{ server unix:{site.directory}/application.sock fail_timeout=0; }}"
    return [gunicorn(site), nginx.command(site, PROXY, upstream)]


def nginx_gunicorn_threads(site):
    upstream = f"    upstream application {{ server unix:{site.directory}/application.sock fail_timeout=0; keepalive 32; }}"
    threads = gunicorn(site, "--worker-class", "gthread", "--threads", "5", "--keep-alive", "75")
    return [threads, nginx.command(site, PROXY, upstream)]


def uwsgi(site, threads, *socket):
    return Command(
        [install.find("uwsgi"), "--plugin", "python3", *socket, "--master", "--die-on-term", "--need-app",
         "--processes", "2", "--threads", str(threads), "--enable-threads", "--listen", "1024",
         "--disable-logging", "--virtualenv", site.virtual_env,
         "--pythonpath", site.application.directory, "--wsgi-file", site.application.script],
        stop_signal=signal.SIGTERM,
    )


def uwsgi_http(site):
    """HTTP in the worker processes themselves, nothing in front."""
    return [uwsgi(site, 5, "--http11-socket", f"127.0.0.1:{site.port}")]


def nginx_uwsgi(threads):
    def commands(site):
        socket = site.directory / "application.sock"
        location = f"        location / {{ include /etc/nginx/uwsgi_params; uwsgi_pass unix:{socket}; }}"
        return [uwsgi(site, threads, "--socket", str(socket), "--chmod-socket=666"), nginx.command(site, location)]

    return commands


APACHE = """\
{account}
ServerRoot {directory}
ServerName 127.0.0.1
PidFile apache.pid
Listen 127.0.0.1:{port}
ListenBackLog 1024
ErrorLog error.log
LogLevel warn
Mutex file:{directory} default
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
KeepAlive On
KeepAliveTimeout 75
MaxKeepAliveRequests 0
ServerLimit 2
StartServers 2
ThreadLimit {threads}
ThreadsPerChild {threads}
MaxRequestWorkers {workers}
MinSpareThreads {workers}
MaxSpareThreads {workers}
AsyncRequestWorkerFactor 64
WSGISocketPrefix {directory}/wsgi
<Directory />
    AllowOverride None
    Require all granted
</Directory>
{wsgi}
"""


def apache(site, threads, wsgi):
    account = f"User {ACCOUNT}\nGroup {GROUP}" if AS_ROOT else ""
    configuration = site.write("apache.conf", APACHE.format(
        account=account, directory=site.directory, port=site.port, modules="/usr/lib/apache2/modules",
        threads=threads, workers=2 * threads, wsgi=wsgi))
    return [Command([install.find("apache2"), "-d", site.directory, "-f", configuration, "-DFOREGROUND"])]


def mod_wsgi_daemon(site):
    """Apache has more threads than wrk connections here: else it closes connections as soon as all are busy."""
    application = site.application
    return apache(site, 64, f"""\
WSGIRestrictEmbedded On
WSGIDaemonProcess bench processes=2 threads=5 python-home={site.virtual_env} python-path={application.directory}
WSGIScriptAlias / {application.script} process-group=bench application-group=%{{GLOBAL}}""")


def mod_wsgi_embedded(site):
    """Few threads are fastest, at the price of closed connections: more threads than connections cost a tenth."""
    application = site.application
    return apache(site, 16, f"""\
WSGIPythonHome {site.virtual_env}
WSGIPythonPath {application.directory}
WSGIScriptAlias / {application.script} application-group=%{{GLOBAL}}""")


def granian(site):
    return [Command(
        [site.virtual_env / "bin" / "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(site.port),
         "--workers", "2", "--blocking-threads", "5", "--http", "1", "--no-access-log", "--log-level", "warning",
         "--working-dir", site.application.directory, f"{site.application.module}:application"],
    )]


def packaged(package):
    """Version of a package in the virtual environment, as the lock file has it."""
    for line in install.LOCK.read_text().splitlines():
        if line.startswith(package + "=="):
            return line.split()[0].replace("==", " ")
    return ""


def uwsgi_version():
    return "uwsgi " + output_of(install.find("uwsgi"), "--version")


def apache_version():
    module = output_of("dpkg-query", "-W", "-f", "mod_wsgi ${Version}", "libapache2-mod-wsgi-py3")
    return output_of(install.find("apache2"), "-v") + ", " + module


def gunicorn_version():
    return packaged("gunicorn")


MOD_WSGI_DAEMON = Server("Apache + mod_wsgi daemon 2×5", ("apache2",), mod_wsgi_daemon, apache_version)

SERVERS = [
    FIXED,
    OVERLAY,
    OVERLAY_EMBEDDED,
    Server("uwsgi --http11-socket 2×5", ("uwsgi",), uwsgi_http, uwsgi_version),
    Server("granian 2×5", (), granian, lambda: packaged("granian")),
    Server("nginx + uwsgi 2×1", ("nginx", "uwsgi"), nginx_uwsgi(1), uwsgi_version, slots=2),
    Server("nginx + uwsgi 2×5", ("nginx", "uwsgi"), nginx_uwsgi(5), uwsgi_version),
    Server("nginx + gunicorn sync 2", ("nginx",), nginx_gunicorn_sync, gunicorn_version, slots=2),
    Server("nginx + gunicorn gthread 2×5", ("nginx",), nginx_gunicorn_threads, gunicorn_version),
    Server("Apache + mod_wsgi embedded 2×16", ("apache2",), mod_wsgi_embedded, apache_version, slots=32),
    MOD_WSGI_DAEMON,
]
