package main

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"overlay/static"
)

// TestServePeers: the listener for peers answers, lets nobody without the secret
// in, and ends with the server. It runs in a process of its own, so that it can be
// repeated: groupcache allows peers once in each.
func TestServePeers(t *testing.T) {
	const alone = "OVERLAY_TEST_PEERS_ALONE"
	if os.Getenv(alone) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "-test.run=^TestServePeers$", "-test.count=1")
		cmd.Env = append(os.Environ(), alone+"=yes")
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "no tests to run") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	self := "http://" + free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := &config{Files: filesConfig{Peers: static.Peers{Self: self, URLs: []string{self}, Secret: "0123456789abcdef"}}}
	files, err := static.New(static.Options{Root: t.TempDir(), Peers: cfg.Files.Peers})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	s := &site{cfg: cfg, files: files, log: slog.New(slog.DiscardHandler)}
	stop, err := s.servePeers()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(self + "/_overlay/peer/x/y")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 4 {
		t.Errorf("without the secret: status %d, want a refusal", resp.StatusCode)
	}
	if _, err := s.servePeers(); err == nil || !strings.Contains(err.Error(), "listen for cache peers") || hintOf(err) == "" {
		t.Errorf("a second listener there: %v, want an error with a hint", err)
	}
	stop()
	if _, err := http.Get(self); err == nil {
		t.Error("peers are answered after the end")
	}
}
