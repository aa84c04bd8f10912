"""Configuration of nginx, as an expert would tune it for two cores and many keep-alive connections."""

import install
from servers import ACCOUNT, AS_ROOT, GROUP, Command, output_of

FRAME = """\
{account}
worker_processes 2;
worker_rlimit_nofile 65536;
daemon off;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 4096; }}
http {{
    types {{ text/html html; text/css css; application/javascript js; image/png png; }}
    default_type application/octet-stream;
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 75s;
    keepalive_requests 100000000;
    client_body_buffer_size 64k;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{http}
    server {{
        listen 127.0.0.1:{port} {tls}backlog=1024;
{server}
    }}
}}
"""

# ssl_buffer_size stays at 16k, which is best for throughput: smaller records are for the
# first byte on a slow line. The ciphers are in the order of the Go servers, which is faster
# than OpenSSL's.
TLS = """
        ssl_certificate {certificate.chain};
        ssl_certificate_key {certificate.key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:SSL:10m;
        ssl_session_timeout 1h;
        ssl_buffer_size 16k;
        ssl_prefer_server_ciphers on;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256;"""

STATIC_HTTP = """\
    open_file_cache max=20000 inactive=60s;
    open_file_cache_valid 30s;
    open_file_cache_min_uses 1;
    open_file_cache_errors on;
    gzip on;
    gzip_types application/javascript text/css;
    gzip_static on;
"""


def command(site, server, http=""):
    """nginx with the directives http in its http block and server in its server block."""
    account = f"user {ACCOUNT} {GROUP};" if AS_ROOT else ""
    tls = ""
    if site.certificate:
        tls, server = "ssl ", server + TLS.format(certificate=site.certificate)
    configuration = site.write("nginx.conf", FRAME.format(account=account, port=site.port, tls=tls, http=http, server=server))
    return Command([install.find("nginx"), "-p", site.directory, "-c", configuration, "-e", "error.log"])


def static(site):
    return [command(site, f"        root {site.document_root};", STATIC_HTTP)]


def version():
    return output_of(install.find("nginx"), "-v")
