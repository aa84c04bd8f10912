package main

// foreignOptions answers options that people know from the programs which overlay
// replaces, where its own has another name or there is no use for one.
var foreignOptions = map[string]string{
	// python -m http.server
	"-b":          "the address to listen on is --host",
	"--bind":      "the address to listen on is --host and --port",
	"-d":          "the folder to serve is --document-root",
	"--directory": "the folder to serve is --document-root",
	"-p":          "the port is --port",
	"--protocol":  "overlay speaks HTTP/1.1, and needs no option for it",
	"--cgi":       "overlay runs WSGI applications, not CGI scripts",
	"-v":          "the option is --version",
	"-V":          "the option is --version",
	// gunicorn, uwsgi, waitress
	"-w":             "worker processes are --processes",
	"--workers":      "worker processes are --processes",
	"--worker-class": "threads are --threads; there are no other classes of workers",
	"--chdir":        "the application's directory is --working-directory",
	"--pythonpath":   "the option is --python-path",
	"--wsgi-file":    "give the file as the entry point: overlay FILE",
	"--certfile":     "the option is --ssl-certificate-file",
	"--keyfile":      "the option is --ssl-certificate-key-file",
	"--listen":       "the address to listen on is --host and --port",
	"--env":          "the option is --setenv NAME VALUE",

	// mod_wsgi-express
	"--log-to-terminal":    "overlay always logs to the terminal: leave it out",
	"--chunked-request":    "overlay always accepts chunked request bodies: leave it out",
	"--enable-sendfile":    "overlay sends files with sendfile anyway: leave it out",
	"--compress-responses": "files are compressed anyway; answers of the application are its own matter",
	"--python-eggs":        "eggs are a thing of the past: leave it out",
	"--python-warnings":    "set it for overlay: PYTHONWARNINGS=... overlay ...",
	"--rewrite-rules":      "Apache's rewrite rules are not understood; see --redirects-file",
	"--include-file":       "Apache's directives are not understood",
	"--allow-override":     "Apache's .htaccess files are not understood",
	"--error-override":     "answers of the application stay as they are; --error-document is for those of overlay",
	"--error-log-format":   "the option is --log-format, text or json",
	"--max-clients":        "connections are not limited; see --queue-backlog for requests that wait",
	"--daemon-backlog":     "the option is --queue-backlog",
	"--connect-timeout":    "the wait for a free thread is --queue-timeout",
	"--proxy-timeout":      "the time that an answer may take is --request-timeout",
	"--eviction-timeout":   "the time that a stop waits is --graceful-timeout",
	"--ignore-activity":    "every request counts for --inactivity-timeout",
	"--slow-requests":      "--access-log-format json has the duration of each request",
	"--map-head-to-get":    "the application sees HEAD as HEAD; nothing of its body is sent",
	"--switch-interval":    "the application may call sys.setswitchinterval",
	"--free-threading":     "name such an interpreter: --python PATH",
	"--http2":              "HTTP/2 is on wherever there is HTTPS: leave it out",
	"--ssl-port":           "the option is --https-port",
	"--allow-localhost":    "name it: --server-alias localhost",
	"--process-name":       "worker processes keep the name of their interpreter: leave it out",
	"--pid-file":           "overlay stays in the foreground: whoever starts it knows its process",
	"--enable-docs":        "the pages are in docs/",

	"--server-mpm":            hintNoApache,
	"--httpd-executable":      hintNoApache,
	"--modules-directory":     hintNoApache,
	"--rotatelogs-executable": hintNoApache,
	"--shell-executable":      hintNoApache,
	"--initial-workers":       hintNoApache,
	"--minimum-spare-workers": hintNoApache,
	"--maximum-spare-workers": hintNoApache,
	"--socket-prefix":         hintNoApache,
	"--startup-log":           hintNoApache,
	"--startup-log-name":      hintNoApache,
	"--header-buffer-size":    hintNoApache,
	"--send-buffer-size":      hintNoApache,
	"--receive-buffer-size":   hintNoApache,
	"--response-flush-delay":  hintNoApache,
	"--server-backlog":        hintNoApache,
	"--verbose-debugging":     hintNoApache,

	"--debug-mode":         hintNoDebugging,
	"--enable-debugger":    hintNoDebugging,
	"--debugger-startup":   hintNoDebugging,
	"--enable-profiler":    hintNoDebugging,
	"--profiler-directory": hintNoDebugging,
	"--enable-coverage":    hintNoDebugging,
	"--coverage-directory": hintNoDebugging,
	"--enable-recorder":    hintNoDebugging,
	"--recorder-directory": hintNoDebugging,
	"--enable-gdb":         hintNoDebugging,
	"--gdb-executable":     hintNoDebugging,

	"--auth-user-script":   hintNoPasswords,
	"--auth-type":          hintNoPasswords,
	"--auth-group-script":  hintNoPasswords,
	"--auth-group":         hintNoPasswords,
	"--host-access-script": hintNoPasswords,

	"--proxy-mount-point":  hintNoProxy,
	"--proxy-url-alias":    hintNoProxy,
	"--proxy-virtual-host": hintNoProxy,

	"--trust-proxy":        hintNoTrust,
	"--trust-proxy-header": hintNoTrust,

	"--service-script":   hintNoServices,
	"--service-user":     hintNoServices,
	"--service-group":    hintNoServices,
	"--service-log-file": hintNoServices,

	"--server-metrics":     hintMetrics,
	"--server-status":      hintMetrics,
	"--enable-telemetry":   hintMetrics,
	"--telemetry-service":  hintMetrics,
	"--telemetry-interval": hintMetrics,
	"--telemetry-options":  hintMetrics,
	"--telemetry-ui-port":  hintMetrics,

	"--log-directory":   hintLogs,
	"--error-log-name":  hintLogs,
	"--access-log-name": hintLogs,
	"--rotate-logs":     hintLogs,
	"--max-log-size":    hintLogs,

	"--application-group":  hintNoInterpreters,
	"--process-group":      hintNoInterpreters,
	"--orphan-interpreter": hintNoInterpreters,

	"--user":  hintIdentity,
	"--group": hintIdentity,

	"--locale": hintLocale,
	"--lang":   hintLocale,

	"--envvars-script": hintEnv,
	"--env-file":       hintEnv,
	"--passenv":        hintEnv,

	"--add-handler": hintNoHandlers,
	"--with-cgi":    hintNoHandlers,
	"--with-php5":   hintNoHandlers,

	"--server-root": hintNoFiles,
	"--setup-only":  hintNoFiles,
}

// What holds for several options.
const (
	hintNoApache       = "there is no Apache beneath overlay: leave it out"
	hintNoDebugging    = "overlay has no tools for debugging of its own: leave it out"
	hintNoPasswords    = "overlay asks for client certificates, --ssl-ca-certificate-file, and not for passwords; the application may"
	hintNoProxy        = "overlay passes nothing on to other servers"
	hintNoTrust        = "overlay trusts no field of a proxy; the application finds X-Forwarded-For as HTTP_X_FORWARDED_FOR"
	hintNoServices     = "overlay runs one application and no services: start them beside it"
	hintMetrics        = "metrics for Prometheus are --metrics-listen"
	hintLogs           = "the log is on stderr, the access log on stdout: leave files and their rotation to the shell or systemd"
	hintNoInterpreters = "each application has processes of its own, and no sub-interpreters: leave it out, see --mount"
	hintIdentity       = "start overlay as that user"
	hintLocale         = "set it for overlay: LANG=C.UTF-8 overlay ..."
	hintEnv            = "the environment of overlay is the application's: leave it out; --setenv NAME VALUE adds to it"
	hintNoHandlers     = "overlay runs WSGI applications alone"
	hintNoFiles        = "overlay generates no files: leave it out"
)

// foreignCommands answers first words that other programs have there.
var foreignCommands = map[string]string{
	"help":         "the option is --help",
	"version":      "the option is --version",
	"serve":        "serving needs no word: overlay --document-root DIR, or overlay hello.wsgi",
	"run":          "serving needs no word: overlay hello.wsgi",
	"runserver":    "serving needs no word: overlay --application-type module mysite.wsgi",
	"runmodwsgi":   "serving needs no word: overlay --application-type module mysite.wsgi",
	"setup-server": "nothing has to be generated: overlay hello.wsgi serves",
}
