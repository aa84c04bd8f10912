package main

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// parseLogLevel reads the value of --log-level. Apache's further levels, which
// mod_wsgi-express takes, get the nearest of ours as hint.
func parseLogLevel(name string) (slog.Level, error) {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	if level, ok := levels[name]; ok {
		return level, nil
	}
	apache := map[string]string{
		"warning": "warn", "notice": "info", "crit": "error", "critical": "error", "alert": "error", "emerg": "error",
		"trace": "debug", "err": "error",
	}
	if ours, ok := apache[strings.TrimRight(strings.ToLower(name), "12345678")]; ok {
		return 0, usagef("the nearest is --log-level "+ours, "--log-level: got %q, want debug, info, warn or error", name)
	}
	return 0, oneOf("--log-level", name, "debug", "info", "warn", "error")
}

// lockedWriter lets one Write at a time through. All that goes to stderr shares
// one: banner, log and the output of the application.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// newLogger returns the program's log, which goes to w as the configuration
// says. Each record is one Write, and no value in it can break out of its line.
// w must take Writes from several goroutines.
func newLogger(w io.Writer, cfg *config) *slog.Logger {
	return slog.New(newLogHandler(w, cfg.LogFormat, cfg.LogLevel))
}

func newLogHandler(w io.Writer, format string, level slog.Level) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(&jsonEscaper{w: w}, &slog.HandlerOptions{Level: level, ReplaceAttr: durationsWithUnit})
	}
	return &textHandler{w: w, level: level}
}

// durationsWithUnit writes 15s where slog has a bare number of nanoseconds.
func durationsWithUnit(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// tracebackKey names an attribute whose value has lines, such as a Python
// traceback. As text, each gets a line of its own behind the record, marked so
// that it cannot be taken for one.
const tracebackKey = "traceback"

const tracebackMark = "    | "

// textHandler writes records for people:
//
//	2026-11-21 09:30:12.345 WARN  worker process is gone pid=4711 signal=killed
//
// Control characters are escaped everywhere.
type textHandler struct {
	w      io.Writer
	level  slog.Level
	prefix string // names of the open groups, each with a dot
	attrs  []byte // formatted attributes of With
	traces []byte // formatted traceback attributes of With
}

// Enabled implements slog.Handler.
func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// WithGroup implements slog.Handler.
func (h *textHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	c := *h
	c.prefix += name + "."
	return &c
}

// WithAttrs implements slog.Handler.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs, c.traces = append([]byte(nil), h.attrs...), append([]byte(nil), h.traces...)
	for _, a := range attrs {
		c.attrs, c.traces = appendAttr(c.attrs, c.traces, h.prefix, a)
	}
	return &c
}

// Handle implements slog.Handler.
func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	line := make([]byte, 0, 256)
	if !r.Time.IsZero() {
		line = r.Time.AppendFormat(line, "2006-01-02 15:04:05.000 ")
	}
	level := r.Level.String()
	line = append(append(line, level...), "      "[min(len(level), 5):]...)
	line = appendEscaped(line, r.Message)
	line = append(line, h.attrs...)
	traces := append([]byte(nil), h.traces...)
	r.Attrs(func(a slog.Attr) bool {
		line, traces = appendAttr(line, traces, h.prefix, a)
		return true
	})
	line = append(append(line, '\n'), traces...)
	_, err := h.w.Write(line)
	return err
}

// appendAttr adds " key=value" to line, or the lines of a traceback to traces.
func appendAttr(line, traces []byte, prefix string, a slog.Attr) (newLine, newTraces []byte) {
	value := a.Value.Resolve()
	switch {
	case a.Equal(slog.Attr{}):
		return line, traces
	case value.Kind() == slog.KindGroup:
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range value.Group() {
			line, traces = appendAttr(line, traces, prefix, inner)
		}
		return line, traces
	case a.Key == tracebackKey && value.Kind() == slog.KindString:
		for text := range strings.Lines(value.String()) {
			traces = append(traces, tracebackMark...)
			traces = appendEscaped(traces, strings.TrimRight(text, "\r\n"))
			traces = append(traces, '\n')
		}
		return line, traces
	}
	line = append(line, ' ')
	line = appendEscaped(line, prefix+a.Key)
	line = append(line, '=')
	text := value.String()
	if value.Kind() == slog.KindTime {
		text = value.Time().Format(time.RFC3339Nano)
	}
	if text == "" || strings.ContainsAny(text, " =\"") {
		return strconv.AppendQuote(line, text), traces
	}
	return appendEscaped(line, text), traces
}

// appendEscaped adds text to line with everything escaped that is not printable,
// as in a Go string literal: control characters of any kind, and the marks that
// make a terminal write from right to left. A backslash stays as it is, for the
// sake of the paths and messages that hold one.
func appendEscaped(line []byte, text string) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c >= ' ' && c < 0x7f {
			line = append(line, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if r != utf8.RuneError && strconv.IsPrint(r) {
			line = append(line, text[i:i+size]...)
		} else {
			quoted := strconv.Quote(text[i : i+size])
			line = append(line, quoted[1:len(quoted)-1]...)
		}
		i += size
	}
	return line
}

// jsonEscaper sits behind slog's JSON handler, which leaves C1 control characters
// and other unprintable ones as they are; in JSON they occur in strings alone, so
// that \u escapes are right for them.
type jsonEscaper struct{ w io.Writer }

func (e *jsonEscaper) Write(p []byte) (int, error) {
	line := make([]byte, 0, len(p)+16)
	for i := 0; i < len(p); {
		r, size := utf8.DecodeRune(p[i:])
		line = appendJSONRune(line, p[i:i+size], r)
		i += size
	}
	_, err := e.w.Write(line)
	return len(p), err
}

// appendJSONRune adds the rune r, whose bytes are raw, escaped if it cannot be
// printed. It leaves ASCII other than DEL to its caller.
func appendJSONRune(line, raw []byte, r rune) []byte {
	if (r < 0x7f) || (r != utf8.RuneError && strconv.IsPrint(r)) {
		return append(line, raw...)
	}
	if r >= 0x10000 { // a surrogate pair, RFC 8259 §7
		r -= 0x10000
		line = appendHex4(line, 0xd800+(r>>10))
		return appendHex4(line, 0xdc00+(r&0x3ff))
	}
	return appendHex4(line, r)
}

func appendHex4(line []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(line, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}
