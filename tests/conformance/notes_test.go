package conformance

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newNote returns a name for a note that nobody else uses. Notes are explained
// in apps/support.py.
func newNote() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return "n" + hex.EncodeToString(b[:])
}

// note writes a note for an application that waits for it. On this machine that
// needs no thread of the server, all of which may be waiting.
func (s *server) note(t *testing.T, name string) {
	t.Helper()
	if s.notes == "" {
		s.ok(t, "/process/event?note="+name)
		return
	}
	if err := os.WriteFile(filepath.Join(s.notes, name), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// readNote returns the text of a note and whether it is there.
func (s *server) readNote(t *testing.T, name string) (string, bool) {
	t.Helper()
	if s.notes == "" {
		text := into[*string](t, s.ok(t, "/process/read?note="+name))
		if text == nil {
			return "", false
		}
		return *text, true
	}
	text, err := os.ReadFile(filepath.Join(s.notes, name))
	if os.IsNotExist(err) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text), true
}

// awaitNote waits until an application has written the note.
func (s *server) awaitNote(t *testing.T, name string) (text string) {
	t.Helper()
	eventually(t, "note of the application", func() error {
		found, ok := s.readNote(t, name)
		if !ok || found == "" {
			return fmt.Errorf("there is none")
		}
		text = found
		return nil
	})
	return text
}

// awaitLog waits until the server's log holds text.
func (s *server) awaitLog(t *testing.T, text string) {
	t.Helper()
	eventually(t, "log", func() error {
		if !strings.Contains(s.log(), text) {
			return fmt.Errorf("it does not hold %q", text)
		}
		return nil
	})
}

// eventually polls until check is content. What it waits for happens in another
// process, which cannot signal it.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(*flagPatience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("%s, after %s: %v", what, *flagPatience, err)
}
