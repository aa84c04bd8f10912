package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"overlay/eventloop"
	"overlay/fallthrough"
	"overlay/static"
	"overlay/tlsauth"

	"github.com/valyala/fasthttp"
)

// serve serves what cfg says until a signal or ctx ends it. It is where the
// packages meet:
//
//	connection -> hygiene -> static -> fallthrough -> pybridge
//
// stdout gets the access log, stderr the banner and the log.
func serve(ctx context.Context, cfg *config, stdout, stderr io.Writer) error {
	heir, err := inherit()
	switch {
	case err != nil:
		return err
	case heir == nil && cfg.Application.Embedded && cfg.Processes > 1:
		return oversee(ctx, cfg, stderr)
	}
	ctx, signals := watchSignals(ctx)
	defer signals.stop()
	log := newLogger(stderr, cfg)
	site := &site{cfg: cfg, log: log, heir: heir}
	if err := site.listen(); err != nil {
		return err
	}
	defer site.closeListeners()
	defer site.close() // after the application: what that loses has its line in the access log

	info := site.addresses()
	if cfg.Application.Type != applicationStatic {
		python, err := inspectPython(ctx, cfg.Application.Python, cfg.Application.venvDir())
		if err != nil {
			return err
		}
		if err := checkEmbedded(ctx, cfg, python.Path); err != nil {
			return err
		}
		info.PythonPath, info.PythonVersion = python.Path, python.String()
		if python.FreeThreaded && !cfg.ThreadsGiven {
			cfg.Threads = runtime.GOMAXPROCS(0) // without a GIL, each of them computes
		}
		workers := newWorkerSet()
		site.app, err = newFallthrough(cfg, python.Path, workers, newAppOutput(stderr, cfg), site, log)
		if err != nil {
			return err
		}
		defer site.stopApplication()
		defer site.watchReload(ctx, workers)()
	}
	if err := site.build(stdout); err != nil {
		return err
	}
	defer site.watchTLS()()

	if heir != nil {
		if err := heir.await(ctx, site.app); err != nil {
			return err
		}
	}
	stopPeers, err := site.servePeers()
	if err != nil {
		return err
	}
	defer stopPeers()
	failed := site.start()
	defer site.serveMetrics()() // which reads what start has made
	if site.app != nil {
		// Files are served already; the banner waits, so that whoever reads it
		// finds the application there. Why it is not, the log has said.
		info.AppError = site.app.Wait(ctx)
	}
	if heir != nil {
		heir.say(info.AppError)
	} else if ctx.Err() == nil {
		banner(stderr, cfg, info)
		cfg.Share.say(stderr, info)
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return site.shutDown(signals)
}

// site is everything that serves one command line.
type site struct {
	cfg  *config
	log  *slog.Logger
	heir *heir // nil unless this is one of several server processes

	http, https net.Listener // nil when not asked for
	files       *static.Handler
	app         *fallthru.Handler // nil without an application
	accessLog   *accessLog
	metrics     *siteMetrics // nil without --metrics-listen
	server      *fasthttp.Server
	tls         *tlsauth.Server     // nil without HTTPS
	h2          *http2Server        // nil without HTTP/2
	acme        *acmeClient         // nil without ACME
	useLoops    bool                // connections wait in event loops
	answers     *eventloop.Answers  // nil when the loops answer nothing
	loops       *eventloop.Listener // nil without loops
	keeper      *eventloop.Keeper   // where connections of HTTPS wait; nil without loops
	gate        *clientGate
	serving     atomic.Int32 // connections that fasthttp has; its own count has the listeners in it
	hijacked    hijacked
	farewell    farewell
}

// listen opens the listeners first, so that a taken port is known before
// anything is started.
func (s *site) listen() (err error) {
	if s.heir != nil {
		s.heir.listen(s)
		return nil
	}
	if !s.cfg.NoHTTP {
		s.http, err = listen(s.cfg.Host, s.cfg.Port, "--port")
	}
	if err == nil && s.cfg.HTTPS {
		s.https, err = listen(s.cfg.Host, s.cfg.HTTPSPort, "--https-port")
	}
	if err == nil {
		s.metrics, err = listenMetrics(s.cfg, s.log)
	}
	if err != nil {
		s.closeListeners()
	}
	return err
}

func (s *site) addresses() bannerInfo {
	info := bannerInfo{Network: networkAddrs(), Metrics: s.metrics.addr()}
	if s.http != nil {
		info.HTTP = s.http.Addr()
	}
	if s.https != nil {
		info.HTTPS = s.https.Addr()
	}
	return info
}

// errorPage answers with an error that no file is involved in: with the error
// document for it, if there is one.
func (s *site) errorPage(ctx *fasthttp.RequestCtx, status int) {
	if s.files == nil || !s.files.ErrorDocument(ctx, status) {
		writeErrorPage(ctx, status)
		return
	}
	ctx.SetStatusCode(status)
}

func (s *site) closeListeners() {
	for _, l := range []net.Listener{s.http, s.https} {
		if l != nil {
			_ = l.Close() // fasthttp has closed it in the usual course
		}
	}
	s.metrics.close()
}

// responseBuffer is how large a response is, head and body, that leaves with one
// system call. With fasthttp's 4 KiB, one of 10 KiB took two, and its client woke twice.
const responseBuffer = 16 << 10

// build makes the chain of handlers.
func (s *site) build(stdout io.Writer) (err error) {
	if s.cfg.AccessLog {
		if s.accessLog, err = newAccessLog(stdout, s.cfg.AccessLogFormat); err != nil {
			return err
		}
		s.accessLog.onError = func(err error) { s.log.Error("access log not written", "error", err) }
	}
	if s.gate, err = s.buildTLS(); err != nil {
		return err
	}
	options := s.cfg.staticOptions()
	options.Logger, options.ErrorPage = s.log, writeErrorPage
	s.decideLoops(&options)
	if err := s.cfg.hideKeys(&options); err != nil {
		return err
	}
	if s.app != nil {
		options.Next = detached(s.app.Handle)
	}
	if s.files, err = static.New(options); err != nil {
		return err
	}
	s.server = &fasthttp.Server{
		Name:            "overlay",
		WriteBufferSize: responseBuffer,
		CloseOnShutdown: true,
		Logger:          serverLog{s.log},
	}
	hygiene := &hygiene{
		limitRequestBody: s.cfg.LimitRequestBody,
		socketTimeout:    s.cfg.SocketTimeout,
		checkTarget:      targetError,
		filesOnly:        s.app == nil,
		log:              s.log,
	}
	hygiene.install(s.server, s.gate.wrap(s.files.Handle))
	if s.cfg.KeepAliveTimeout == 0 {
		s.server.DisableKeepalive = true
	}
	wrap := func(next fasthttp.RequestHandler) fasthttp.RequestHandler {
		return s.accessLog.wrap(s.metrics.wrap(next))
	}
	s.server.Handler = s.hijacked.watch(s.farewell.watch(wrap(s.server.Handler)))
	s.server.ErrorHandler = s.accessLog.wrapError(s.metrics.wrapError(s.server.ErrorHandler))
	if s.cfg.HTTP2 {
		s.h2 = newHTTP2Server(s.cfg, hygiene, s.gate, wrap, s.server.ErrorHandler)
		s.server.NextProto("h2", s.h2.serve)
	}
	return nil
}

// watchReload reloads the application as the options say. The result ends that,
// and waits until it has ended.
func (s *site) watchReload(ctx context.Context, workers *workerSet) (stop func()) {
	reload := s.cfg.Reload
	r := &reloader{
		app: s.app, log: s.log, workers: workers,
		modules: reload.Modules, patterns: reload.Patterns, dir: s.cfg.Application.WorkingDirectory,
	}
	if reload.Script && s.heir == nil { // else who looks after this process does
		r.scripts = sourcesOf(s.cfg)
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// start serves the listeners. The channel receives the first that fails.
func (s *site) start() <-chan error {
	failed := make(chan error, 2)
	limits := timeouts{
		header: s.cfg.HeaderTimeout, headerRate: s.cfg.HeaderMinRate, headerMaximum: s.cfg.HeaderMaxTimeout,
		body:      transferRate{s.cfg.BodyTimeout, s.cfg.BodyMinRate, s.cfg.BodyMaxTimeout},
		keepAlive: s.cfg.KeepAliveTimeout, socket: s.cfg.SocketTimeout, response: s.cfg.ResponseSocketTimeout,
	}
	run := func(l net.Listener, keeper *eventloop.Keeper) {
		if _, serves := l.(*eventloop.Listener); !serves {
			l = &servingListener{Listener: l, serve: s.serveConn, log: s.log, keeper: keeper}
		}
		if err := s.server.Serve(l); err != nil {
			failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
	}
	if s.https != nil {
		go run(listenTLSConnections(s.https, limits, s.tls.Config()), s.keepTLS(limits))
	}
	if s.http != nil {
		go run(s.listenLoops(limits), nil)
	}
	return failed
}

// shutDown lets requests in flight finish, as long as the graceful timeout
// allows and no second signal comes.
func (s *site) shutDown(signals *signals) error {
	s.log.Info("stopping: requests in flight may finish; a second signal stops at once",
		"connections", s.connections(), "graceful_timeout", s.cfg.GracefulTimeout)
	ctx, cancel := context.WithTimeout(signals.second(), s.cfg.GracefulTimeout)
	defer cancel()
	s.h2.shutDown(ctx)
	s.farewell.say(ctx, s.connections())
	err := s.server.ShutdownWithContext(ctx)
	if err == nil {
		err = s.hijacked.wait(ctx)
	}
	if err == nil {
		return nil
	}
	why := "graceful timeout"
	if !errors.Is(err, context.DeadlineExceeded) {
		why = "second signal"
	}
	s.log.Warn("stopped before every request was finished", "why", why, "connections", s.connections())
	return nil
}

// stopApplication ends the worker processes. The server is down: what they still
// hold has no client any more, so there is nothing to wait for but exit handlers.
func (s *site) stopApplication() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.app.Stop(ctx)
	s.awaitAnswers()
}

// lastAnswers is how long the handlers of requests that were lost may take to answer.
const lastAnswers = 500 * time.Millisecond

// awaitAnswers waits until the connections are done that were open when the graceful
// timeout was over or a second signal came.
func (s *site) awaitAnswers() {
	for end := time.Now().Add(lastAnswers); s.server != nil && s.connections() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

func (s *site) close() {
	if s.files != nil {
		_ = s.files.Close()
	}
	if s.accessLog != nil {
		if err := s.accessLog.Close(); err != nil {
			s.log.Error("access log not written", "error", err)
		}
	}
}

// serverLog takes what fasthttp prints: connections that end in the middle of a
// request, mostly.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Printf(format string, args ...any) {
	for _, arg := range args {
		if err, ok := arg.(error); ok && errors.As(err, new(*fasthttp.ErrBodyStreamWritePanic)) {
			l.log.Error("panic while sending a response: its connection is cut", "error", err)
			return
		}
	}
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("http: " + fmt.Sprintf(format, args...))
	}
}
