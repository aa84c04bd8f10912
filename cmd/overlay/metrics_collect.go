package main

import (
	"runtime"
	"strconv"
	"strings"
	"time"

	"overlay/fallthrough"
	"overlay/pybridge"
	"overlay/tlsauth"

	"github.com/prometheus/client_golang/prometheus"
)

// siteCollector tells about a site. It reads what the packages count anyway, and
// does so when it is asked: between two scrapes it costs nothing. docs/metrics.md
// lists what it tells.
type siteCollector struct{ s *site }

// Describe says nothing beforehand: which series there are depends on the site.
func (siteCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c siteCollector) Collect(out chan<- prometheus.Metric) {
	p := metricsPage{out: out}
	p.gauge("build_info", "Always 1; the labels say what runs.", 1, "version", overlayVersion(), "go", runtime.Version())
	c.server(p)
	c.files(p)
	if c.s.app != nil {
		c.application(p)
	}
	if c.s.tls != nil {
		c.certificates(p)
	}
}

// server tells about connections and requests of every kind.
func (c siteCollector) server(p metricsPage) {
	s := c.s
	for class := 2; class < len(s.metrics.requests.classes); class++ {
		p.counter("requests_total", "Requests answered, by class of the status.", s.metrics.requests.classes[class].Load(),
			"status", strconv.Itoa(class)+"xx")
	}
	p.gauge("requests_active", "Requests whose answer is being made.", float64(s.metrics.requests.active.Load()))
	p.gauge("connections", "Client connections that are open.", float64(s.connections()))
	if s.useLoops {
		answers, bytes := s.answers.Stats()
		p.gauge("connections_waiting", "Client connections that wait in an event loop.", float64(s.waiting()))
		p.gauge("answers", "Answers that are kept ready to be sent.", float64(answers))
		p.gauge("answers_bytes", "What those take.", float64(bytes))
		p.gauge("answers_limit_bytes", "What those may take, which is a part of --cache-size.", float64(s.cfg.Files.CacheSize/answersPart))
	}
	if s.h2 != nil {
		p.gauge("http2_connections", "Client connections that are open and speak HTTP/2.", float64(s.h2.connections()))
	}
	if s.accessLog != nil {
		p.gauge("access_log_pending_bytes", "Lines of the access log that are not written yet.", float64(s.accessLog.pendingBytes()))
		p.gauge("access_log_pending_limit_bytes", "With so much unwritten, requests wait for the reader of the log.", accessMaxBytes)
	}
}

// files tells about the cache of package static.
func (c siteCollector) files(p metricsPage) {
	stats := c.s.files.Stats()
	p.counter("static_hits_total", "Requests whose path was remembered, a file there or none.", stats.Hits)
	p.counter("static_misses_total", "Requests whose path was not remembered.", stats.Misses)
	p.gauge("static_entries", "Paths that are remembered.", float64(stats.Entries))
	p.gauge("static_entries_limit", "Paths that may be remembered: --cache-entries.", float64(stats.EntryLimit))
	p.gauge("static_cache_bytes", "Files and their coded forms in memory.", float64(stats.Bytes))
	p.gauge("static_cache_limit_bytes", "What those may take: --cache-size.", float64(stats.ByteLimit))
	p.gauge("static_cache_items", "How many files and coded forms are in memory.", float64(stats.Items))
	p.counter("static_cache_evictions_total", "Files and coded forms dropped to make room.", uint64(stats.Evictions))
	p.gauge("static_open_files", "Descriptors of large files kept open.", float64(stats.OpenFiles))
	p.gauge("static_open_files_limit", "Descriptors that may be kept open.", float64(stats.OpenLimit))
}

// application tells about process groups and what requests and responses hold.
func (c siteCollector) application(p metricsPage) {
	cfg, stats := c.s.cfg, c.s.app.Stats()
	for i := range stats.Groups {
		processGroup(p, &stats.Groups[i])
	}
	p.gauge("request_spool_files", "Request bodies held in temporary files.", float64(stats.SpooledFiles))
	p.gauge("request_spool_bytes", "Bytes in those files.", float64(stats.SpooledBytes))
	p.gauge("request_body_memory_bytes", "Memory of request bodies that are received, or held while the application runs.", float64(stats.BodyMemory))
	p.gauge("request_body_limit_bytes", "Largest request body: --limit-request-body.", float64(cfg.LimitRequestBody))
	held := c.s.metrics.held()
	p.gauge("request_streams", "Request bodies that the application reads as they arrive: --stream-request-body.", float64(held.Inputs()))
	p.gauge("request_stream_limit_bytes", "What one of those may hold.", pybridge.MaxInput)
	if cfg.Application.Embedded {
		return // responses are not taken from the application before the client takes them
	}
	p.gauge("response_buffer_bytes", "Bytes of responses that wait in memory for slow clients.", float64(held.Memory()))
	p.gauge("response_buffer_limit_bytes", "What one response may hold so: --response-buffer-size.", float64(cfg.ResponseBuffer))
	p.gauge("response_spool_files", "Responses that wait in temporary files for slow clients.", float64(held.Files()))
	p.gauge("response_spool_bytes", "Bytes in those files.", float64(held.FileBytes()))
	p.gauge("response_spool_limit_bytes", "What one response may hold so: --response-spool-size.", float64(cfg.ResponseSpool))
}

func processGroup(p metricsPage, g *fallthru.GroupStats) {
	p.gauge("worker_processes", "Worker processes that take requests.", float64(g.Processes), "mount", g.Mount)
	p.gauge("worker_processes_limit", "Worker processes that there may be: --processes.", float64(g.ProcessLimit), "mount", g.Mount)
	p.gauge("worker_threads", "Threads of the worker processes that take requests.", float64(g.Threads), "mount", g.Mount)
	p.gauge("worker_threads_busy", "Threads that have a request.", float64(g.ThreadsBusy), "mount", g.Mount)
	p.gauge("worker_requests_ahead", "Requests that a quick worker process was handed beyond its threads.", float64(g.HandedAhead), "mount", g.Mount)
	p.gauge("queue_length", "Requests that wait for a free thread.", float64(g.Queue), "mount", g.Mount)
	p.gauge("queue_limit", "Requests that may wait: --queue-backlog.", float64(g.QueueLimit), "mount", g.Mount)
	p.counter("application_requests_total", "Requests that worker processes have taken and ended.", g.Answered, "mount", g.Mount)
	for reason, n := range g.Unanswered {
		p.counter("application_unanswered_total", "Requests that the application has not answered.", n, "mount", g.Mount, "reason", reason)
	}
	for reason, n := range g.Stopped {
		p.counter("worker_restarts_total", "Worker processes that ended or were replaced.", n, "mount", g.Mount, "reason", reason)
	}
	p.counter("worker_start_failures_total", "Starts of worker processes that did not get ready.", g.StartFailures, "mount", g.Mount)
}

// certificates tells when what TLS needs ends.
func (c siteCollector) certificates(p metricsPage) {
	dates := c.s.tls.Dates()
	if c.s.acme != nil {
		c.s.acme.expiry.Range(func(domain, end any) bool {
			dates = append(dates, tlsauth.Date{Kind: tlsauth.DateCertificate, Name: "CN=" + domain.(string), End: end.(time.Time)})
			return true
		})
	}
	// Two that no label tells apart are one series: the one that ends first.
	first := map[tlsauth.Date]time.Time{}
	for _, d := range dates {
		end := d.End
		d.End = time.Time{}
		if known, there := first[d]; !there || end.Before(known) {
			first[d] = end
		}
	}
	for d, end := range first {
		seconds := float64(end.Unix())
		if d.Kind == tlsauth.DateRevocationList {
			p.gauge("revocation_list_next_update_timestamp_seconds", "When a newer revocation list is due, in seconds since 1970.", seconds, "issuer", d.Name)
			continue
		}
		p.gauge("certificate_expiry_timestamp_seconds", "When a certificate of the server or a trust anchor expires, in seconds since 1970.", seconds,
			"kind", string(d.Kind), "subject", d.Name, "serial", d.Serial, "file", d.File)
	}
}

// metricsPage writes metrics: name without the prefix, help, value, and labels as
// names and values in turn.
type metricsPage struct{ out chan<- prometheus.Metric }

func (p metricsPage) gauge(name, help string, value float64, labels ...string) {
	p.send(prometheus.GaugeValue, name, help, value, labels)
}

func (p metricsPage) counter(name, help string, value uint64, labels ...string) {
	p.send(prometheus.CounterValue, name, help, float64(value), labels)
}

func (p metricsPage) send(kind prometheus.ValueType, name, help string, value float64, labels []string) {
	var names, values []string
	for i := 0; i < len(labels); i += 2 {
		names = append(names, labels[i])
		values = append(values, strings.ToValidUTF8(labels[i+1], "\uFFFD")) // the subject of a certificate may be anything
	}
	desc := prometheus.NewDesc("overlay_"+name, help, names, nil)
	metric, err := prometheus.NewConstMetric(desc, kind, value, values...)
	if err != nil {
		metric = prometheus.NewInvalidMetric(desc, err)
	}
	p.out <- metric
}
