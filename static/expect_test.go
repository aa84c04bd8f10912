package static

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func listingRoot(t *testing.T) string {
	dir := testRoot(t)
	write(t, dir, "list/b.txt", "bb")
	write(t, dir, "list/a#1?.txt", "a")
	write(t, dir, "list/<script>.txt", "cccc")
	write(t, dir, "list/.hidden", "x")
	write(t, dir, "list/sub/deep.txt", "deep")
	if err := os.Symlink(os.TempDir(), filepath.Join(dir, "list/out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b.txt", filepath.Join(dir, "list/link.txt")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestListing(t *testing.T) {
	s := serve(t, Options{Root: listingRoot(t), Listing: true})
	got := s.get("/list/", "Accept: text/html,application/json;q=0.5")
	if got.status != 200 || got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("GET = %d %v", got.status, got.header)
	}
	if strings.Contains(got.body, "<script>") || strings.Contains(got.body, ".hidden") || strings.Contains(got.body, ">out") {
		t.Errorf("page shows what it must not:\n%s", got.body)
	}
	// Every link of the page leads to what it says.
	base, _ := url.Parse("http://test/list/")
	links := regexp.MustCompile(`<td class="name"[^>]*><a href="([^"]+)"`).FindAllStringSubmatch(got.body, -1)
	if len(links) != 6 { // parent, sub, and four files
		t.Errorf("page has %d links, want 6: %q", len(links), links)
	}
	for _, l := range links {
		u, err := base.Parse(strings.ReplaceAll(l[1], "&amp;", "&"))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.get(u.EscapedPath()); got.status != 200 {
			t.Errorf("link %s = %d", l[1], got.status)
		}
	}
	if got := s.get("/list"); got.status != 301 || got.header.Get("Location") != "/list/" {
		t.Errorf("without slash = %d %s", got.status, got.header.Get("Location"))
	}
	if got := s.do("HEAD", "/list/"); got.status != 200 || got.body != "" {
		t.Errorf("HEAD = %d %q", got.status, got.body)
	}
	for query, want := range map[string][]string{
		"":                      {"sub", "<script>.txt", "a#1?.txt", "b.txt", "link.txt"},
		"?sort=name&order=desc": {"sub", "link.txt", "b.txt", "a#1?.txt", "<script>.txt"},
		"?sort=size":            {"sub", "<script>.txt", "b.txt", "link.txt", "a#1?.txt"},
		"?sort=size&order=asc":  {"sub", "a#1?.txt", "b.txt", "link.txt", "<script>.txt"},
		"?sort=bogus&order=x":   {"sub", "<script>.txt", "a#1?.txt", "b.txt", "link.txt"},
	} {
		got := s.get("/list/"+query, "Accept: application/json")
		var entries []listed
		if err := json.Unmarshal([]byte(got.body), &entries); err != nil || got.header.Get("Content-Type") != "application/json" || got.header.Get("Vary") != "Accept" {
			t.Fatalf("JSON = %v %v %q", err, got.header, got.body)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name)
			if e.Name == "b.txt" && (e.Bytes == nil || *e.Bytes != 2 || e.Type != "file" || e.Modified == "") {
				t.Errorf("entry %+v", e)
			}
			if e.Name == "sub" && (e.Bytes != nil || e.Type != "directory" || e.Href != "./sub/") {
				t.Errorf("entry %+v", e)
			}
		}
		if !slices.Equal(names, want) {
			t.Errorf("GET /list/%s = %q, want %q", query, names, want)
		}
	}
	if got := serve(t, Options{Root: t.TempDir(), Listing: true}).get("/", "Accept: application/json"); got.body != "[]\n" {
		t.Errorf("empty directory = %q, want an empty list", got.body)
	}
}

func TestPrefersJSON(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": true, "text/html, application/json;q=0.9": false,
		"application/json, text/html;q=0.9": true, "application/json;q=0": false, "APPLICATION/JSON": true,
	} {
		if got := prefersJSON([]byte(accept)); got != want {
			t.Errorf("prefersJSON(%q) = %t, want %t", accept, got, want)
		}
	}
}

func TestSizeText(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 5 << 30: "5.0 GiB"} {
		if got := sizeText(n); got != want {
			t.Errorf("sizeText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestDownload(t *testing.T) {
	s := serve(t, Options{Root: listingRoot(t), Listing: true, DirectoryDownload: true})
	want := map[string]string{"list/b.txt": "bb", "list/a#1?.txt": "a", "list/<script>.txt": "cccc", "list/sub/deep.txt": "deep", "list/link.txt": "bb"}
	check := func(format string, got map[string]string) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s holds %v, want %v", format, got, want)
		}
	}
	a := s.get("/list/?download=zip")
	z, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body)))
	if err != nil || a.header.Get("Content-Disposition") != `attachment; filename="list.zip"; filename*=UTF-8''list.zip` {
		t.Fatalf("zip: %v %v", err, a.header)
	}
	got := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name] = string(b)
	}
	check("zip", got)
	a = s.get("/list/?download=tar")
	got = map[string]string{}
	for r := tar.NewReader(strings.NewReader(a.body)); ; {
		f, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r)
		got[f.Name] = string(b)
	}
	check("tar", got)
	// A folder with an index file can be had, a file and a missing folder cannot.
	for target, want := range map[string]string{
		"/with/?download=zip": "application/zip", "/?download=tar": "application/x-tar",
		"/a.txt?download=zip": "text/plain; charset=utf-8", "/missing/?download=zip": "text/plain; charset=utf-8",
		"/list/?download=rar": "text/html; charset=utf-8",
	} {
		if got := s.get(target).header.Get("Content-Type"); got != want {
			t.Errorf("GET %s: Content-Type %q, want %q", target, got, want)
		}
	}
	if got := s.do("HEAD", "/list/?download=zip"); got.status != 200 || got.body != "" {
		t.Errorf("HEAD = %d %q", got.status, got.body)
	}
	off := serve(t, Options{Root: listingRoot(t), Listing: true})
	if got := off.get("/list/?download=zip"); got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("without the option: %v", got.header)
	}
}

// A client that goes away in the middle of an archive ends the reading.
func TestDownloadGivenUp(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		write(t, dir, fmt.Sprintf("%d.bin", i), strings.Repeat("x", 1<<20))
	}
	s := serve(t, Options{Root: dir, DirectoryDownload: true, Listing: true})
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /?download=tar HTTP/1.1\r\nHost: test\r\n\r\n")
	if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	// The server's cleanup waits for the goroutine; it hangs if that does not end.
}

func TestSPA(t *testing.T) {
	dir := testRoot(t)
	plain := serve(t, Options{Root: dir, SPA: "/index.html"})
	app := serve(t, Options{Root: dir, SPA: "/index.html", Next: next})
	for _, tt := range []struct {
		target, accept string
		plain, app     int
	}{
		{"/route/17", "text/html,*/*", 200, 200},
		{"/route/17", "*/*", 200, 299},
		{"/api/data", "application/json", 200, 299},
		{"/missing.js", "*/*", 404, 299},
		{"/v1.2/", "text/html", 200, 200},
		{"/a/../b", "text/html", 404, 299},
		{"/a.txt", "text/html", 200, 200},
	} {
		for s, want := range map[*testServer]int{plain: tt.plain, app: tt.app} {
			got := s.get(tt.target, "Accept: "+tt.accept)
			if got.status != want || (want == 200 && tt.target != "/a.txt" && got.body != "<p>home") {
				t.Errorf("GET %s, Accept %s = %d %q, want %d", tt.target, tt.accept, got.status, got.body, want)
			}
		}
	}
}

func TestErrorDocuments(t *testing.T) {
	dir := testRoot(t)
	write(t, dir, "errors/404.html", "<p>lost")
	s := serve(t, Options{Root: dir, ErrorDocuments: map[int]string{404: "/errors/404.html"}})
	got := s.get("/missing")
	if got.status != 404 || got.body != "<p>lost" || got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.header.Get("ETag") != "" {
		t.Errorf("GET /missing = %d %q %v", got.status, got.body, got.header)
	}
	if got := s.do("POST", "/a.txt", "Content-Length: 0"); got.body != "405 Method Not Allowed\n" {
		t.Errorf("405 = %q", got.body)
	}
	if got := s.do("HEAD", "/missing"); got.status != 404 || got.body != "" {
		t.Errorf("HEAD = %d %q", got.status, got.body)
	}
	if err := os.Remove(filepath.Join(dir, "errors/404.html")); err != nil {
		t.Fatal(err)
	}
	s2 := serve(t, Options{Root: dir})
	if got := s2.get("/missing"); got.body != "404 Not Found\n" {
		t.Errorf("without a document = %q", got.body)
	}
}

func TestRedirects(t *testing.T) {
	dir := testRoot(t)
	name := write(t, t.TempDir(), "_redirects", "# moved in 2024\n\n/old /new\n/docs/*\thttps://docs.example/:splat 308 # all\n/a.txt /never\n/q /new?x=1 302\n")
	rules, err := ReadRedirects(name)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Root: dir, Redirects: rules, Next: next})
	for _, tt := range []struct {
		target   string
		status   int
		location string
	}{
		{"/old", 301, "/new"},
		{"/old?a=b", 301, "/new?a=b"},
		{"/old/", 299, ""},
		{"/docs/a%20b/c", 308, "https://docs.example/a%20b/c"},
		{"/docs//evil.example/", 308, "https://docs.example/evil.example/"},
		{"/q?a=b", 302, "/new?x=1"},
		{"/a.txt", 200, ""},
		{"/docs", 299, ""},
	} {
		if got := s.get(tt.target); got.status != tt.status || got.header.Get("Location") != tt.location {
			t.Errorf("GET %s = %d %q, want %d %q", tt.target, got.status, got.header.Get("Location"), tt.status, tt.location)
		}
	}
	for _, bad := range []string{"/a", "/a /b 200", "/a /b x", "a /b", "/a b", "/a //evil", "/*/b /c", "/* https://:splat/", "/* https://x:splat/",
		"/a /:splat", "/* /:splat", "/a ftp://x/", "/a https:///x", "/a /b 301 more", `/a /\evil`} {
		if err := os.WriteFile(name, []byte(bad+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadRedirects(name); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("ReadRedirects of %q = %v, want an error that names the line", bad, err)
		}
	}
}

// FuzzRedirect asserts that no request chooses the host that it is sent to.
func FuzzRedirect(f *testing.F) {
	f.Add("/docs/* /new/:splat", []byte("/docs//evil.example"))
	f.Add("/x* /:splat", []byte("/x//evil.example"))
	f.Add("/* https://docs.example/:splat", []byte(`/%5c%5cevil`))
	f.Fuzz(func(t *testing.T, line string, uri []byte) {
		r, ok, err := parseRedirect(line)
		var tg Target
		if tg.parse(uri); !ok || err != nil || tg.Err != nil || strings.ContainsAny(string(tg.Query), "\r\n") {
			return
		}
		to, ok := r.location(&tg)
		if !ok {
			return
		}
		if bytes.HasPrefix(to, []byte("//")) || bytes.HasPrefix(to, []byte(`/\`)) {
			t.Fatalf("%q sends %q to %q", line, uri, to)
		}
		if strings.HasPrefix(r.To, "http") {
			want, _, _ := strings.Cut(strings.SplitN(r.To, "://", 2)[1], "/")
			got, _, _ := strings.Cut(strings.SplitN(string(to), "://", 2)[1], "/")
			want, _, _ = strings.Cut(want, "?")
			got, _, _ = strings.Cut(got, "?")
			want, _, _ = strings.Cut(want, "#")
			got, _, _ = strings.Cut(got, "#")
			if got != want {
				t.Fatalf("%q sends %q to the host %q", line, uri, got)
			}
		}
	})
}

func TestTryExtensions(t *testing.T) {
	dir := testRoot(t)
	write(t, dir, "about.html", "about")
	write(t, dir, "with.html", "with.html")
	s := serve(t, Options{Root: dir, TryExtensions: []string{".htm", ".html"}, Next: next})
	for target, want := range map[string]string{
		"/about": "about", "/about.html": "about", "/about/": "application /about/", "/with": "with.html", "/with/": "<p>with",
		"/a": "application /a", "/": "<p>home",
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

func TestHeadersAndCORS(t *testing.T) {
	dir := testRoot(t)
	write(t, dir, "page.html", script)
	write(t, dir, "app.55e7cbb9ba48.css", script)
	s := serve(t, Options{Root: dir, Headers: []Field{{"X-Frame-Options", "DENY"}}, CORS: []string{"https://a.test"}, Next: next,
		CacheControl: []CacheRule{{"*.txt", "max-age=60"}}})
	if got := s.get("/a.txt"); got.header.Get("X-Frame-Options") != "DENY" || got.header.Get("Cache-Control") != "max-age=60" ||
		got.header.Get("Vary") != "Origin" || got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without Origin: %v", got.header)
	}
	if got := s.get("/page.html", "Origin: https://a.test"); got.header.Get("Access-Control-Allow-Origin") != "https://a.test" ||
		got.header.Get("Vary") != "Origin, Accept-Encoding" || got.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("known origin: %v", got.header)
	}
	if got := s.get("/page.html", "Origin: https://b.test"); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("unknown origin: %v", got.header)
	}
	if got := s.get("/app.55e7cbb9ba48.css"); got.header.Get("Cache-Control") != cacheHashed {
		t.Errorf("hashed name: %v", got.header)
	}
	tag := s.get("/a.txt").header.Get("ETag")
	if got := s.get("/a.txt", "If-None-Match: "+tag); got.status != 304 || got.header.Get("X-Frame-Options") != "DENY" || got.header.Get("Cache-Control") != "max-age=60" {
		t.Errorf("304: %d %v", got.status, got.header)
	}
	if got := s.get("/missing"); got.status != 299 || got.header.Get("X-Frame-Options") != "" {
		t.Errorf("the application's answer: %d %v", got.status, got.header)
	}
	got := s.do("OPTIONS", "/a.txt", "Origin: https://a.test", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: range")
	if got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != "https://a.test" || got.header.Get("Access-Control-Allow-Headers") != "range" ||
		got.header.Get("Access-Control-Allow-Methods") != allow {
		t.Errorf("preflight = %d %v", got.status, got.header)
	}
	if got := s.do("OPTIONS", "/missing", "Origin: https://a.test", "Access-Control-Request-Method: GET"); got.status != 299 {
		t.Errorf("preflight for the application = %d, want it declined", got.status)
	}
	any := serve(t, Options{Root: dir, CORS: []string{"*"}})
	if got := any.get("/a.txt"); got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("any origin: %v", got.header)
	}
}

func TestMIMETypesFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.foo", "x")
	write(t, dir, "a.js", "x")
	for name, content := range map[string]string{
		"apache": "# types\napplication/x-foo foo FOO2 # more\ntext/x-own js\n",
		"nginx":  "types {\n    application/x-foo  foo foo2;\n    text/x-own js;\n}\n",
	} {
		s := serve(t, Options{Root: dir, MIMETypes: write(t, t.TempDir(), name, content)})
		for target, want := range map[string]string{"/a.foo": "application/x-foo", "/a.js": "text/x-own; charset=utf-8"} {
			if got := s.get(target).header.Get("Content-Type"); got != want {
				t.Errorf("%s: type of %s = %q, want %q", name, target, got, want)
			}
		}
	}
	for _, bad := range []string{"foo bar\n", "a/b c/d\n", "a/ x\n"} {
		if err := newMediaTypes().readFile(write(t, t.TempDir(), "bad", bad)); err == nil {
			t.Errorf("readFile(%q) = nil, want an error", bad)
		}
	}
}

func TestExpectationErrors(t *testing.T) {
	dir := testRoot(t)
	for _, tt := range []struct {
		name string
		o    Options
	}{
		{"missing SPA page", Options{SPA: "/none.html"}},
		{"SPA is no path", Options{SPA: "index.html"}},
		{"missing error document", Options{ErrorDocuments: map[int]string{404: "/none"}}},
		{"error document for 200", Options{ErrorDocuments: map[int]string{200: "/a.txt"}}},
		{"try extension", Options{TryExtensions: []string{"html"}}},
		{"redirect", Options{Redirects: []Redirect{{From: "x", To: "/y"}}}},
		{"header name", Options{Headers: []Field{{"a b", "c"}}}},
		{"header value", Options{Headers: []Field{{"A", "c\r\nd"}}}},
		{"own header", Options{Headers: []Field{{"Content-Length", "5"}}}},
		{"cors origin", Options{CORS: []string{"example.org"}}},
		{"cors null", Options{CORS: []string{"null"}}},
		{"cors with a path", Options{CORS: []string{"https://a/b"}}},
		{"media types", Options{MIMETypes: filepath.Join(dir, "none")}},
		{"cache rule", Options{CacheControl: []CacheRule{{"[", ""}}}},
		{"cache entries", Options{CacheEntries: 1}},
	} {
		tt.o.Root = dir
		if h, err := New(tt.o); err == nil {
			h.Close()
			t.Errorf("%s: New = nil error, want one", tt.name)
		}
	}
}

func ExampleHandler() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	os.WriteFile(filepath.Join(dir, "a.txt"), []byte("a file"), 0o644)
	h, err := New(Options{Root: dir, CacheRevalidate: time.Second})
	if err != nil {
		panic(err)
	}
	defer h.Close()
	var ctx fasthttp.RequestCtx
	ctx.Request.SetRequestURI("/a.txt")
	h.Handle(&ctx)
	fmt.Println(ctx.Response.StatusCode(), string(ctx.Response.Header.ContentType()))
	// Output: 200 text/plain; charset=utf-8
}
