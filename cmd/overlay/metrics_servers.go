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
// process that looks after them has a listener. It writes a byte to each, the number of the
// question, and each answers with that byte and its page: four bytes of length, then the text.
// Every series gets a label more, server, the number of the place that the process has.
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
		page, err := p.metrics.ask(metricsPatience)
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

// metricsLine is the conversation with one server process.
type metricsLine struct {
	file   *os.File
	number byte   // of the last question
	came   []byte // of answers, and not understood yet
}

func (l *metricsLine) close() { closeQuietly(l.file) }

// ask asks for the page. A process that does not answer in time, since the machine is busy
// or somebody has stopped it, may do so next time: late answers are dropped then.
func (l *metricsLine) ask(patience time.Duration) (page map[string]*dto.MetricFamily, err error) {
	if err := l.file.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	l.number++
	if _, err := l.file.Write([]byte{l.number}); err != nil {
		return nil, err
	}
	for {
		text, answered, err := l.answer()
		switch {
		case err != nil:
			l.close() // it is out of step, and stays so
			return nil, err
		case answered:
			parser := expfmt.NewTextParser(model.UTF8Validation)
			return parser.TextToMetricFamilies(bytes.NewReader(text))
		}
		l.came = slices.Grow(l.came, 16<<10)
		n, err := l.file.Read(l.came[len(l.came):cap(l.came)])
		l.came = l.came[:len(l.came)+n]
		if err != nil {
			return nil, err
		}
	}
}

// metricsHead is what comes in front of the text of an answer.
const metricsHead = 1 + 4

// answer takes what has come apart, and reports whether the last question is answered.
func (l *metricsLine) answer() (text []byte, ok bool, err error) {
	for len(l.came) >= metricsHead {
		n := int(binary.BigEndian.Uint32(l.came[1:]))
		if n > maxMetricsPage {
			return nil, false, fmt.Errorf("got a page of %d bytes, want at most %d", n, maxMetricsPage)
		}
		if len(l.came) < metricsHead+n {
			break
		}
		number, text := l.came[0], l.came[metricsHead:metricsHead+n]
		l.came = l.came[metricsHead+n:]
		if number == l.number {
			return text, true, nil
		}
	}
	return nil, false, nil
}

// answerMetrics answers metricsLine.ask with what gatherer has, until file ends.
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
		page := bytes.NewBuffer(make([]byte, metricsHead, 16<<10))
		page.Bytes()[0] = question[0]
		for _, f := range families {
			if _, err := expfmt.MetricFamilyToText(page, f); err != nil {
				log.Warn("metrics: " + err.Error())
			}
		}
		binary.BigEndian.PutUint32(page.Bytes()[1:], uint32(page.Len()-metricsHead))
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
