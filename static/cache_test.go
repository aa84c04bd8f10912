package static

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

var script = strings.Repeat("function answer(x) { return x + 42; }\n", 200)

func TestContentCoding(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app.js", script)
	write(t, dir, "tiny.js", "1")
	write(t, dir, "floor.js", script[:encodeFloor])
	write(t, dir, "photo.png", script)
	s := serve(t, Options{Root: dir})
	for _, tt := range []struct {
		name, target, accept string
		status               int
		coding, vary         string
	}{
		{"browser", "/app.js", "gzip, deflate, br, zstd", 200, "br", "Accept-Encoding"},
		{"no br", "/app.js", "gzip, zstd", 200, "zstd", "Accept-Encoding"},
		{"gzip alone", "/app.js", "gzip", 200, "gzip", "Accept-Encoding"},
		{"weights decide", "/app.js", "br;q=0.1, gzip;q=0.9", 200, "gzip", "Accept-Encoding"},
		{"star", "/app.js", "*", 200, "br", "Accept-Encoding"},
		{"nothing known", "/app.js", "compress", 200, "", "Accept-Encoding"},
		{"plain first", "/app.js", "identity, gzip;q=0.5", 200, "", "Accept-Encoding"},
		{"plain refused", "/app.js", "identity;q=0, gzip;q=0.1", 200, "gzip", "Accept-Encoding"},
		{"all refused", "/app.js", "*;q=0", 406, "", "Accept-Encoding"},
		{"too small", "/tiny.js", "gzip", 200, "", ""},
		{"just large enough", "/floor.js", "gzip", 200, "gzip", "Accept-Encoding"},
		{"not worth it", "/photo.png", "gzip", 200, "", ""},
		{"not worth it, plain refused", "/photo.png", "gzip, identity;q=0", 406, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				got := s.get(tt.target, "Accept-Encoding: "+tt.accept)
				if got.status != tt.status || got.header.Get("Content-Encoding") != tt.coding || got.header.Get("Vary") != tt.vary {
					t.Fatalf("GET %s, %s = %d %q, Vary %q, want %d %q %q", tt.target, tt.accept, got.status,
						got.header.Get("Content-Encoding"), got.header.Get("Vary"), tt.status, tt.coding, tt.vary)
				}
				if tt.status != 200 {
					continue
				}
				want, _ := os.ReadFile(filepath.Join(dir, tt.target))
				if body := decode(t, tt.coding, []byte(got.body)); string(body) != string(want) {
					t.Fatalf("body decodes to %d bytes, want the file's %d", len(body), len(want))
				}
				if head := s.do("HEAD", tt.target, "Accept-Encoding: "+tt.accept); head.header.Get("Content-Encoding") != tt.coding || head.header.Get("Content-Length") == "" {
					t.Fatalf("HEAD = %v", head.header)
				}
			}
		})
	}
	if got := s.get("/app.js"); got.header.Get("Content-Encoding") != "" || got.header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("without Accept-Encoding: %v", got.header)
	}
}

// Two forms never share a tag, and a client that holds the quick form is told that
// it is still good when the best form has taken its place.
func TestTagsOfForms(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app.js", script)
	s := serve(t, Options{Root: dir})
	tags := map[string]string{}
	var quick string
	for _, accept := range []string{"identity", "br", "zstd", "gzip"} {
		got := s.get("/app.js", "Accept-Encoding: "+accept)
		tag := got.header.Get("ETag")
		if other, dup := tags[tag]; dup || tag == "" {
			t.Errorf("%s has the tag %s of %s", accept, tag, other)
		}
		tags[tag] = accept
		if accept == "gzip" {
			quick = tag
		}
	}
	// Force the best form, whatever the improver does.
	e, err := s.h.find([]byte("/app.js"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	best, err := s.h.encode(e, codingGzip, levelBest)
	if err != nil {
		t.Fatal(err)
	}
	e.coded[codingGzip].Store(best)
	got := s.get("/app.js", "Accept-Encoding: gzip")
	if got.header.Get("ETag") == quick || string(decode(t, "gzip", []byte(got.body))) != script {
		t.Errorf("the best form has the tag of the quick one, %s, or another content", quick)
	}
	if got := s.get("/app.js", "Accept-Encoding: gzip", "If-None-Match: "+quick); got.status != 304 || got.header.Get("ETag") != quick {
		t.Errorf("quick tag revalidated = %d %s, want 304 %s", got.status, got.header.Get("ETag"), quick)
	}
	if got := s.get("/app.js", "Accept-Encoding: gzip", "Range: bytes=0-9", "If-Range: "+quick); got.status != 200 {
		t.Errorf("range of the quick form = %d, want 200: the bytes are others now", got.status)
	}
	if got := s.get("/app.js", "Accept-Encoding: gzip", "If-None-Match: "+string(e.plain.etag)); got.status != 200 {
		t.Errorf("tag of the plain file revalidates the coded form: %d", got.status)
	}
}

func TestBestFormInTheBackground(t *testing.T) {
	dir := t.TempDir()
	small, big := prose(20<<10), prose(encodeInline+1)
	write(t, dir, "app.js", small)
	write(t, dir, "big.js", big)
	s := serve(t, Options{Root: dir})
	s.h.believeAges()
	for target, want := range map[string]string{"/app.js": small, "/big.js": big} {
		first := s.get(target, "Accept-Encoding: gzip")
		if target == "/big.js" && (first.header.Get("Content-Encoding") != "" || first.body != want) {
			t.Errorf("first reader of a large file waited for its coding")
		}
		deadline := time.Now().Add(30 * time.Second)
		for {
			got := s.get(target, "Accept-Encoding: gzip")
			if string(decode(t, got.header.Get("Content-Encoding"), []byte(got.body))) != want {
				t.Fatalf("GET %s: wrong content", target)
			}
			if got.header.Get("ETag") != first.header.Get("ETag") {
				if len(got.body) >= len(first.body) {
					t.Errorf("GET %s: best form %d bytes, first answer %d", target, len(got.body), len(first.body))
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("GET %s: no best form", target)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestSiblings(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.js", script)
	for c, data := range map[string]coding{"a.js.gz": codingGzip, "a.js.br": codingBrotli} {
		out, err := new(encoders).encode(data, levelQuick, []byte(script))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, c, string(out)+"")
	}
	write(t, dir, "stale.js", script)
	stale := write(t, dir, "stale.js.gz", "not even gzip")
	if err := os.Chtimes(stale, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Root: dir, CacheRevalidate: -1})
	// zstd is preferred to gzip, but the sibling is there already.
	if got := s.get("/a.js", "Accept-Encoding: gzip, zstd"); got.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("sibling not taken: %v", got.header)
	}
	got := s.get("/a.js", "Accept-Encoding: gzip, br")
	if got.header.Get("Content-Encoding") != "br" || string(decode(t, "br", []byte(got.body))) != script ||
		got.header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("GET with siblings = %v", got.header)
	}
	part := s.get("/a.js", "Accept-Encoding: br", "Range: bytes=3-9")
	if part.status != 206 || part.body != got.body[3:10] || part.header.Get("Content-Encoding") != "br" {
		t.Errorf("range of a sibling = %d %q %v", part.status, part.body, part.header)
	}
	if got := s.get("/stale.js", "Accept-Encoding: gzip"); string(decode(t, "gzip", []byte(got.body))) != script {
		t.Error("a sibling older than its file was taken")
	}
	if err := os.Remove(filepath.Join(dir, "a.js.br")); err != nil {
		t.Fatal(err)
	}
	if got := s.get("/a.js", "Accept-Encoding: gzip, br"); got.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("after the removal of a sibling: %v", got.header)
	}
	if got := s.get("/a.js.gz"); got.status != 200 || got.header.Get("Content-Type") != "application/gzip" || got.header.Get("Content-Encoding") != "" {
		t.Errorf("sibling by its own name = %d %v", got.status, got.header)
	}
}

// believeAges makes h take even a file of this moment for old, so that a test need not
// wait for what depends on age.
func (h *Handler) believeAges() { h.youngAge = math.MinInt64 / 2 }

// prose is text that an encoder has to work for.
func prose(size int) string {
	r := rand.New(rand.NewPCG(7, 7))
	words := strings.Fields("the a of file document root served request answer coding level under over with fallthrough path")
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, "%s %d ", words[r.IntN(len(words))], r.IntN(1000))
	}
	return b.String()
}

// What was found is believed for CacheRevalidate, and not longer.
func TestRevalidate(t *testing.T) {
	dir := t.TempDir()
	p := write(t, dir, "a.txt", "one")
	believing := serve(t, Options{Root: dir, CacheRevalidate: time.Hour})
	asking := serve(t, Options{Root: dir, CacheRevalidate: -1})
	check := func(when, path string, wantBelieving, wantAsking string) {
		t.Helper()
		if got := believing.get(path); got.body != wantBelieving {
			t.Errorf("%s: with an hour's belief %s = %q, want %q", when, path, got.body, wantBelieving)
		}
		if got := asking.get(path); got.body != wantAsking {
			t.Errorf("%s: asked each time %s = %q, want %q", when, path, got.body, wantAsking)
		}
	}
	const missing = "404 Not Found\n"
	check("at first", "/a.txt", "one", "one")
	for range 3 { // a miss is remembered from the second time on
		check("at first", "/b.txt", missing, missing)
	}
	q := write(t, dir, "new", "two")
	if err := os.Rename(q, p); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "b.txt", "b")
	check("replaced", "/a.txt", "one", "two")
	check("created", "/b.txt", missing, "b")
	if err := os.WriteFile(p, []byte("six"), 0o644); err != nil { // in place, same size
		t.Fatal(err)
	}
	check("written over", "/a.txt", "one", "six")
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	check("removed", "/a.txt", "one", missing)
}

// Files are replaced by rename while many clients read them: every body is one of the
// versions, whole, and fits its entity tag.
func TestReplacedUnderLoad(t *testing.T) {
	for _, size := range []int{100, 20 << 10, memoryLimit + 1, 300 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := t.TempDir()
			content := func(n int) string {
				letter := n % 26
				return strings.Repeat(string(rune('a'+letter)), size+letter%3)
			}
			write(t, dir, "a.txt", content(0))
			s := serve(t, Options{Root: dir, CacheRevalidate: -1})
			var stop atomic.Bool
			var tags sync.Map
			var readers, bodies = sync.WaitGroup{}, atomic.Int64{}
			for reader := range 4 {
				readers.Go(func() {
					accept := []string{"identity", "gzip", "identity", "br"}[reader]
					for !stop.Load() {
						got := roundTrip(t, s.addr, "GET", "/a.txt", "Accept-Encoding: "+accept)
						if got.status != 200 || got.err != nil {
							continue // cut short, and the client sees it
						}
						body := string(decode(t, got.header.Get("Content-Encoding"), []byte(got.body)))
						if len(body) == 0 || body != content(int(body[0]-'a')) {
							t.Errorf("a body of %d bytes is mixed or cut", len(body))
							return
						}
						if old, seen := tags.LoadOrStore(got.header.Get("ETag"), body); seen && old != body {
							t.Errorf("two bodies for the tag %s", got.header.Get("ETag"))
							return
						}
						bodies.Add(1)
					}
				})
			}
			for n := 1; n < 30; n++ {
				p := write(t, dir, "next", content(n))
				if err := os.Rename(p, filepath.Join(dir, "a.txt")); err != nil {
					t.Fatal(err)
				}
				for seen := bodies.Load(); bodies.Load() < seen+2 && !t.Failed(); {
					time.Sleep(100 * time.Microsecond)
				}
			}
			stop.Store(true)
			readers.Wait()
		})
	}
}

// A file that shrinks while it is sent ends the connection.
func TestTruncatedWhileSent(t *testing.T) {
	dir := t.TempDir()
	p := write(t, dir, "a.bin", strings.Repeat("a", 32<<20))
	s := serve(t, Options{Root: dir})
	first := true
	wrapped := serveHandler(t, func(ctx *fasthttp.RequestCtx) {
		s.h.Handle(ctx)
		if first { // after the fields were decided, before the body is written
			first = false
			if err := os.Truncate(p, 1<<20); err != nil {
				t.Error(err)
			}
		}
	}, nil)
	got := roundTrip(t, wrapped, "GET", "/a.bin")
	if got.status != 200 || got.err == nil || len(got.body) >= 32<<20 {
		t.Errorf("truncated file = %d, %d bytes, %v, want a body cut short", got.status, len(got.body), got.err)
	}
}

// A file that is written over while it is sent, without a change of its size, never
// looks complete.
func TestOverwrittenWhileSent(t *testing.T) {
	dir := t.TempDir()
	const size = 4 << 20
	p := write(t, dir, "a.bin", strings.Repeat("a", size))
	s := serve(t, Options{Root: dir})
	wrapped := serveHandler(t, func(ctx *fasthttp.RequestCtx) {
		s.h.Handle(ctx)
		if err := os.WriteFile(p, []byte(strings.Repeat("b", size)), 0o644); err != nil {
			t.Error(err)
		}
	}, nil)
	if got := roundTrip(t, wrapped, "GET", "/a.bin"); got.err == nil {
		t.Errorf("overwritten file = %d, %d bytes and no error", got.status, len(got.body))
	}
}

func TestStoreKey(t *testing.T) {
	k := storeKey{codingGzip, levelBest, 3, version{math.MaxUint64, 5, 1 << 20, -7, 1e18, kindRegular}, 9, "a b/c+d%20e,f"}
	got, err := parseStoreKey(k.String())
	if err != nil || got != k {
		t.Errorf("parseStoreKey(%q) = %+v, %v, want %+v", k.String(), got, err, k)
	}
	for _, bad := range []string{"", "a", "0,0,0,0,0,0,0,0,0,", "9,0,0,0,0,0,0,0,0,x", "0,0,-1,0,0,0,0,0,0,x", "0,0,0,0,0,zzzzzzzz,0,0,0,x", "0,0,0,0,0,0,0,0,0,%"} {
		if k, err := parseStoreKey(bad); err == nil {
			t.Errorf("parseStoreKey(%q) = %+v, want an error", bad, k)
		}
	}
}

// The table stays within its bound, keeps what is in use, and gives back descriptors.
func TestTableIsBounded(t *testing.T) {
	dropped := map[*entry]bool{}
	table := newTable(tableShards, func(e *entry) { dropped[e] = true })
	entries := map[string]*entry{}
	for i := range 1000 {
		e := &entry{path: fmt.Sprintf("/%d", i)}
		entries[e.path] = e
		table.put(table.hash([]byte(e.path)), e)
	}
	if n := table.len(); n > tableShards || n+len(dropped) != 1000 {
		t.Errorf("after 1000 entries: %d kept, %d dropped, want at most %d kept", n, len(dropped), tableShards)
	}
	table.each(func(e *entry) {
		if dropped[e] || table.get(table.hash([]byte(e.path)), []byte(e.path)) != e {
			t.Errorf("entry %s is listed and gone", e.path)
		}
	})
	for path, e := range entries {
		table.remove(table.hash([]byte(path)), e)
	}
	if n := table.len(); n != 0 || len(dropped) != 1000 {
		t.Errorf("after all were removed: %d kept, %d dropped", n, len(dropped))
	}
}

func TestDescriptorsAreClosed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.bin", strings.Repeat("a", memoryLimit+1))
	s := serve(t, Options{Root: dir, CacheRevalidate: time.Hour})
	s.get("/a.bin")
	if n := s.h.openFiles.Load(); n != 1 {
		t.Fatalf("after a request: %d descriptors kept, want 1", n)
	}
	s.h.sweep() // clears the mark of use
	s.h.sweep()
	if n := s.h.openFiles.Load(); n != 0 {
		t.Errorf("after two sweeps: %d descriptors kept, want none", n)
	}
	if got := s.get("/a.bin"); got.status != 200 || len(got.body) != memoryLimit+1 {
		t.Errorf("after the sweep: %d, %d bytes", got.status, len(got.body))
	}
}

// A client that takes nothing for SendTimeout is cut off, and the file is let go.
func TestSendTimeout(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.bin", strings.Repeat("a", 16<<20))
	s := serve(t, Options{Root: dir, SendTimeout: 50 * time.Millisecond, CacheRevalidate: time.Hour})
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	e, err := s.h.find([]byte("/a.bin"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /a.bin HTTP/1.1\r\nHost: test\r\n\r\n")
	wait := func(what string, done func(*file) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			if f := e.plain.file.Load(); f != nil && done(f) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	wait("the file is not sent", func(f *file) bool { return f.refs.Load() == 2 })
	wait("the client is not cut off", func(f *file) bool { return f.refs.Load() == 1 })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.Copy(io.Discard, c); n >= 16<<20 {
		t.Errorf("the client got %d bytes, %v, want the body cut short", n, err)
	}
	// Who takes it at his own pace, and always something, gets it all.
	if got := serve(t, Options{Root: dir, SendTimeout: 20 * time.Second}).get("/a.bin"); len(got.body) != 16<<20 {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
}

// FuzzStoreKey asserts that a key that is accepted, from a peer, means one thing only.
func FuzzStoreKey(f *testing.F) {
	f.Add("0,1,0,0,0,a,b,c,0,a%20b")
	f.Add("3,0,0,-1,0,zz,-b,c,1,x")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := parseStoreKey(s)
		if err != nil {
			return
		}
		if again, err := parseStoreKey(k.String()); err != nil || again != k || k.version.size < 0 || k.tree < 0 || k.name == "" {
			t.Fatalf("parseStoreKey(%q) = %+v, and of its string %+v, %v", s, k, again, err)
		}
	})
}
