package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"overlay/pybridge"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
)

// siteMetrics counts requests and tells about a site in the text format of Prometheus,
// on a listener of its own: what it says is not for clients. A nil *siteMetrics counts
// nothing and costs nothing.
type siteMetrics struct {
	listener net.Listener // nil in a server process of several: that of oversee answers
	log      *slog.Logger

	requests requestCounts
	backlogs pybridge.Backlogs // what responses of the application hold
}

// requestCounts counts what was answered.
type requestCounts struct {
	active  atomic.Int64     // requests whose handler has not returned
	classes [6]atomic.Uint64 // by the first digit of the status; 0 is for none of the five
}

func (c *requestCounts) count(status int) {
	class := status / 100
	if class >= len(c.classes) {
		class = 0
	}
	c.classes[class].Add(1)
}

// wrap returns a handler that counts what next answers.
func (m *siteMetrics) wrap(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	if m == nil {
		return next
	}
	return func(ctx *fasthttp.RequestCtx) {
		m.requests.active.Add(1)
		defer m.requests.active.Add(-1) // a panic is answered further out
		next(ctx)
		m.requests.count(ctx.Response.StatusCode())
	}
}

// wrapError is wrap for fasthttp.Server.ErrorHandler, which answers what could not
// be read as a request, and leaves the status of a connection that has just ended.
func (m *siteMetrics) wrapError(next func(*fasthttp.RequestCtx, error)) func(*fasthttp.RequestCtx, error) {
	if m == nil {
		return next
	}
	return func(ctx *fasthttp.RequestCtx, err error) {
		next(ctx, err)
		if status := ctx.Response.StatusCode(); status != fasthttp.StatusOK {
			m.requests.count(status)
		}
	}
}

// held returns where responses count what they hold, nil for nowhere.
func (m *siteMetrics) held() *pybridge.Backlogs {
	if m == nil {
		return nil
	}
	return &m.backlogs
}

// addr returns the address of the page, nil if there is none.
func (m *siteMetrics) addr() net.Addr {
	if m == nil || m.listener == nil {
		return nil
	}
	return m.listener.Addr()
}

func (m *siteMetrics) close() {
	if m != nil && m.listener != nil {
		_ = m.listener.Close() // the server has closed it in the usual course
	}
}

// listenMetrics opens the listener for the page; it returns nil without one.
func listenMetrics(cfg *config, log *slog.Logger) (*siteMetrics, error) {
	if cfg.MetricsListen == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", cfg.MetricsListen)
	if err != nil {
		return nil, withHint(fmt.Errorf("listen for metrics on %s: %w", cfg.MetricsListen, bareError(err)),
			"--metrics-listen takes an address of this machine and a free port, such as 127.0.0.1:9113")
	}
	return &siteMetrics{listener: l, log: log}, nil
}

// newRegistry returns what Prometheus is told of s: of the site, of the Go runtime
// and of the process.
func newRegistry(s *site) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		siteCollector{s},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

// serveMetrics serves the page, if there is one. The result ends that.
func (s *site) serveMetrics() (stop func()) {
	if s.metrics == nil {
		return func() {}
	}
	if s.heir != nil {
		go answerMetrics(s.heir.metrics, newRegistry(s), s.log) // until the process ends
		return func() {}
	}
	return s.metrics.serve(newRegistry(s))
}

// metricsPath is where Prometheus looks by itself.
const metricsPath = "/metrics"

// serve answers scrapes with what gatherer has, until stop is called.
func (m *siteMetrics) serve(gatherer prometheus.Gatherer) (stop func()) {
	if m == nil || m.listener == nil {
		return func() {}
	}
	mux := http.NewServeMux()
	mux.Handle(metricsPath, promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{
		ErrorLog:            metricsLog{m.log},
		ErrorHandling:       promhttp.ContinueOnError, // what is right is told all the same
		MaxRequestsInFlight: 4,
	}))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "404 Not Found\nThe metrics are at "+metricsPath+".", http.StatusNotFound)
	})
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than the usual interval of scrapes
		MaxHeaderBytes:    maxHead,
		ErrorLog:          slog.NewLogLogger(m.log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := server.Serve(m.listener); !errors.Is(err, http.ErrServerClosed) {
			m.log.Error("metrics are not served any more", "error", err)
		}
	}()
	return func() { _ = server.Close() }
}

// pendingBytes returns how much of l is not written yet.
func (l *accessLog) pendingBytes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending)
}

// connections returns how many connections speak HTTP/2 now.
func (s *http2Server) connections() int { return s.server.Connections() }

// metricsLog takes what promhttp has to say.
type metricsLog struct{ log *slog.Logger }

func (l metricsLog) Println(v ...any) { l.log.Warn("metrics: " + fmt.Sprint(v...)) }
