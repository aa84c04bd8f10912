package main

import (
	"errors"
	"reflect"
	"time"

	"github.com/alecthomas/kong"
)

// commandLine is the grammar of the command line. Serving is the default
// command, so that `overlay hello.wsgi` means `overlay start-server hello.wsgi`,
// the words that mod_wsgi-express has for it. Further commands become further
// fields beside StartServer.
type commandLine struct {
	Help    bool `short:"h" help:"Show this help and exit."`
	Version bool `help:"Show the versions of overlay, Go and the Python that would run, and exit."`

	StartServer serveCommand `cmd:"" default:"withargs" help:"Serve files and an application (the default command)."`
	Share       shareCommand `cmd:"" help:"Share a folder with devices that get a certificate: overlay share DIR --with NAME."`
	Cert        certCommand  `cmd:"" help:"Make and revoke certificates: overlay cert init, server, client, list, revoke."`
}

// serveCommand holds the options of serving as they were typed. Defaults are in
// the tags, and from there in the help; meaning and checks across options are in
// flags_check.go. No tag holds a comma-separated list of allowed values: kong's
// message about a wrong one has no hint, ours (oneOf) has.
type serveCommand struct {
	EntryPointArgument string `arg:"" optional:"" name:"entry-point"`

	DocumentRoot      string        `group:"Files" placeholder:"DIR" help:"Serve the files below DIR; they win over the application. Dotfiles are never served, nor are Python sources beside an application."`
	DirectoryIndex    commaList     `group:"Files" placeholder:"NAME" default:"index.html" help:"Index file of a directory; repeat it or separate with commas, in order of preference."`
	DirectoryListing  bool          `group:"Files" help:"Show the names in a directory that has no index file."`
	URLAlias          pairList      `group:"Files" name:"url-alias" placeholder:"PATH TARGET" help:"Serve the file or directory TARGET at the URL path PATH. PATH=TARGET works too. Repeatable."`
	DirectoryDownload bool          `group:"Files" help:"Offer a folder and all below it as a zip or tar archive: ?download=zip, ?download=tar."`
	TryExtension      repeatedList  `group:"Files" placeholder:".EXT" help:"Try a name with this behind it when it is not there: with .html, /about answers with about.html. Repeatable."`
	SPA               string        `group:"Files" name:"spa" placeholder:"PATH" help:"Page of a single-page application, such as /index.html: the answer to what is not there."`
	ErrorDocument     pairList      `group:"Files" placeholder:"STATUS PATH" help:"Body of error answers with this status: a file of the document root. Repeatable."`
	RedirectsFile     string        `group:"Files" placeholder:"FILE" help:"Redirects for what is not there: a line is FROM TO [STATUS]."`
	Hide              repeatedList  `group:"Files" placeholder:"PATTERN" help:"Do not serve or list names that fit, nor anything below them. Repeatable."`
	FollowSymlinks    string        `group:"Files" placeholder:"WHICH" default:"inside" help:"Symbolic links that are followed: inside (the document root), never or any."`
	Header            pairList      `group:"Files" placeholder:"NAME VALUE" help:"Add a field to answers with a file. Repeatable."`
	CacheControl      pairList      `group:"Files" placeholder:"PATTERN VALUE" help:"Cache-Control of files whose name fits. Otherwise a year for names with a hash in them, and no-cache. Repeatable."`
	CORS              repeatedList  `group:"Files" name:"cors" placeholder:"ORIGIN" help:"Let scripts of this origin read files; * for all. Repeatable."`
	MimeTypes         string        `group:"Files" placeholder:"FILE" help:"Media types that go before the built-in ones, in the format of Apache or nginx."`
	NoCompression     bool          `group:"Files" help:"Do not compress files on the fly."`
	NoPrecompressed   bool          `group:"Files" help:"Do not look for app.js.br, app.js.zst and app.js.gz beside app.js."`
	CacheSize         byteSize      `group:"Files" placeholder:"SIZE" default:"256M" help:"Memory for small files and compressed forms; 0 means none."`
	CacheRevalidate   time.Duration `group:"Files" placeholder:"TIME" default:"1s" help:"Time for which a look at the file system is believed; 0 looks at every request."`
	CacheEntries      int           `group:"Files" placeholder:"N" default:"32768" help:"Paths that are remembered, those without a file too."`
	CachePeers        commaList     `group:"Files" placeholder:"URL,..." help:"Other overlay servers of the same document root: coded forms are made once for all. Needs --cache-self and --cache-secret-file."`
	CacheSelf         string        `group:"Files" placeholder:"URL" help:"URL under which the peers reach this server; it listens there for them alone."`
	CacheSecretFile   string        `group:"Files" placeholder:"FILE" help:"Secret that the peers share, 16 bytes at least."`

	ApplicationType  string       `group:"Application" placeholder:"TYPE" help:"How ENTRY-POINT names the application: script (a file), module (an importable name, also MODULE:CALLABLE) or static (no application). Default: script, or static without ENTRY-POINT."`
	EntryPoint       string       `group:"Application" placeholder:"NAME" help:"The same as ENTRY-POINT, as an option."`
	CallableObject   string       `group:"Application" placeholder:"NAME" default:"application" help:"Name of the WSGI callable in the script or module."`
	MountPoint       string       `group:"Application" placeholder:"PATH" default:"/" help:"URL path below which the application lives."`
	Mount            pairList     `group:"Application" placeholder:"PATH APP" help:"Another application below the URL path PATH: a script file, or a module as MODULE:CALLABLE. It has worker processes of its own, with the same settings. Repeatable."`
	WorkingDirectory string       `group:"Application" placeholder:"DIR" help:"Working directory of the application, first on sys.path. Default: where overlay is started."`
	Setenv           pairList     `group:"Application" placeholder:"NAME VALUE" help:"Set a variable in os.environ and in the WSGI environ. NAME=VALUE works too. Repeatable."`
	Python           string       `group:"Python" placeholder:"PATH" help:"Interpreter that runs the application, or the folder of a virtual environment. Default: the one in $$VIRTUAL_ENV, else in .venv beside the application, else python3 on PATH."`
	PythonPath       repeatedList `group:"Python" placeholder:"DIR" help:"Add DIR to sys.path and read its .pth files. Repeatable."`
	EmbeddedMode     bool         `group:"Python" help:"Run Python inside the server process: faster by far, but a crash of the application ends the server. Needs a shared libpython."`
	NoModWsgiModule  bool         `group:"Python" name:"no-mod-wsgi-module" help:"Leave out the module mod_wsgi, which gives monitoring written for Apache's mod_wsgi what it looks for; the module overlay stays."`

	Processes      int           `group:"Processes and queue" placeholder:"N" default:"1" help:"Worker processes."`
	Threads        int           `group:"Processes and queue" placeholder:"N" default:"5" help:"Request threads in each worker process."`
	QueueBacklog   int           `group:"Processes and queue" placeholder:"N" default:"100" help:"Requests that may wait for a free thread; one more is answered 503 at once."`
	QueueTimeout   time.Duration `group:"Processes and queue" placeholder:"TIME" default:"45s" help:"Longest wait for a free thread, then 503."`
	StartupTimeout time.Duration `group:"Processes and queue" placeholder:"TIME" default:"15s" help:"Time that a worker process may take to import the application."`

	MaximumRequests   int           `group:"Processes and queue" placeholder:"N" help:"Replace a worker process after N requests, or up to a tenth less. Default: never."`
	RestartInterval   time.Duration `group:"Processes and queue" placeholder:"TIME" help:"Replace a worker process at this age. Default: never."`
	CPUTimeLimit      time.Duration `group:"Processes and queue" name:"cpu-time-limit" placeholder:"TIME" help:"Replace a worker process that has used so much CPU time. Default: never."`
	MemoryLimit       byteSize      `group:"Processes and queue" placeholder:"SIZE" help:"Replace a worker process with so much resident memory. Default: never."`
	InactivityTimeout time.Duration `group:"Processes and queue" placeholder:"TIME" help:"Stop a worker process that had no request for so long; the next request starts one. Default: never."`
	ProcessesMin      int           `group:"Processes and queue" placeholder:"N" help:"Worker processes that --inactivity-timeout leaves. Default: 1; with 0, an idle site has none."`
	ReloadOnChanges   bool          `group:"Processes and queue" help:"Replace the worker processes when a file changes that the application has imported."`
	ReloadPattern     repeatedList  `group:"Processes and queue" placeholder:"PATTERN" help:"With --reload-on-changes: also when a file with such a name changes below the working directory, *.html for example. Repeatable."`
	DisableReloading  bool          `group:"Processes and queue" help:"Do not look whether the script has changed. SIGHUP reloads all the same."`
	Rolling           bool          `group:"Processes and queue" help:"Reload one worker process at a time, where memory does not suffice for old and new ones together."`

	RequestTimeout     time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"60s" help:"Longest silence of the application before and within a response: the client gets 504, the thread overlay.RequestTimeout. 0 means no limit."`
	InterruptTimeout   time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"5s" help:"Time that overlay.RequestTimeout may take to free its thread; then the worker process is replaced."`
	DeadlockTimeout    time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"60s" help:"Time that a worker process may run no Python at all; then it is replaced. 0 means no limit."`
	ShutdownTimeout    time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"5s" help:"Time that the exit handlers of a worker process may take; then it is killed."`
	ResponseBufferSize byteSize      `group:"Limits and timeouts" placeholder:"SIZE" default:"1M" help:"Bytes of one response that wait in memory for a slow client."`
	ResponseSpoolSize  byteSize      `group:"Limits and timeouts" placeholder:"SIZE" default:"128M" help:"Bytes of one response that wait in a temporary file after that; beyond both, the application waits."`
	LimitRequestBody   byteSize      `group:"Limits and timeouts" placeholder:"SIZE" default:"10M" help:"Largest request body; a larger one is answered 413. K, M and G stand for powers of 1024."`
	StreamRequestBody  repeatedList  `group:"Limits and timeouts" placeholder:"PATTERN" help:"Let the application read the bodies of requests for such paths as they arrive, /upload/* for example, instead of receiving them whole first. Repeatable."`
	GracefulTimeout    time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"15s" help:"Time that a stop waits for requests in flight."`
	HeaderTimeout      time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"15s" help:"Time that a client may take to send the head of a request."`
	HeaderMaxTimeout   time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"30s" help:"Time for the head of a request when bytes have extended it; 0 means no limit."`
	HeaderMinRate      byteSize      `group:"Limits and timeouts" placeholder:"SIZE" default:"500" help:"Bytes of a head that extend its time by a second; 0 means that none do."`
	BodyTimeout        time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"15s" help:"Time that a request body may take before its rate counts; 0 means no limit."`
	BodyMaxTimeout     time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"0s" help:"Time that a request body may take at any rate; 0 means no limit."`
	BodyMinRate        byteSize      `group:"Limits and timeouts" placeholder:"SIZE" default:"500" help:"Bytes of a body that extend its time by a second: a slower client gets 408; 0 means that none do."`
	KeepAliveTimeout   time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"75s" help:"Time that a connection may stay idle between two requests; 0 closes it after each response."`
	SocketTimeout      time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"60s" help:"Longest silence of a client in the middle of a body or a response."`

	ResponseSocketTimeout time.Duration `group:"Limits and timeouts" placeholder:"TIME" default:"0s" help:"Longest silence of a client that has yet to take a response; 0 means that of --socket-timeout."`

	Host      string `group:"Listener and TLS" placeholder:"ADDRESS" default:"127.0.0.1" help:"Address to listen on; 0.0.0.0 or :: for all of this machine."`
	Port      int    `group:"Listener and TLS" placeholder:"N" default:"8000" help:"Port for HTTP; 0 lets the system choose one."`
	HTTPSPort int    `group:"Listener and TLS" name:"https-port" placeholder:"N" help:"Port for HTTPS, beside the one for HTTP; 0 lets the system choose one."`

	httpsFlags

	LogLevel        string `group:"Logs and metrics" placeholder:"LEVEL" default:"info" help:"What the log on stderr is about: debug, info, warn or error, and what is worse."`
	LogFormat       string `group:"Logs and metrics" placeholder:"FORMAT" default:"text" help:"Format of the log on stderr: text or json."`
	AccessLog       bool   `group:"Logs and metrics" help:"Write a line for each response to stdout."`
	AccessLogFormat string `group:"Logs and metrics" placeholder:"FORMAT" default:"common" help:"Format of the access log: common, combined or json."`
	metricsFlags
}

// newParser returns the parser of a grammar, a *commandLine outside of tests.
func newParser(grammar any) *kong.Kong {
	return kong.Must(grammar, // a wrong grammar panics in any test
		kong.Name("overlay"),
		kong.NoDefaultHelp(),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(decodeSeconds)),
		kong.KindMapper(reflect.Int, kong.MapperFunc(decodeInt)),
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeString)),
		kong.KindMapper(reflect.Bool, switchMapper{}),
	)
}

// parse reads args into a new commandLine. The context tells which command was
// chosen and which options were given. Every error is a usageError.
func parse(args []string) (*commandLine, *kong.Context, error) {
	cli := &commandLine{}
	parser := newParser(cli)
	ctx, err := parser.Parse(args)
	var incomplete *kong.ParseError
	if errors.As(err, &incomplete) && given(incomplete.Context)["help"] > 0 {
		cli.Help = true // overlay cert --help: what is missing is what is asked for
		return cli, incomplete.Context, nil
	}
	if err != nil {
		if incomplete != nil && isCommand(incomplete.Context.Selected(), parser.Model) {
			return nil, nil, explainCommandError(err.Error(), args, incomplete.Context.Selected(), parser.Model)
		}
		return nil, nil, explainParseError(err, args, parser.Model)
	}
	if err := refuseRepeated(ctx); err != nil {
		return nil, nil, err
	}
	return cli, ctx, nil
}

// given returns the names of the options that stand on the command line, with
// how often each does.
func given(ctx *kong.Context) map[string]int {
	names := map[string]int{}
	for _, path := range ctx.Path {
		if path.Flag != nil {
			names[path.Flag.Name]++
		}
	}
	return names
}

// refuseRepeated refuses a second occurrence of an option that holds one value:
// the first could not take effect, and the design wants that said, although
// mod_wsgi-express lets the last one win.
func refuseRepeated(ctx *kong.Context) error {
	names := given(ctx)
	for _, path := range ctx.Path {
		if f := path.Flag; f != nil && names[f.Name] > 1 && f.Target.Kind() != reflect.Slice && !f.IsBool() {
			return usagef("keep one of them", "--%s is given %d times", f.Name, names[f.Name])
		}
	}
	return nil
}
