package static

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const peerSecret = "0123456789abcdef0123456789abcdef"

// TestPeerProcess is not a test: it is the other server of TestPeers, which
// groupcache allows only one of per process.
func TestPeerProcess(t *testing.T) {
	root := os.Getenv("OVERLAY_TEST_PEER_ROOT")
	if root == "" {
		t.Skip("runs as a part of TestPeers")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	self := "http://" + ln.Addr().String()
	h, err := New(Options{Root: root, Hide: []string{"hidden*.js"}, Peers: Peers{Self: self, URLs: []string{os.Getenv("OVERLAY_TEST_PEER_OTHER")}, Secret: peerSecret}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.believeAges()
	go http.Serve(ln, h.PeerHandler())
	fmt.Println("PEER", self)
	io.Copy(io.Discard, os.Stdin) // until TestPeers ends
}

// TestPeers runs in a process of its own as well, so that it can be repeated.
func TestPeers(t *testing.T) {
	const alone = "OVERLAY_TEST_PEERS_ALONE"
	if os.Getenv(alone) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "-test.run=^TestPeers$", "-test.count=1")
		cmd.Env = append(os.Environ(), alone+"=yes")
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "no tests to run") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	for i := range 28 {
		write(t, dir, fmt.Sprintf("%d + 1%%.js", i), prose(2000+i))
	}
	for i := range 20 {
		write(t, dir, fmt.Sprintf("hidden%d.js", i), prose(2000))
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	self := "http://" + ln.Addr().String()

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command(exe, "-test.run=^TestPeerProcess$")
	other.Env = append(os.Environ(), "OVERLAY_TEST_PEER_ROOT="+dir, "OVERLAY_TEST_PEER_OTHER="+self)
	other.Stderr = os.Stderr
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() { stdin.Close(); other.Wait() }
	defer stop()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	peer, ok := strings.CutPrefix(strings.TrimSpace(line), "PEER ")
	if err != nil || !ok {
		t.Fatalf("the other server says %q, %v", line, err)
	}

	var asked, failed atomic.Int64
	s := serve(t, Options{Root: dir, Peers: Peers{Self: self, URLs: []string{peer}, Secret: peerSecret,
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			asked.Add(1)
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				failed.Add(1)
			}
			return resp, err
		})}})
	s.h.believeAges()
	go http.Serve(ln, s.h.PeerHandler())
	defer ln.Close()

	if _, err := New(Options{Root: dir, Peers: Peers{Self: self, Secret: peerSecret}}); err == nil {
		t.Error("a second handler with peers was made")
	}
	best := func(i int) {
		t.Helper()
		target, want := fmt.Sprintf("/%d%%20+%%201%%25.js", i), prose(2000+i)
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			got := s.get(target, "Accept-Encoding: gzip")
			if string(decode(t, "gzip", []byte(got.body))) != want {
				t.Fatalf("GET %s: wrong content", target)
			}
			if strings.HasSuffix(got.header.Get("ETag"), `-gzip2"`) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("GET %s: no best form", target)
			}
		}
	}
	for i := range 20 {
		best(i)
	}
	if st := &s.h.shared.group.Stats; asked.Load() == 0 || st.PeerLoads.Get() == 0 || st.PeerErrors.Get() != 0 || st.LocalLoads.Get() == 0 {
		t.Errorf("of 20 forms %d came from the peer, %d were made here, %d errors", st.PeerLoads.Get(), st.LocalLoads.Get(), st.PeerErrors.Get())
	}

	// What a stranger or a peer may not ask for.
	e, err := s.h.find([]byte("/1 + 1%.js"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	good := storeKey{coding: codingGzip, level: levelBest, version: e.version, name: "1 + 1%.js"}
	ask := func(secret string, k storeKey) int {
		t.Helper()
		r, _ := http.NewRequest("GET", peer+peerPath+sharedGroup+"/"+url.QueryEscape(k.String()), nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, _ := io.ReadAll(resp.Body); resp.StatusCode >= 400 && len(b) > 20 {
			t.Errorf("a refused peer is told %q", b)
		}
		return resp.StatusCode
	}
	plain, up, stale, tree := good, good, good, good
	plain.coding = codingIdentity
	up.name = "../" + dir + "/1 + 1%.js"
	stale.version.mtime++
	tree.tree = 7
	if got := ask(peerSecret, good); got != 200 {
		t.Errorf("a good key = %d, want 200", got)
	}
	if got := ask("wrong", good); got != 403 {
		t.Errorf("a wrong secret = %d, want 403", got)
	}
	for name, k := range map[string]storeKey{"plain content": plain, "a path upwards": up, "another version": stale, "no tree": tree} {
		if got := ask(peerSecret, k); got < 400 {
			t.Errorf("%s = %d, want it refused", name, got)
		}
	}

	// Nor what it hides, though this server does not: some of them are for this one to make.
	for i := range 20 {
		k := good
		k.name = fmt.Sprintf("hidden%d.js", i)
		if e, err = s.h.find([]byte("/"+k.name), time.Now()); err != nil || e.outcome != outcomeFile {
			t.Fatalf("%s: %v, %v", k.name, e, err)
		}
		if k.version = e.version; ask(peerSecret, k) < 400 {
			t.Errorf("%s, which is hidden there, was given out", k.name)
		}
	}

	// A dead peer costs one fallback.
	stop()
	asked.Store(0)
	for i := 20; i < 28; i++ {
		best(i)
	}
	if asked.Load() > 1 || failed.Load() != asked.Load() {
		t.Errorf("a dead peer was asked %d times, want once", asked.Load())
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestPeerOptions(t *testing.T) {
	for name, p := range map[string]Peers{
		"no self":      {URLs: []string{"http://a:1"}, Secret: peerSecret},
		"no secret":    {Self: "http://a:1"},
		"short secret": {Self: "http://a:1", Secret: "0123456789abcde"},
		"no URL":       {Self: "a:1", Secret: peerSecret},
		"path":         {Self: "http://a:1/x", Secret: peerSecret},
	} {
		if h, err := New(Options{Peers: p}); err == nil {
			h.Close()
			t.Errorf("%s: New = nil error, want one", name)
		}
	}
	h, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if h.PeerHandler() != nil {
		t.Error("PeerHandler without peers is not nil")
	}
}
