package main

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/valyala/fasthttp"
)

var quietLog = slog.New(slog.DiscardHandler)

// newMetricsSite is a site with everything that has metrics, without listeners.
func newMetricsSite(t *testing.T, args ...string) *site {
	t.Helper()
	dir := newTestFolder(t)
	cfg, err := parseConfig(dir, append([]string{"--document-root", "htdocs", "--port", "0", "--metrics-listen", "0", "--access-log"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{cfg: cfg, log: quietLog, metrics: &siteMetrics{log: quietLog}}
	if cfg.Application.Type != applicationStatic {
		s.app, err = newFallthrough(cfg, "/nowhere/python", newWorkerSet(), newAppOutput(io.Discard, cfg), s, quietLog)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.stopApplication)
	}
	if err := s.build(io.Discard); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// gather returns the metrics of s by name, without those of the runtime.
func gather(t *testing.T, g prometheus.Gatherer) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*dto.MetricFamily{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "overlay_") {
			found[f.GetName()] = f
		}
	}
	return found
}

// TestMetricsAreDocumented holds docs/metrics.md to what there is: every metric has
// a row with its labels, and every row a metric.
func TestMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	ca := tlstest.NewCA(t)
	certificate, key := ca.Issue(t).Files(t)
	dir := t.TempDir()
	for name, content := range map[string][]byte{"ca.pem": ca.PEM(), "ca.crl": ca.Revoke(t, nil)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := newMetricsSite(t, "--https-port", "0", "--https-only", "--ssl-certificate-file", certificate, "--ssl-certificate-key-file", key,
		"--ssl-ca-certificate-file", filepath.Join(dir, "ca.pem"), "--ssl-crl-file", filepath.Join(dir, "ca.crl"), "hello.wsgi")
	defer s.h2.shutDown(t.Context())
	found := gather(t, newRegistry(s))
	for _, row := range regexp.MustCompile("(?m)^\\| `(overlay_[a-z0-9_]+)` \\|([^|]*)\\|").FindAllStringSubmatch(string(page), -1) {
		name := row[1]
		var want, got []string
		for _, label := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(row[2], -1) {
			want = append(want, label[1])
		}
		f := found[name]
		if f == nil {
			t.Errorf("%s has a row, but is no metric", name)
			continue
		}
		for _, label := range f.Metric[0].Label {
			got = append(got, label.GetName())
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has the labels %q, its row has %q", name, got, want)
		}
		delete(found, name)
	}
	for name := range found {
		t.Errorf("%s has no row", name)
	}
}

func TestMetricsOfCertificates(t *testing.T) {
	ca := tlstest.NewCA(t)
	leaf := ca.Issue(t)
	certificate, key := leaf.Files(t)
	s := newMetricsSite(t, "--https-port", "0", "--ssl-certificate-file", certificate, "--ssl-certificate-key-file", key)
	s.acme = &acmeClient{}
	end := time.Unix(2_000_000_000, 0)
	s.acme.expiry.Store("www.example.org", end)
	got := map[string]float64{}
	for _, m := range gather(t, newRegistry(s))["overlay_certificate_expiry_timestamp_seconds"].Metric {
		for _, label := range m.Label {
			if label.GetName() == "subject" {
				got[label.GetValue()] = m.Gauge.GetValue()
			}
		}
	}
	if len(got) != 2 || got["CN=www.example.org"] != 2e9 || got["CN="+leaf.Certificate.Subject.CommonName] != float64(leaf.Certificate.NotAfter.Unix()) {
		t.Errorf("got %v", got)
	}
}

// Two lists or anchors that no label tells apart make no page that Prometheus refuses.
func TestMetricsOfTwins(t *testing.T) {
	ca := tlstest.NewCA(t)
	certificate, key := ca.Issue(t).Files(t)
	anchors := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(anchors, append(ca.PEM(), ca.PEM()...), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newMetricsSite(t, "--https-port", "0", "--https-only", "--ssl-certificate-file", certificate, "--ssl-certificate-key-file", key, "--ssl-ca-certificate-file", anchors)
	if n := len(gather(t, newRegistry(s))["overlay_certificate_expiry_timestamp_seconds"].Metric); n != 2 {
		t.Errorf("%d dates, want those of the certificate and of one anchor", n)
	}
	if dates := s.tls.Dates(); len(dates) != 3 || dates[1].Kind != tlsauth.DateTrustAnchor {
		t.Errorf("Dates = %v", dates)
	}
}

func TestMetricsOfRequests(t *testing.T) {
	m := &siteMetrics{}
	var during int64
	handler := m.wrap(func(ctx *fasthttp.RequestCtx) {
		during = m.requests.active.Load()
		ctx.SetStatusCode(int(ctx.Request.Header.Peek("Want")[0]-'0') * 100)
	})
	for _, class := range []string{"2", "2", "3", "4", "5", "9"} {
		ctx := new(fasthttp.RequestCtx)
		ctx.Request.Header.Set("Want", class)
		handler(ctx)
	}
	failed := m.wrapError(func(ctx *fasthttp.RequestCtx, _ error) { ctx.SetStatusCode(400) })
	failed(new(fasthttp.RequestCtx), io.EOF)
	ended := m.wrapError(func(*fasthttp.RequestCtx, error) {}) // an idle connection that ends
	ended(new(fasthttp.RequestCtx), io.EOF)
	var got [6]uint64
	for i := range got {
		got[i] = m.requests.classes[i].Load()
	}
	if want := [6]uint64{1, 0, 2, 1, 2, 1}; got != want {
		t.Errorf("counted %v, want %v", got, want)
	}
	if after := m.requests.active.Load(); during != 1 || after != 0 {
		t.Errorf("%d active in a handler, %d afterwards", during, after)
	}
	var none *siteMetrics
	if none.wrap(nil) != nil || none.wrapError(nil) != nil || none.held() != nil || none.addr() != nil {
		t.Error("no metrics do something")
	}
}

// TestMetricsMerge: pages of several processes become one, with a label more.
func TestMetricsMerge(t *testing.T) {
	page := func(value string) map[string]*dto.MetricFamily {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		parsed, err := parser.TextToMetricFamilies(strings.NewReader("# TYPE a gauge\na{x=\"1\"} " + value + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	families := map[string]*dto.MetricFamily{}
	merge(families, page("1"), "1")
	merge(families, page("2"), "2")
	var out strings.Builder
	if _, err := expfmt.MetricFamilyToText(&out, families["a"]); err != nil {
		t.Fatal(err)
	}
	if want := "# TYPE a gauge\na{x=\"1\",server=\"1\"} 1\na{x=\"1\",server=\"2\"} 2\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// TestMetricsPair: a process that does not answer, and one that tells nonsense, cost
// a bounded time and no page.
func TestMetricsPair(t *testing.T) {
	for name, answer := range map[string][]byte{
		"nothing": nil, "too much": {1, 0xff, 0xff, 0xff, 0xff}, "nonsense": {1, 0, 0, 0, 3, '{', '}', '\n'},
	} {
		ours, theirs, err := metricsPair()
		if err != nil {
			t.Fatal(err)
		}
		if answer == nil {
			closeQuietly(theirs)
		} else if _, err := theirs.Write(answer); err != nil {
			t.Fatal(err)
		}
		if page, err := (&metricsLine{file: ours}).ask(long); err == nil {
			t.Errorf("%s: got %v, want an error", name, page)
		}
		closeQuietly(theirs)
	}
	ours, theirs, err := metricsPair()
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"})
	gauge.Set(math.Inf(1))
	registry.MustRegister(gauge)
	done := make(chan struct{})
	go func() { answerMetrics(theirs, registry, quietLog); close(done) }()
	line := &metricsLine{file: ours}
	for range 3 {
		page, err := line.ask(long)
		if err != nil || !math.IsInf(page["g"].Metric[0].Gauge.GetValue(), 1) {
			t.Errorf("got %v, %v", page, err)
		}
	}
	closeQuietly(ours)
	<-done
}

// TestMetricsLate: a server process that did not answer in time is asked again, and its late
// answers, which may have come in part, are not taken for new ones.
func TestMetricsLate(t *testing.T) {
	ours, theirs, err := metricsPair()
	if err != nil {
		t.Fatal(err)
	}
	defer closeQuietly(ours)
	defer closeQuietly(theirs)
	line := &metricsLine{file: ours}
	answer := func(number byte, text string) []byte {
		b := append([]byte{number}, binary.BigEndian.AppendUint32(nil, uint32(len(text)))...)
		return append(b, text...)
	}
	write := func(b []byte) {
		t.Helper()
		if _, err := theirs.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	late := answer(1, "old 1\n")
	for cut := range 3 { // nothing of it, its head, and one byte less than all
		if _, err := line.ask(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("ask = %v, want that there was no answer in time", err)
		}
		if cut > 0 {
			continue
		}
		write(late[:7])
	}
	write(append(late[7:], append(answer(2, "old 2\n"), answer(3, "old 3\n")...)...))
	write(answer(4, "new 4\n"))
	page, err := line.ask(long)
	if err != nil || page["new"] == nil || page["old"] != nil {
		t.Errorf("ask = %v, %v, want the new answer alone", page, err)
	}
}
