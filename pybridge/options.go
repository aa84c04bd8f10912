package pybridge

import (
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"
)

// Application names a WSGI application.
type Application struct {
	Script     bool     // EntryPoint is a file to run, not a module to import
	EntryPoint string   // absolute file name, or dotted module name
	Callable   string   // attribute of the module; "" means "application"
	Directory  string   // working directory, first on sys.path; absolute
	Path       []string // directories put on sys.path after it, .pth files read
}

// Variable is one environment variable of the application: in os.environ and
// in each environ.
type Variable struct{ Name, Value string }

// Defaults of Options.
const (
	DefaultCallable       = "application"
	DefaultThreads        = 5
	DefaultResponseBuffer = 1 << 20

	DefaultInterruptTimeout = 5 * time.Second
	minResponseBuffer       = 256 << 10 // two frames
)

// Options describes a worker process. The zero value lacks Python,
// Application.EntryPoint and Application.Directory, which must be given.
type Options struct {
	Python      string // path of the interpreter
	Application Application

	// Threads is how many requests run at once. Zero means DefaultThreads.
	Threads int
	// Multiprocess becomes wsgi.multiprocess.
	Multiprocess bool

	// What the application can ask its module overlay. Processes is the size of
	// the process group, zero means 1.
	Version      string
	ProcessGroup string
	Processes    int
	// NoModWSGI leaves out the module mod_wsgi, which has the names that
	// Apache's has.
	NoModWSGI bool

	// Environ holds what every environ of this application has beside the keys
	// of PEP 3333, such as DOCUMENT_ROOT.
	Environ []Variable
	// SetEnv goes into os.environ and into every environ.
	SetEnv []Variable
	// ResponseBuffer bounds the bytes of one response body that the server
	// process holds for a client that reads slowly. Zero means
	// DefaultResponseBuffer; 256 KiB is the least.
	ResponseBuffer int

	// ResponseSpool bounds the bytes of one response body that wait in a
	// temporary file, after those in memory. Beyond both, the application
	// waits for its client. Zero means no file.
	ResponseSpool int64
	// Backlogs, if not nil, counts what waits in memory and in such files.
	Backlogs *Backlogs

	// RequestTimeout bounds the time from the hand-over of a request to the
	// first byte of its response, and from byte to byte. On expiry Serve
	// returns ErrTimeout, or the response is cut, and overlay.RequestTimeout
	// is raised in the thread. Zero means no bound.
	RequestTimeout time.Duration
	// InterruptTimeout bounds how long that exception may take to free the
	// thread; then Leaving asks for another worker process. Zero means
	// DefaultInterruptTimeout.
	InterruptTimeout time.Duration
	// DeadlockTimeout bounds how long the worker process may run no Python at
	// all; then it is killed. Zero means no bound.
	DeadlockTimeout time.Duration

	// ClientGone reports whether the client of a connection has closed it. It
	// is asked each second for requests in flight, and must not block. Nil
	// means that nobody asks.
	ClientGone func(net.Conn) bool

	// Output is called with each line that the application writes to standard
	// output, standard error or wsgi.errors, which stream says ("stdout" or
	// "stderr"). line ends with the call. Nil drops them.
	Output func(pid int, stream string, line []byte)
	// Logger is told of failures. Nil means slog.Default.
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	if o.Threads == 0 {
		o.Threads = DefaultThreads
	}
	if o.Threads < 0 || o.Threads > exchangeIndex {
		return o, fmt.Errorf("threads: got %d, want 1 to %d", o.Threads, exchangeIndex)
	}
	if o.Application.Callable == "" {
		o.Application.Callable = DefaultCallable
	}
	if o.ResponseBuffer == 0 {
		o.ResponseBuffer = DefaultResponseBuffer
	}
	if o.ResponseBuffer < minResponseBuffer {
		return o, fmt.Errorf("response buffer: got %d bytes, want at least %d", o.ResponseBuffer, minResponseBuffer)
	}
	if o.ResponseSpool < 0 {
		return o, fmt.Errorf("response spool: got %d bytes, want 0 or more", o.ResponseSpool)
	}
	if o.InterruptTimeout == 0 {
		o.InterruptTimeout = DefaultInterruptTimeout
	}
	if o.Application.EntryPoint == "" {
		return o, fmt.Errorf("application: no entry point")
	}
	if !filepath.IsAbs(o.Application.Directory) {
		return o, fmt.Errorf("working directory: got %q, want an absolute path", o.Application.Directory)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

// maxWindow is what an integer of the settings can hold (marshal.go).
const maxWindow = 1<<31 - 1

// window returns how many bytes of a response body a worker process may send
// ahead of the client.
func (o Options) window() int { return int(min(int64(o.ResponseBuffer)+o.ResponseSpool, maxWindow)) }

// settings is what the worker program is told of o.
func (o Options) settings() map[string]any {
	kind := "module"
	if o.Application.Script {
		kind = "script"
	}
	environ := []any{
		[]any{"wsgi.multithread", o.Threads > 1},
		[]any{"wsgi.multiprocess", o.Multiprocess},
	}
	if o.Application.Script {
		environ = append(environ, []any{"SCRIPT_FILENAME", o.Application.EntryPoint})
	}
	for _, v := range o.Environ {
		environ = append(environ, []any{v.Name, v.Value})
	}
	variables := []any{}
	for _, v := range o.SetEnv {
		variables = append(variables, []any{v.Name, v.Value})
	}
	path := []string{}
	path = append(path, o.Application.Path...)
	return map[string]any{
		"kind":        kind,
		"entry":       o.Application.EntryPoint,
		"callable":    o.Application.Callable,
		"directory":   o.Application.Directory,
		"path":        path,
		"threads":     o.Threads,
		"processes":   max(o.Processes, 1),
		"group":       o.ProcessGroup,
		"version":     o.Version,
		"mod_wsgi":    !o.NoModWSGI,
		"window":      o.window(),
		"environ":     environ,
		"environment": variables,
	}
}
