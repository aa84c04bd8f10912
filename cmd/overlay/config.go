package main

import (
	"log/slog"
	"path/filepath"
	"time"
)

// config is what the command line asks for: checked across options, with every
// default filled in and every file name made absolute. The rest of the program
// reads it and never looks at a flag.
type config struct {
	Host      string // address to listen on; an IP address or a host name
	Port      int    // 0 lets the kernel choose one
	HTTPS     bool   // whether there is an HTTPS listener, too
	HTTPSPort int    // 0 lets the kernel choose one, if HTTPS is set
	httpsConfig

	DocumentRoot     string   // "" means that there is none
	DirectoryIndex   []string // index files, in order of preference
	DirectoryListing bool
	URLAliases       []urlAlias
	Files            filesConfig // how files are served

	// Application names what declined requests fall through to; its Type is
	// applicationStatic when there is none.
	Application applicationConfig
	// MoreApplications are those of --mount.
	MoreApplications []applicationConfig

	Processes        int
	Threads          int
	ThreadsGiven     bool          // Threads was asked for; a free-threaded Python has another default
	NoModWSGIModule  bool          // the application cannot import mod_wsgi
	QueueBacklog     int           // requests that may wait for a free thread
	QueueTimeout     time.Duration // longest wait for a free thread
	StartupTimeout   time.Duration // from start of a worker process to its ready message
	RequestTimeout   time.Duration // longest silence of the application before and within a response; 0 means no bound
	InterruptTimeout time.Duration // from overlay.RequestTimeout in a thread to the end of its request
	DeadlockTimeout  time.Duration // longest time without any Python in a worker process; 0 means no bound
	ShutdownTimeout  time.Duration // for the exit handlers of a worker process
	WorkerLimits     workerLimits
	Reload           reloadConfig
	GracefulTimeout  time.Duration // how long a stop waits for requests in flight
	LimitRequestBody int64         // bytes
	ResponseBuffer   int           // bytes of one response that wait for a slow client in memory
	ResponseSpool    int64         // and after that in a temporary file
	SocketTimeout    time.Duration // longest silence of a client in the middle of a body

	ResponseSocketTimeout time.Duration // the same in the middle of a response; zero means SocketTimeout
	HeaderTimeout         time.Duration // from the first byte of a request to the end of its fields
	HeaderMaxTimeout      time.Duration // the same when bytes have extended it; 0 means no bound
	HeaderMinRate         int64         // bytes that extend it by a second
	BodyTimeout           time.Duration // for a request body before its rate counts; 0 means no bound
	BodyMaxTimeout        time.Duration // at any rate; 0 means no bound
	BodyMinRate           int64         // bytes per second
	KeepAliveTimeout      time.Duration // idle time between two requests of one connection; 0 closes it after each response
	LogLevel              slog.Level
	LogFormat             string // "text" or "json"
	AccessLog             bool
	AccessLogFormat       string // "common", "combined" or "json"
	MetricsListen         string // host and port of the metrics page, "" for none
	// StreamRequestBody are the paths whose bodies the application reads as they arrive.
	StreamRequestBody pathPatterns
}

// urlAlias serves the file or directory Target below the URL path Path.
type urlAlias struct{ Path, Target string }

type applicationType string

const (
	applicationScript applicationType = "script" // a WSGI script file
	applicationModule applicationType = "module" // a module on the import path
	applicationStatic applicationType = "static" // no application
)

// applicationConfig describes the WSGI application and the Python that runs it.
type applicationConfig struct {
	Type             applicationType
	EntryPoint       string // file of a script, name of a module
	CallableObject   string // attribute of the module, "application" by default
	MountPoint       string // "/" or "/prefix", without a trailing slash
	WorkingDirectory string
	PythonPath       []string // directories added to sys.path, .pth files read
	Python           string   // interpreter asked for; "" lets pybridge.FindPython choose
	SetEnv           []envVar // added to os.environ and to each environ
	Embedded         bool     // runs in the server process, not in worker processes
}

// applications returns all of them, none when only files are served.
func (c *config) applications() []*applicationConfig {
	if c.Application.Type == applicationStatic {
		return nil
	}
	all := []*applicationConfig{&c.Application}
	for i := range c.MoreApplications {
		all = append(all, &c.MoreApplications[i])
	}
	return all
}

// venvDir is the folder beside the application, where a .venv is looked for: that
// of the script, or the working directory of a module.
func (a *applicationConfig) venvDir() string {
	if a.Type == applicationScript {
		return filepath.Dir(a.EntryPoint)
	}
	return a.WorkingDirectory
}

// workerLimits says when a worker process is replaced or stopped; zero means never.
type workerLimits struct {
	MaximumRequests   int
	RestartInterval   time.Duration
	CPUTime           time.Duration
	Memory            int64 // bytes
	InactivityTimeout time.Duration
	ProcessesMin      int // left by InactivityTimeout
}

// reloadConfig says what makes the application reload, beside SIGHUP.
type reloadConfig struct {
	Script   bool     // the script has changed
	Modules  bool     // any imported file has changed
	Patterns []string // names of further files, such as *.html
	Rolling  bool     // one worker process at a time
}

type envVar struct{ Name, Value string }
