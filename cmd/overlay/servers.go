package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"overlay/fallthrough"
	"overlay/tlsauth"
)

// With --embedded-mode and --processes N there are N server processes on the same
// listening sockets, and this one, which only looks after them: it starts them,
// starts another when one ends, and on SIGHUP replaces them one after the other.

// serverVariable names what a server process inherits, descriptors from 4 on: the
// listeners "http" and "https", "tickets", where it reads what its session ticket
// keys are made of, and "metrics", where it is asked for its metrics. Descriptor 3
// takes what it has to say. The word successor in front says that it is to take the
// place of another one.
const (
	serverVariable = "OVERLAY_SERVER_LISTENERS"
	successorWord  = "successor"
	ticketsWord    = "tickets"
	metricsWord    = "metrics"
)

// heir is what a server process has from the process that looks after it.
type heir struct {
	listeners map[string]net.Listener
	ready     *os.File
	successor bool
	tickets   *tlsauth.TicketSecret // nil without HTTPS
	metrics   *os.File              // nil without --metrics-listen
}

// inherit returns what this process has inherited, nil if it is nobody's server
// process. The application does not see the variable.
func inherit() (_ *heir, err error) {
	value, ok := os.LookupEnv(serverVariable)
	if !ok {
		return nil, nil
	}
	if err := os.Unsetenv(serverVariable); err != nil {
		return nil, err
	}
	syscall.CloseOnExec(3)
	h := &heir{listeners: map[string]net.Listener{}, ready: os.NewFile(3, "ready")}
	names := strings.Fields(value)
	if len(names) > 0 && names[0] == successorWord {
		h.successor, names = true, names[1:]
	}
	for i, name := range names {
		file := os.NewFile(uintptr(4+i), name)
		switch name {
		case ticketsWord:
			if h.tickets, err = readTickets(file); err != nil {
				return nil, err
			}
			continue
		case metricsWord:
			syscall.CloseOnExec(4 + i)
			h.metrics = file
			continue
		}
		l, err := net.FileListener(file)
		closeQuietly(file)
		if err != nil {
			return nil, fmt.Errorf("take over the listener for %s: %w", name, err)
		}
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			return nil, fmt.Errorf("take over the listener for %s: it is %s", name, l.Addr().Network())
		}
		h.listeners[name] = &drainingListener{TCPListener: tcp}
	}
	return h, nil
}

// listen gives s the listeners.
func (h *heir) listen(s *site) {
	if l := h.listeners["http"]; l != nil {
		s.http = l
	}
	if l := h.listeners["https"]; l != nil {
		s.https = l
	}
	if h.metrics != nil {
		s.metrics = &siteMetrics{log: s.log}
	}
}

// readTickets reads the ticket secret that the server processes share. It does not
// come by the environment, which the application could read in /proc.
func readTickets(file *os.File) (*tlsauth.TicketSecret, error) {
	defer closeQuietly(file)
	text, err := io.ReadAll(file)
	secret := new(tlsauth.TicketSecret)
	if err == nil {
		err = secret.UnmarshalBinary(text)
	}
	if err != nil {
		return nil, fmt.Errorf("take over the session ticket keys: %w", err)
	}
	return secret, nil
}

// await waits until the application of a successor runs. One whose application does
// not must not take a request from the process that it was to follow.
func (h *heir) await(ctx context.Context, app *fallthru.Handler) error {
	if !h.successor {
		return nil
	}
	err := app.Wait(ctx)
	if err != nil {
		h.say(err)
	}
	return err
}

// say tells that the server process is ready, or why its application is not.
func (h *heir) say(err error) {
	text := readyText
	if err != nil {
		text = err.Error()
	}
	_, _ = h.ready.WriteString(text) // whoever looked after this process may be gone
	closeQuietly(h.ready)
}

// readyText is what heir.say writes when there is no error.
const readyText = "ready"

// overseer looks after the server processes.
type overseer struct {
	cfg       *config
	log       *slog.Logger
	listeners []*os.File
	names     string          // of listeners, for serverVariable
	hard      context.Context // done when the processes are to end at once
	all       sync.WaitGroup

	metrics *serverMetrics // nil without --metrics-listen
	able    atomic.Int32   // server processes whose application runs

	mu      sync.Mutex // guards what follows
	tickets tlsauth.TicketSecret
}

// serverProcess is one of them.
type serverProcess struct {
	cmd   *exec.Cmd
	ready chan error    // receives nil once its application runs
	ended chan struct{} // closed when it has ended
	born  time.Time

	metrics *metricsLine // where it is asked for its metrics, nil for nowhere
}

// oversee runs the server processes until a signal or ctx ends that.
func oversee(ctx context.Context, cfg *config, stderr io.Writer) error {
	ctx, signals := watchSignals(ctx)
	defer signals.stop()
	o := &overseer{cfg: cfg, log: newLogger(stderr, cfg), hard: signals.second(), tickets: tlsauth.NewTicketSecret(time.Now())}
	site := &site{cfg: cfg, log: o.log}
	if err := site.listen(); err != nil {
		return err
	}
	defer site.closeListeners() // open until the end, so that what has connected is never refused
	info := site.addresses()
	python, err := inspectPython(ctx, cfg.Application.Python, cfg.Application.venvDir())
	if err == nil {
		err = checkEmbedded(ctx, cfg, python.Path)
	}
	if err == nil {
		err = o.lend(site)
	}
	if err != nil {
		return err
	}
	info.PythonPath, info.PythonVersion = python.Path, python.String()
	if site.metrics != nil {
		o.metrics = newServerMetrics(cfg.Processes)
		defer site.metrics.serve(o.metrics)()
	}

	// From here on: a signal that comes while the application is loaded is for later.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	reloads := make([]chan chan error, cfg.Processes)
	first := make(chan error, cfg.Processes)
	for i := range reloads {
		reloads[i] = make(chan chan error)
		o.all.Go(func() { o.keep(ctx, i, first, reloads[i]) })
	}
	for range reloads {
		select {
		case err := <-first:
			info.AppError = errors.Join(info.AppError, err)
		case <-ctx.Done():
		}
	}
	if ctx.Err() == nil {
		banner(stderr, cfg, info)
		cfg.Share.say(stderr, info)
	}
	o.reload(ctx, hangup, reloads)
	o.all.Wait()
	return nil
}

// start starts this program again, with its listeners; word goes in front of their
// names.
func (o *overseer) start(word string) (*serverProcess, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &serverProcess{ready: make(chan error, 1), ended: make(chan struct{}), born: time.Now()}
	files := append([]*os.File{writer}, o.listeners...)
	more, names, err := o.endow(p)
	if err != nil {
		closeQuietly(reader)
		closeQuietly(writer)
		return nil, err
	}
	defer func() {
		for _, file := range more {
			closeQuietly(file)
		}
	}()
	p.cmd = &exec.Cmd{
		Path:       program,
		Args:       os.Args,
		Env:        append(os.Environ(), serverVariable+"="+word+o.names+names),
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		ExtraFiles: append(files, more...),
		// Ctrl-C in the terminal is for this process, which tells the others; and
		// none of them outlives it.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM},
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig comes when the thread that started it ends
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // ProcessState tells how it ended
			if p.metrics != nil {
				p.metrics.close()
			}
			close(p.ended)
		}
	}()
	err = <-started
	closeQuietly(writer)
	if err != nil {
		closeQuietly(reader)
		return nil, err
	}
	go func() {
		defer closeQuietly(reader)
		text, _ := io.ReadAll(reader) // an error is an end as well
		switch string(text) {
		case readyText:
			p.ready <- nil
		case "":
			p.ready <- errors.New("the server process ended before it was ready")
		default:
			p.ready <- errors.New(string(text))
		}
	}()
	return p, nil
}

// endow makes what p inherits besides listeners; names are the words for it, with a
// space before each. The files are for p alone.
func (o *overseer) endow(p *serverProcess) (files []*os.File, names string, err error) {
	if o.cfg.HTTPS {
		file, err := o.lendTickets()
		if err != nil {
			return nil, "", err
		}
		files, names = append(files, file), " "+ticketsWord
	}
	if o.metrics != nil {
		ours, theirs, err := metricsPair()
		if err != nil {
			for _, file := range files {
				closeQuietly(file)
			}
			return nil, "", err
		}
		p.metrics = &metricsLine{file: ours}
		files, names = append(files, theirs), names+" "+metricsWord
	}
	return files, names, nil
}

// lendTickets returns a pipe that holds the ticket secret as it is now.
func (o *overseer) lendTickets() (*os.File, error) {
	o.mu.Lock()
	o.tickets.Advance(time.Now())
	text, err := o.tickets.MarshalBinary()
	o.mu.Unlock()
	if err != nil {
		return nil, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, err = writer.Write(text) // a pipe holds more than this
	closeQuietly(writer)
	if err != nil {
		closeQuietly(reader)
		return nil, err
	}
	return reader, nil
}

// stop lets a server process finish its requests and waits for its end. When
// there is no more time, it is told again, and then killed.
func (o *overseer) stop(p *serverProcess) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended just now
	select {
	case <-p.ended:
		return
	case <-o.hard.Done():
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	case <-time.After(o.cfg.GracefulTimeout + o.cfg.ShutdownTimeout + time.Second):
	}
	select {
	case <-p.ended:
	case <-time.After(o.cfg.ShutdownTimeout + time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// closeQuietly closes a file that nothing was written to that matters.
func closeQuietly(f *os.File) { _ = f.Close() }
