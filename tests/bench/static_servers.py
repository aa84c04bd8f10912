"""The file servers that overlay is compared with."""

import install
import nginx
from servers import ACCOUNT, AS_ROOT, FIXED, GROUP, OVERLAY, Command, Server, go_tls, output_of

LIGHTTPD = """\
{account}
server.port = {port}
server.bind = "127.0.0.1"
server.document-root = "{document_root}"
server.modules = ( "mod_deflate"{tls_module} )
server.errorlog = "{directory}/error.log"
server.event-handler = "linux-sysepoll"
server.network-backend = "sendfile"
server.max-fds = 16384
server.max-connections = 4096
server.listen-backlog = 1024
server.max-keep-alive-requests = 100000000
server.max-keep-alive-idle = 75
mimetype.assign = ( ".html" => "text/html", ".css" => "text/css", ".js" => "application/javascript",
    ".png" => "image/png", "" => "application/octet-stream" )
deflate.allowed-encodings = ( "gzip" )
deflate.mimetypes = ( "application/javascript", "text/css" )
deflate.cache-dir = "{directory}/deflate"
{tls}
"""

LIGHTTPD_TLS = """\
ssl.engine = "enable"
ssl.pemfile = "{certificate.chain}"
ssl.privkey = "{certificate.key}"
ssl.openssl.ssl-conf-cmd = ( "Options" => "ServerPreference",
    "Ciphersuites" => "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256" )
"""


def lighttpd(site):
    """One process, as its authors advise, and compressed copies kept in a directory."""
    account = f'server.username = "{ACCOUNT}"\nserver.groupname = "{GROUP}"' if AS_ROOT else ""
    cache = site.directory / "deflate"
    cache.mkdir()
    cache.chmod(0o777)
    configuration = site.write("lighttpd.conf", LIGHTTPD.format(
        account=account, port=site.port, document_root=site.document_root, directory=site.directory,
        tls_module=', "mod_openssl"' if site.certificate else "",
        tls=LIGHTTPD_TLS.format(certificate=site.certificate) if site.certificate else ""))
    return [Command([install.find("lighttpd"), "-D", "-f", configuration])]


def fasthttp_fs(site):
    compressed = site.directory / "compressed"
    compressed.mkdir()
    return [Command([install.build("./tests/bench/fasthttpfs"), "-address", f"127.0.0.1:{site.port}",
                     "-root", site.document_root, "-compress-root", compressed, *go_tls(site)])]


CADDYFILE = """\
{{
    admin off
    auto_https off
    persist_config off
}}
{url} {{
    {tls}
    root * {document_root}
    encode gzip
    file_server {{
        precompressed gzip
    }}
}}
"""


def caddy(site):
    configuration = site.write("Caddyfile", CADDYFILE.format(
        url=site.url, document_root=site.document_root,
        tls=f"tls {site.certificate.chain} {site.certificate.key}" if site.certificate else ""))
    homes = {"XDG_DATA_HOME": str(site.directory), "XDG_CONFIG_HOME": str(site.directory)}
    return [Command([install.CACHE / "bin" / "caddy", "run", "--config", configuration], environment=homes)]


NGINX = Server("nginx", ("nginx",), nginx.static, nginx.version)

SERVERS = [
    FIXED,
    OVERLAY,
    NGINX,
    Server("lighttpd", ("lighttpd",), lighttpd, lambda: output_of(install.find("lighttpd"), "-v")),
    Server("fasthttp.FS", ("go",), fasthttp_fs, lambda: output_of("go", "list", "-C", str(install.REPOSITORY), "-m", "github.com/valyala/fasthttp")),
    Server("Caddy", (str(install.CACHE / "bin" / "caddy"),), caddy, lambda: "Caddy " + install.CADDY.split("@")[1]),
]
