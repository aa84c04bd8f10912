package static

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
				{"socket", "/socket", 404, ""},
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
		{FollowAny, "/device", 404},
		{FollowAny, "/socket", 404},
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

func TestAliases(t *testing.T) {
	root, media, deep := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, root, "static/only-root.txt", "root")
	write(t, root, "static/both.txt", "root")
	write(t, media, "both.txt", "alias")
	write(t, media, "index.html", "<p>alias")
	write(t, deep, "x.txt", "deep")
	write(t, media, "deep/x.txt", "the shorter alias")
	write(t, media, "deep/y.txt", "the shorter alias")
	write(t, root, "static/deep/x.txt", "root")
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
		{"/static/deep/x.txt", 200, "deep"}, // the longest prefix first, then the next
		{"/static/deep/y.txt", 200, "the shorter alias"},
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

func TestTryExtensions(t *testing.T) {
	dir := testRoot(t)
	write(t, dir, "about.html", "about")
	write(t, dir, "with.html", "with.html")
	write(t, dir, "draft.htm", "hidden")
	write(t, dir, "draft.html", "the next one")
	write(t, dir, "lost.htm", "hidden")
	s := serve(t, Options{Root: dir, TryExtensions: []string{".htm", ".html"}, Hide: []string{"draft.htm", "/lost.htm"}, Next: next})
	for target, want := range map[string]string{
		"/about": "about", "/about.html": "about", "/about/": "application /about/", "/with": "with.html", "/with/": "<p>with",
		"/a": "application /a", "/": "<p>home", "/draft": "the next one", "/lost": "application /lost",
	} {
		got := s.get(target)
		if got.body != want {
			t.Errorf("GET %s = %d %q, want %q", target, got.status, got.body, want)
		}
		if target == "/about" && got.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("GET %s: Content-Type %q", target, got.header.Get("Content-Type"))
		}
	}
}
