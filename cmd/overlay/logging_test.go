package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"
)

// logLine logs with the text handler, and returns what it wrote behind the time.
func logLine(t *testing.T, log func(*slog.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	log(newLogger(&out, &config{LogFormat: "text"}))
	stamp := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} `)
	if !stamp.MatchString(out.String()) {
		t.Fatalf("%q does not start with a time", out.String())
	}
	return stamp.ReplaceAllString(out.String(), "")
}

func TestTextLog(t *testing.T) {
	for _, test := range []struct {
		name string
		log  func(*slog.Logger)
		want string
	}{
		{"message", func(l *slog.Logger) { l.Info("worker is ready") }, "INFO  worker is ready\n"},
		{"level", func(l *slog.Logger) { l.Error("no") }, "ERROR no\n"},
		{"level between", func(l *slog.Logger) { l.Log(t.Context(), slog.LevelInfo+2, "hm") }, "INFO+2 hm\n"},
		{"attributes", func(l *slog.Logger) { l.Warn("gone", "pid", 7, "signal", "killed") }, "WARN  gone pid=7 signal=killed\n"},
		{"attributes that need quotes", func(l *slog.Logger) { l.Info("m", "a", "b c", "d", "", "e", "f=g", "h", `i"j`) }, `INFO  m a="b c" d="" e="f=g" h="i\"j"` + "\n"},
		{"error", func(l *slog.Logger) { l.Info("m", "err", errors.New("disk full")) }, `INFO  m err="disk full"` + "\n"},
		{"duration", func(l *slog.Logger) { l.Info("m", "after", 1500*time.Millisecond) }, "INFO  m after=1.5s\n"},
		{"time", func(l *slog.Logger) { l.Info("m", "at", time.Unix(0, 0).UTC()) }, "INFO  m at=1970-01-01T00:00:00Z\n"},
		{"with", func(l *slog.Logger) { l.With("pid", 7).With("n", 1).Info("m", "x", "y") }, "INFO  m pid=7 n=1 x=y\n"},
		{"group", func(l *slog.Logger) { l.WithGroup("g").With("a", 1).Info("m", "b", 2, slog.Group("h", "c", 3)) }, "INFO  m g.a=1 g.b=2 g.h.c=3\n"},
		{"empty group", func(l *slog.Logger) { l.WithGroup("").Info("m", slog.Group("h")) }, "INFO  m\n"},
		{"forged record", func(l *slog.Logger) { l.Info("a\n2026-01-01 00:00:00.000 ERROR b\r") }, `INFO  a\n2026-01-01 00:00:00.000 ERROR b\r` + "\n"},
		{"forged attribute", func(l *slog.Logger) { l.Info("m", "a", "b\nc", "d\n", 1) }, `INFO  m a=b\nc d\n=1` + "\n"},
		{"terminal codes", func(l *slog.Logger) { l.Info("\x1b[31m\u009b\u202e\x7f\xff") }, `INFO  \x1b[31m\u009b\u202e\x7f\xff` + "\n"},
		{"other alphabets", func(l *slog.Logger) { l.Info("größer 大きい 😀", "a", `C:\b`) }, `INFO  größer 大きい 😀 a=C:\b` + "\n"},
		{"traceback", func(l *slog.Logger) { l.Error("failed", "traceback", "Traceback:\n  File\r\n\x1b[0m\n", "pid", 7) },
			"ERROR failed pid=7\n    | Traceback:\n    |   File\n    | \\x1b[0m\n"},
		{"traceback before", func(l *slog.Logger) { l.With("traceback", "a\nb").Info("m") }, "INFO  m\n    | a\n    | b\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := logLine(t, test.log); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestLogLevel(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log := newLogger(&out, &config{LogFormat: format, LogLevel: slog.LevelWarn})
		log.Info("unwanted")
		log.Warn("wanted")
		if got := out.String(); strings.Contains(got, "unwanted") || !strings.Contains(got, "wanted") {
			t.Errorf("%s: the level warn writes %q", format, got)
		}
	}
}

func TestJSONLog(t *testing.T) {
	var out bytes.Buffer
	message := "a\n\x1b\u009b\x7f\u202e\U000E0001\U0001F600ü"
	newLogger(&out, &config{LogFormat: "json"}).Info(message, "traceback", "a\nb", "after", time.Second)
	for _, r := range strings.TrimSuffix(out.String(), "\n") {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u202e' || r == '\U000E0001' {
			t.Errorf("%q holds %q", out.String(), r)
		}
	}
	var record map[string]any
	if err := json.Unmarshal(out.Bytes(), &record); err != nil {
		t.Fatal(err)
	}
	if record["msg"] != message || record["traceback"] != "a\nb" || record["after"] != "1s" {
		t.Errorf("got %q, want the message %q, the traceback and 1s", out.String(), message)
	}
}

// oneWrite fails the test when a record arrives in parts, which would mix with
// what worker processes write to the same file.
type oneWrite struct {
	t      *testing.T
	writes int
}

func (w *oneWrite) Write(p []byte) (int, error) {
	w.writes++
	if !bytes.HasSuffix(p, []byte("\n")) {
		w.t.Errorf("%q is part of a record", p)
	}
	return len(p), nil
}

func TestRecordIsOneWrite(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		w := &oneWrite{t: t}
		newLogger(w, &config{LogFormat: format}).Error("m", "a", 1, "traceback", "x\ny\n")
		if w.writes != 1 {
			t.Errorf("%s: %d writes for a record", format, w.writes)
		}
	}
}

// FuzzTextLog asserts that a record without traceback is one line of printable
// characters, whatever is logged.
func FuzzTextLog(f *testing.F) {
	f.Add("message", "key", "value")
	f.Add("\n", "\x1b", "\u2028\xff \"")
	f.Fuzz(func(t *testing.T, message, key, value string) {
		if key == tracebackKey {
			return
		}
		var out bytes.Buffer
		newLogger(&out, &config{LogFormat: "text"}).Info(message, slog.String(key, value))
		for i, r := range out.String() {
			if (r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u2028') && i != out.Len()-1 {
				t.Fatalf("%q holds %q", out.String(), r)
			}
		}
	})
}
