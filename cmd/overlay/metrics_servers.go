package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// serverMetrics gathers the metrics of several server processes, of which only the
// process that looks after them has a listener. It writes a byte to each, and each
// answers with its page: four bytes of length, then the text. Every series gets a
// label more, server, the number of the place that the process has.
type serverMetrics struct {
	mu     sync.Mutex // guards places, and lets one scrape at a time ask
	places []*serverProcess
}

func newServerMetrics(processes int) *serverMetrics {
	return &serverMetrics{places: make([]*serverProcess, processes)}
}

// put says which process has a place. A nil receiver does nothing.
func (m *serverMetrics) put(place int, p *serverProcess) {
	if m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.places[place] = p
	}
}

// Bounds of one answer.
const (
	metricsPatience = 2 * time.Second
	maxMetricsPage  = 8 << 20
)

// Gather implements prometheus.Gatherer. What a process does not tell is missing,
// and the error says so.
func (m *serverMetrics) Gather() ([]*dto.MetricFamily, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	families := map[string]*dto.MetricFamily{}
	var errs prometheus.MultiError
	for i, p := range m.places {
		if p == nil {
			continue // it is being started
		}
		page, err := askMetrics(p.metrics)
		if err != nil {
			errs.Append(fmt.Errorf("metrics of server process %d: %w", p.cmd.Process.Pid, err))
			continue
		}
		merge(families, page, strconv.Itoa(i+1))
	}
	var all []*dto.MetricFamily
	for _, f := range families {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all, errs.MaybeUnwrap()
}

// merge adds the metrics of page to families, with the label server.
func merge(families, page map[string]*dto.MetricFamily, server string) {
	name := "server"
	for key, f := range page {
		for _, metric := range f.Metric {
			metric.Label = append(metric.Label, &dto.LabelPair{Name: &name, Value: &server})
		}
		if known := families[key]; known != nil {
			known.Metric = append(known.Metric, f.Metric...)
		} else {
			families[key] = f
		}
	}
}

// askMetrics asks one server process. After an error the conversation is out of
// step, so the descriptor is closed: there are no more metrics of that process.
func askMetrics(file *os.File) (page map[string]*dto.MetricFamily, err error) {
	defer func() {
		if err != nil {
			closeQuietly(file)
		}
	}()
	if err := file.SetDeadline(time.Now().Add(metricsPatience)); err != nil {
		return nil, err
	}
	if _, err := file.Write([]byte{'?'}); err != nil {
		return nil, err
	}
	var length [4]byte
	if _, err := io.ReadFull(file, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxMetricsPage {
		return nil, fmt.Errorf("got a page of %d bytes, want at most %d", n, maxMetricsPage)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(file, text); err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(bytes.NewReader(text))
}

// answerMetrics answers askMetrics with what gatherer has, until file ends.
func answerMetrics(file *os.File, gatherer prometheus.Gatherer, log *slog.Logger) {
	defer closeQuietly(file)
	for question := make([]byte, 1); ; {
		if _, err := io.ReadFull(file, question); err != nil {
			return
		}
		families, err := gatherer.Gather()
		if err != nil {
			log.Warn("metrics: " + err.Error()) // what is right is told all the same
		}
		page := bytes.NewBuffer(make([]byte, 4, 16<<10))
		for _, f := range families {
			if _, err := expfmt.MetricFamilyToText(page, f); err != nil {
				log.Warn("metrics: " + err.Error())
			}
		}
		binary.BigEndian.PutUint32(page.Bytes(), uint32(page.Len()-4))
		if _, err := file.Write(page.Bytes()); err != nil && !errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// metricsPair returns the two ends of a conversation, which both can wait with a
// deadline.
func metricsPair() (ours, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair for metrics: %w", os.NewSyscallError("socketpair", err))
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "metrics"), os.NewFile(uintptr(fds[1]), "metrics"), nil
}
