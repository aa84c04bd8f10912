package static

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func testRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "index.html", "<p>home")
	write(t, dir, "a.txt", "0123456789")
	write(t, dir, "empty.txt", "")
	write(t, dir, "with/index.html", "<p>with")
	write(t, dir, "without/x.txt", "x")
	write(t, dir, "été & co/100%.txt", "names")
	write(t, dir, ".env", "SECRET=1")
	write(t, dir, ".well-known/security.txt", "contact")
	write(t, dir, "m.pyc", "code")
	write(t, dir, "app.py", "source")
	write(t, dir, "big.bin", strings.Repeat("0123456789abcdef", 100<<10/16*10))
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	write(t, outside, "secret.txt", "outside")
	for link, target := range map[string]string{
		"out.txt":        filepath.Join(outside, "secret.txt"),
		"out":            outside,
		"in.txt":         "a.txt",
		"in":             "with",
		"absolute.txt":   filepath.Join(dir, "a.txt"),
		"loop":           "loop",
		"without/up.txt": "../a.txt",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestGet(t *testing.T) {
	dir := testRoot(t)
	for _, follow := range []string{"openat2", "os.Root"} {
		t.Run(follow, func(t *testing.T) {
			plain := serve(t, Options{Root: dir})
			app := serve(t, Options{Root: dir, Next: next, HideSource: true})
			if follow == "os.Root" {
				plain.h.withoutOpenat2()
				app.h.withoutOpenat2()
			}
			for _, tt := range []struct {
				name, target string
				status       int
				body         string
			}{
				{"file", "/a.txt", 200, "0123456789"},
				{"file with a query", "/a.txt?v=1", 200, "0123456789"},
				{"empty file", "/empty.txt", 200, ""},
				{"index file", "/", 200, "<p>home"},
				{"index file of a directory", "/with/", 200, "<p>with"},
				{"names with spaces, letters, percent", "/%C3%A9t%C3%A9%20&%20co/100%25.txt", 200, "names"},
				{"well-known", "/.well-known/security.txt", 200, "contact"},
				{"link inside", "/in.txt", 200, "0123456789"},
				{"link inside, upwards", "/without/up.txt", 200, "0123456789"},
				{"absolute link that stays inside", "/absolute.txt", 200, "0123456789"},
				{"index file by a linked directory", "/in/", 200, "<p>with"},
				{"directory without slash", "/with", 301, "301 Moved Permanently\n"},
				{"missing", "/b.txt", 404, ""},
				{"file below a file", "/a.txt/b", 404, ""},
				{"file with a slash", "/a.txt/", 404, ""},
				{"directory without index", "/without/", 404, ""},
				{"directory without index and slash", "/without", 404, ""},
				{"dotfile", "/.env", 404, ""},
				{"encoded dotfile", "/%2eenv", 404, ""},
				{"compiled Python", "/m.pyc", 404, ""},
				{"FIFO", "/fifo", 404, ""},
				{"link out to a file", "/out.txt", 404, ""},
				{"link out to a directory", "/out/secret.txt", 404, ""},
				{"link to itself", "/loop", 404, ""},
				{"empty segment", "//a.txt", 404, ""},
				{"dot dot inside", "/with/../a.txt", 404, ""},
				{"encoded slash", "/with%2findex.html", 404, ""},
				{"back slash", `/with\index.html`, 404, ""},
				{"overlong name", "/" + strings.Repeat("a", 300), 404, ""},
				{"overlong UTF-8", "/..%c0%af..%c0%afetc/passwd", 404, ""},
				{"trailing dot", "/a.txt.", 404, ""},
				{"trailing space", "/a.txt%20", 404, ""},
				{"other case", "/A.TXT", 404, ""},
			} {
				got := plain.get(tt.target)
				if tt.status == 404 {
					tt.body = "404 Not Found\n"
				}
				if got.status != tt.status || got.body != tt.body {
					t.Errorf("%s: GET %s = %d %q, want %d %q", tt.name, tt.target, got.status, got.body, tt.status, tt.body)
				}
				got = app.get(tt.target)
				if tt.status == 404 {
					tt.status, tt.body = 299, got.body
					if !strings.HasPrefix(got.body, "application /") {
						t.Errorf("%s: GET %s did not reach the application: %q", tt.name, tt.target, got.body)
					}
				}
				if got.status != tt.status || got.body != tt.body {
					t.Errorf("%s: with an application GET %s = %d %q, want %d %q", tt.name, tt.target, got.status, got.body, tt.status, tt.body)
				}
			}
			if got := app.get("/app.py"); got.status != 299 {
				t.Errorf("source with an application = %d, want it declined", got.status)
			}
			if got := plain.get("/app.py"); got.status != 200 {
				t.Errorf("source without an application = %d, want 200", got.status)
			}
			for _, target := range []string{"/..", "/%2e%2e/%2e%2e/etc/passwd", "/..%2fa.txt", "/a%00.txt", "/a%", "/a%zz", "/a#b"} {
				for _, s := range []*testServer{plain, app} {
					if got := s.get(target); got.status != 400 {
						t.Errorf("GET %s = %d %q, want 400", target, got.status, got.body)
					}
				}
			}
		})
	}
}

func TestFollowSymlinks(t *testing.T) {
	dir := testRoot(t)
	for _, tt := range []struct {
		follow FollowSymlinks
		target string
		want   int
	}{
		{FollowNever, "/a.txt", 200},
		{FollowNever, "/in.txt", 404},
		{FollowNever, "/in/", 404},
		{FollowNever, "/out.txt", 404},
		{FollowAny, "/in.txt", 200},
		{FollowAny, "/out.txt", 200},
		{FollowAny, "/out/secret.txt", 200},
		{FollowAny, "/fifo", 404},
	} {
		for _, openat2 := range []bool{true, false} {
			s := serve(t, Options{Root: dir, FollowSymlinks: tt.follow})
			if !openat2 {
				s.h.withoutOpenat2()
			}
			if got := s.get(tt.target); got.status != tt.want {
				t.Errorf("follow %v, openat2 %t: GET %s = %d, want %d", tt.follow, openat2, tt.target, got.status, tt.want)
			}
		}
	}
}

// withoutOpenat2 makes h look files up as it does on a kernel without openat2.
func (h *Handler) withoutOpenat2() {
	for _, t := range h.trees {
		o := *t.current.Load()
		o.dir = nil
		t.current.Store(&o)
	}
}

func TestFields(t *testing.T) {
	s := serve(t, Options{Root: testRoot(t)})
	got := s.get("/a.txt")
	for name, want := range map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff",
		"Accept-Ranges": "bytes", "Content-Length": "10",
	} {
		if v := got.header.Get(name); v != want {
			t.Errorf("%s = %q, want %q", name, v, want)
		}
	}
	tag, date := got.header.Get("ETag"), got.header.Get("Last-Modified")
	if len(tag) < 3 || tag[0] != '"' || date == "" {
		t.Errorf("ETag = %q, Last-Modified = %q", tag, date)
	}
	head := s.do("HEAD", "/a.txt")
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != "10" || head.header.Get("ETag") != tag {
		t.Errorf("HEAD = %+v", head)
	}
	for _, tt := range []struct {
		name string
		want answer
		line string
	}{
		{"known tag", answer{status: 304}, "If-None-Match: " + tag},
		{"known date", answer{status: 304}, "If-Modified-Since: " + date},
		{"other tag", answer{status: 412, body: "412 Precondition Failed\n"}, `If-Match: "x"`},
		{"range", answer{status: 206, body: "234"}, "Range: bytes=2-4"},
		{"suffix range", answer{status: 206, body: "89"}, "Range: bytes=-2"},
		{"range past the end", answer{status: 416, body: "416 Requested Range Not Satisfiable\n"}, "Range: bytes=10-"},
		{"range, tag holds", answer{status: 206, body: "0"}, "Range: bytes=0-0\r\nIf-Range: " + tag},
		{"range, tag does not hold", answer{status: 200, body: "0123456789"}, "Range: bytes=0-0\r\nIf-Range: \"x\""},
		{"304 before the range", answer{status: 304}, "Range: bytes=99-\r\nIf-None-Match: " + tag},
	} {
		got := s.get("/a.txt", tt.line)
		if got.status != tt.want.status || got.body != tt.want.body {
			t.Errorf("%s: %d %q, want %d %q", tt.name, got.status, got.body, tt.want.status, tt.want.body)
		}
		switch got.status {
		case 304:
			if got.header.Get("ETag") != tag || got.header.Get("Content-Type") != "" || got.header.Get("Content-Length") != "" {
				t.Errorf("%s: fields %v", tt.name, got.header)
			}
		case 416:
			if v := got.header.Get("Content-Range"); v != "bytes */10" {
				t.Errorf("%s: Content-Range = %q, want %q", tt.name, v, "bytes */10")
			}
		}
	}
	if v := s.get("/a.txt", "Range: bytes=2-4").header.Get("Content-Range"); v != "bytes 2-4/10" {
		t.Errorf("Content-Range = %q, want %q", v, "bytes 2-4/10")
	}
}

func TestETagChangesWithTheFile(t *testing.T) {
	dir := t.TempDir()
	p := write(t, dir, "a.txt", "one")
	s := serve(t, Options{Root: dir})
	before := s.get("/a.txt").header.Get("ETag")
	info, err := os.Stat(p)
	if err != nil {
		t.Fatal(err)
	}
	// Same size, same mtime, another file: what cp -p or a build with a fixed
	// clock leaves behind.
	q := write(t, dir, "b.txt", "two")
	if err := os.Chtimes(q, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(q, p); err != nil {
		t.Fatal(err)
	}
	s2 := serve(t, Options{Root: dir})
	if got := s2.get("/a.txt", "If-None-Match: "+before); got.status != 200 || got.body != "two" {
		t.Errorf("after the replacement: %d %q, want 200 %q", got.status, got.body, "two")
	}
}

func TestLargeFile(t *testing.T) {
	dir := testRoot(t)
	want, err := os.ReadFile(filepath.Join(dir, "big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Root: dir})
	if got := s.get("/big.bin"); got.status != 200 || got.body != string(want) {
		t.Errorf("GET = %d, %d bytes, %v, want 200 and the file's %d", got.status, len(got.body), got.err, len(want))
	}
	if got := s.get("/big.bin", "Range: bytes=100001-900000"); got.status != 206 || got.body != string(want[100001:900001]) {
		t.Errorf("range = %d, %d bytes, %v", got.status, len(got.body), got.err)
	}
	if got := s.do("HEAD", "/big.bin"); got.status != 200 || got.header.Get("Content-Length") != fmt.Sprint(len(want)) {
		t.Errorf("HEAD = %+v", got)
	}
}

func TestRedirect(t *testing.T) {
	s := serve(t, Options{Root: testRoot(t)})
	for target, want := range map[string]string{
		"/with":                 "/with/",
		"/with?a=b&c":           "/with/?a=b&c",
		"/with?":                "/with/?",
		"/%77ith":               "/with/",
		"http://evil.test/with": "/with/",
		"/in":                   "/in/",
	} {
		if got := s.get(target); got.status != 301 || got.header.Get("Location") != want {
			t.Errorf("GET %s = %d, Location %q, want 301 %q", target, got.status, got.header.Get("Location"), want)
		}
	}
	for _, target := range []string{"//with", "//evil.test/..//with", "/%2fevil.test", `/\evil.test`, "/%5cevil.test"} {
		if got := s.get(target); got.status/100 == 3 {
			t.Errorf("GET %s = %d, Location %q, want no redirect", target, got.status, got.header.Get("Location"))
		}
	}
}

func TestMethods(t *testing.T) {
	dir := testRoot(t)
	plain, app := serve(t, Options{Root: dir}), serve(t, Options{Root: dir, Next: next})
	for _, tt := range []struct {
		method, target string
		plain, app     int
	}{
		{"HEAD", "/a.txt", 200, 200},
		{"POST", "/a.txt", 405, 299},
		{"PUT", "/a.txt", 405, 299},
		{"DELETE", "/missing", 405, 299},
		{"PROPFIND", "/", 405, 299},
		{"get", "/a.txt", 405, 299},
		{"OPTIONS", "/missing", 204, 299},
		{"OPTIONS", "*", 204, 204},
		{"TRACE", "/a.txt", 405, 405},
		{"CONNECT", "/a.txt", 405, 405},
	} {
		for s, want := range map[*testServer]int{plain: tt.plain, app: tt.app} {
			got := s.do(tt.method, tt.target, "Content-Length: 0")
			if got.status != want {
				t.Errorf("%s %s = %d, want %d", tt.method, tt.target, got.status, want)
			}
			if (got.status == 405 || got.status == 204) && got.header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow = %q, want %q", tt.method, tt.target, got.header.Get("Allow"), allow)
			}
		}
	}
}

// A body that nobody reads must end the connection: its rest would be taken for the
// next request.
func TestBodyOnStaticPath(t *testing.T) {
	s := serve(t, Options{Root: testRoot(t)})
	smuggled := "GET /empty.txt HTTP/1.1\r\nHost: smuggled\r\n\r\n"
	// fasthttp reads the first 8 KiB of a body before it calls the handler.
	padding := strings.Repeat("x", 16<<10)
	for _, framing := range []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s%s", 100000, padding, smuggled),
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(smuggled), smuggled),
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", 100000, smuggled),
	} {
		for _, method := range []string{"GET", "POST"} {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(c, method+" /a.txt HTTP/1.1\r\nHost: test\r\n"+framing)
			br := bufio.NewReader(c)
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			if want := map[string]int{"GET": 200, "POST": 405}[method]; resp.StatusCode != want || !resp.Close {
				t.Errorf("%s %.30q = %d, close %t, want %d and close", method, framing, resp.StatusCode, resp.Close, want)
			}
			if rest, _ := io.ReadAll(br); len(rest) > 0 {
				t.Errorf("%s %.30q: after the answer came %q", method, framing, rest)
			}
		}
	}
}

func TestAliases(t *testing.T) {
	root, media, deep := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, root, "static/only-root.txt", "root")
	write(t, root, "static/both.txt", "root")
	write(t, media, "both.txt", "alias")
	write(t, media, "index.html", "<p>alias")
	write(t, deep, "x.txt", "deep")
	icon := write(t, t.TempDir(), ".icon.ico", "icon")
	s := serve(t, Options{Root: root, Next: next, Aliases: []Alias{
		{"/static/", media}, {"/static/deep", deep}, {"/favicon.ico", icon},
	}})
	for _, tt := range []struct {
		target string
		status int
		body   string
	}{
		{"/static/both.txt", 200, "alias"},
		{"/static/only-root.txt", 200, "root"},
		{"/static/deep/x.txt", 200, "deep"},
		{"/static/deep/both.txt", 299, "application /static/deep/both.txt"},
		{"/static/", 200, "<p>alias"},
		{"/static", 301, "301 Moved Permanently\n"},
		{"/statics/both.txt", 299, "application /statics/both.txt"},
		{"/favicon.ico", 200, "icon"},
		{"/favicon.ico/", 299, "application /favicon.ico/"},
		{"/favicon.icon", 299, "application /favicon.icon"},
		{"/.icon.ico", 299, "application /.icon.ico"},
		{"/static/missing", 299, "application /static/missing"},
	} {
		if got := s.get(tt.target); got.status != tt.status || got.body != tt.body {
			t.Errorf("GET %s = %d %q, want %d %q", tt.target, got.status, got.body, tt.status, tt.body)
		}
	}
}

func TestPrivate(t *testing.T) {
	dir := t.TempDir()
	script := write(t, dir, "app.txt", "source")
	if err := os.Symlink("app.txt", filepath.Join(dir, "link.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(script, filepath.Join(dir, "hard.txt")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "other.txt", "other")
	s := serve(t, Options{Root: dir, Private: []string{script, "/missing"}})
	for target, want := range map[string]int{"/app.txt": 404, "/link.txt": 404, "/hard.txt": 404, "/other.txt": 200} {
		if got := s.get(target); got.status != want {
			t.Errorf("GET %s = %d, want %d", target, got.status, want)
		}
	}
}

func TestZeroOptions(t *testing.T) {
	s := serve(t, Options{})
	if got := s.get("/"); got.status != 404 {
		t.Errorf("GET / without a root = %d, want 404", got.status)
	}
}

func TestNewErrors(t *testing.T) {
	dir := t.TempDir()
	p := write(t, dir, "a.txt", "")
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"missing root", Options{Root: filepath.Join(dir, "none")}, "document root: "},
		{"root is a file", Options{Root: p}, "document root: "},
		{"alias without a slash", Options{Aliases: []Alias{{"a", dir}}}, "want a slash first"},
		{"alias with dots", Options{Aliases: []Alias{{"/a/../b", dir}}}, "without empty or dot segments"},
		{"alias target missing", Options{Aliases: []Alias{{"/a", filepath.Join(dir, "none")}}}, "alias /a: "},
		{"alias target empty", Options{Aliases: []Alias{{"/a", ""}}}, "the target is empty"},
		{"alias twice", Options{Aliases: []Alias{{"/a", dir}, {"/a/", dir}}}, "given twice"},
		{"alias of a device", Options{Aliases: []Alias{{"/a", "/dev/null"}}}, "neither a file nor a directory"},
		{"file for everything", Options{Aliases: []Alias{{"/", p}}}, "whole site"},
		{"index file with a slash", Options{IndexFiles: []string{"a/b"}}, "want a plain file name"},
		{"bad pattern", Options{Hide: []string{"["}}, "hide pattern"},
		{"bad link policy", Options{FollowSymlinks: 9}, "want never, inside or any"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// A document root that is swung to another directory, as deployments do, is
// followed.
func TestRootIsReplaced(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "v1/a.txt", "one")
	write(t, dir, "v2/a.txt", "two")
	current := filepath.Join(dir, "current")
	if err := os.Symlink("v1", current); err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Root: current})
	if got := s.get("/a.txt"); got.body != "one" {
		t.Fatalf("before: %q", got.body)
	}
	if err := os.Symlink("v2", current+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(current+".new", current); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		got := s.get("/a.txt")
		if got.body == "two" {
			return
		}
		if got.body != "one" || time.Now().After(deadline) {
			t.Fatalf("after: %q, want %q", got.body, "two")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// FuzzLookup asserts that whatever is asked for, no byte from outside the document
// root and no hidden file comes back.
func FuzzLookup(f *testing.F) {
	dir := f.TempDir()
	root := filepath.Join(dir, "root")
	write(f, dir, "secret.txt", "SECRET")
	write(f, root, "a/b.txt", "public")
	write(f, root, ".env", "SECRET")
	write(f, root, "a/m.pyc", "SECRET")
	for link, target := range map[string]string{"out": dir, "a/up": "../..", "a/abs": filepath.Join(dir, "secret.txt"), "ok": "a/b.txt"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			f.Fatal(err)
		}
	}
	h, err := New(Options{Root: root, Listing: true})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"/a/b.txt", "/ok", "/out/secret.txt", "/a/up/secret.txt", "/a/abs", "/..//secret.txt", "/%2e%2e/secret.txt", "/.env", "/a/m.pyc"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, target []byte) {
		var tg Target
		if tg.parse(target); tg.Err != nil || !tg.plain {
			return
		}
		s := h.scratch.Get().(*scratch)
		defer h.scratch.Put(s)
		got, err := h.lookup(s, tg.Path)
		if err != nil || got.outcome != outcomeFile {
			return
		}
		file, v, err := got.tree.open(s.room())
		if err != nil {
			return
		}
		defer file.release()
		b := make([]byte, v.size)
		if err := readExactly(file, v, b, 0); err != nil || string(b) != "public" {
			t.Fatalf("lookup(%q) = %q, %v, want only public files", tg.Path, b, err)
		}
	})
}
