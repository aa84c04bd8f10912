package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"overlay/fallthrough"
	"overlay/pybridge"
	"overlay/static"

	"github.com/valyala/fasthttp"
)

// findPython is the pythonFinder of the program.
func findPython(explicit, dir string) (path, version string, err error) {
	interpreter, err := inspectPython(context.Background(), explicit, dir)
	return interpreter.Path, interpreter.String(), err
}

// inspectPython finds the interpreter and asks it what it is. Its errors are for
// whoever typed the command.
func inspectPython(ctx context.Context, explicit, dir string) (pybridge.Interpreter, error) {
	path, err := pybridge.FindPython(explicit, dir)
	if err != nil {
		return pybridge.Interpreter{}, withHint(fmt.Errorf("find Python: %w", err),
			"name the interpreter: --python PATH, an executable or a virtual environment; Debian's is in the package python3")
	}
	interpreter, err := pybridge.Inspect(ctx, path)
	switch {
	case errors.Is(err, pybridge.ErrPythonTooOld):
		return interpreter, withHint(fmt.Errorf("python: %w", err), "name a newer one: --python PATH")
	case err != nil:
		return interpreter, withHint(fmt.Errorf("python: %w", err), "name an interpreter that runs: --python PATH")
	}
	return interpreter, nil
}

// newFallthrough starts the process group of each application.
func newFallthrough(cfg *config, python string, workers *workerSet, output *appOutput, site *site, log *slog.Logger) (*fallthru.Handler, error) {
	var mounts []fallthru.Mount
	for _, app := range cfg.applications() {
		options := pythonOptions(cfg, app, python)
		options.Output, options.Logger, options.Backlogs = output.write, log, site.metrics.held()
		mounts = append(mounts, fallthru.Mount{Path: app.MountPoint, Group: groupOptions(cfg, starter(cfg, options, workers), log)})
	}
	return fallthru.New(fallthru.Options{
		Mounts:           mounts,
		Path:             static.Path,
		Body:             bodyOf,
		Stream:           streamedPaths(cfg),
		NotFound:         func(ctx *fasthttp.RequestCtx) { site.errorPage(ctx, fasthttp.StatusNotFound) },
		Error:            site.errorPage,
		LimitRequestBody: cfg.LimitRequestBody,
		Logger:           log,
	})
}

// streamedPaths returns the test of --stream-request-body, nil without that option.
func streamedPaths(cfg *config) func([]byte) bool {
	if len(cfg.StreamRequestBody) == 0 {
		return nil
	}
	return cfg.StreamRequestBody.fit
}

// pythonOptions says how the worker processes of app run.
func pythonOptions(cfg *config, app *applicationConfig, python string) pybridge.Options {
	options := pybridge.Options{
		Python: python,
		Application: pybridge.Application{
			Script:     app.Type == applicationScript,
			EntryPoint: app.EntryPoint,
			Callable:   app.CallableObject,
			Directory:  app.WorkingDirectory,
			Path:       app.PythonPath,
		},
		Threads:          cfg.Threads,
		Multiprocess:     cfg.Processes > 1,
		Version:          overlayVersion(),
		ProcessGroup:     app.MountPoint,
		Processes:        cfg.Processes,
		NoModWSGI:        cfg.NoModWSGIModule,
		RequestTimeout:   cfg.RequestTimeout,
		InterruptTimeout: cfg.InterruptTimeout,
		DeadlockTimeout:  cfg.DeadlockTimeout,
		ResponseBuffer:   cfg.ResponseBuffer,
		ResponseSpool:    cfg.ResponseSpool,
		ClientGone:       clientGone,
		Environ: []pybridge.Variable{
			{Name: "SERVER_SOFTWARE", Value: "overlay/" + overlayVersion()},
		},
	}
	if cfg.DocumentRoot != "" {
		options.Environ = append(options.Environ, pybridge.Variable{Name: "DOCUMENT_ROOT", Value: cfg.DocumentRoot})
	}
	for _, v := range app.SetEnv {
		options.SetEnv = append(options.SetEnv, pybridge.Variable{Name: v.Name, Value: v.Value})
	}
	return options
}

// groupOptions says how many worker processes there are and when they go.
func groupOptions(cfg *config, start fallthru.Starter, log *slog.Logger) fallthru.GroupOptions {
	limits := cfg.WorkerLimits
	if cfg.Application.Embedded {
		limits = workerLimits{} // who looks after the server processes has an eye on them
	}
	return fallthru.GroupOptions{
		Start:          start,
		Processes:      groupSize(cfg),
		Threads:        cfg.Threads,
		QueueBacklog:   noneIfZero(cfg.QueueBacklog),
		QueueTimeout:   cfg.QueueTimeout,
		StartupTimeout: cfg.StartupTimeout,

		GracefulTimeout:   noneIfZero(cfg.GracefulTimeout),
		ShutdownTimeout:   cfg.ShutdownTimeout,
		MaximumRequests:   limits.MaximumRequests,
		RestartInterval:   limits.RestartInterval,
		CPUTimeLimit:      limits.CPUTime,
		MemoryLimit:       limits.Memory,
		InactivityTimeout: limits.InactivityTimeout,
		ProcessesMin:      limits.ProcessesMin,
		Rolling:           cfg.Reload.Rolling,
		ClientGone:        clientGone,
		Logger:            log,
	}
}

// pythonWorker makes a fallthru.Worker of a host of pybridge.
type pythonWorker struct{ pythonHost }

func startWorker(ctx context.Context, options pybridge.Options, workers *workerSet) (fallthru.Worker, error) {
	w, err := pybridge.Start(ctx, options)
	if err != nil {
		return nil, startError(err)
	}
	workers.add(w)
	return pythonWorker{w}, nil
}

// SetStopReason implements fallthru.ReasonTaker.
func (w pythonWorker) SetStopReason(reason fallthru.StopReason) {
	if t, ok := w.pythonHost.(interface{ SetStopReason(string) }); ok {
		t.SetStopReason(string(reason))
	}
}

// startError turns the error of a start into one that fallthru knows.
func startError(err error) error {
	var load *pybridge.LoadError
	if errors.As(err, &load) {
		return &loadError{text: load.Text}
	}
	return err
}

// loadError is why the application could not be loaded, traceback and all.
type loadError struct{ text string }

func (e *loadError) Error() string { return fallthru.ErrLoad.Error() + ": " + lastLine(e.text) }
func (e *loadError) Unwrap() error { return fallthru.ErrLoad }

// Traceback implements fallthru.Tracebacker.
func (e *loadError) Traceback() string { return e.text }

func lastLine(text string) string {
	text = strings.TrimRight(text, "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// Usage implements fallthru.Worker.
func (w pythonWorker) Usage() (fallthru.Usage, error) {
	cpu, memory, err := w.pythonHost.Usage()
	return fallthru.Usage{CPU: cpu, Memory: memory}, err
}

var pythonRequests = sync.Pool{New: func() any { return new(pybridge.Request) }}

// Serve implements fallthru.Worker.
func (w pythonWorker) Serve(ctx *fasthttp.RequestCtx, r *fallthru.Request, free func()) error {
	request := pythonRequests.Get().(*pybridge.Request)
	defer pythonRequests.Put(request)
	*request = pybridge.Request{
		Path:       r.Path,
		MountPoint: r.MountPoint,
		Body:       r.Body,
		File:       r.File,
		BodySize:   r.BodySize,
		HasBody:    r.HasBody,
		Queued:     r.Queued,
	}
	if r.Stream != nil {
		request.Input = r.Stream
	}
	request.VariableNames, request.VariableValues = tlsVariables(ctx)
	err := w.pythonHost.Serve(ctx, request, free)
	switch {
	case errors.Is(err, pybridge.ErrNotSent):
		return fmt.Errorf("%w: %w", fallthru.ErrNotHandedOver, err)
	case errors.Is(err, pybridge.ErrGivenBack):
		return fallthru.ErrGivenBack
	case errors.Is(err, pybridge.ErrClientGone):
		return fmt.Errorf("%w: %w", fallthru.ErrClientGone, err)
	case errors.Is(err, pybridge.ErrTimeout):
		return fmt.Errorf("%w: %w", fallthru.ErrRequestTimeout, err)
	case errors.Is(err, pybridge.ErrGone):
		return fmt.Errorf("%w: %w", fallthru.ErrWorkerGone, err)
	}
	return err
}

// appOutput writes what the application prints: always, whatever the log level,
// and marked with the process that printed it.
type appOutput struct {
	log *slog.Logger // lets everything through
}

func newAppOutput(w io.Writer, cfg *config) *appOutput {
	return &appOutput{log: slog.New(newLogHandler(w, cfg.LogFormat, slog.LevelDebug))}
}

// write logs one line of the worker process pid.
func (o *appOutput) write(pid int, stream string, line []byte) {
	o.log.Info(string(line), "worker", pid, "stream", stream)
}

// sourcesOf returns the script files of the applications, which are never served.
func sourcesOf(cfg *config) (scripts []string) {
	for _, app := range cfg.applications() {
		if app.Type == applicationScript {
			scripts = append(scripts, app.EntryPoint)
		}
	}
	return scripts
}
