package static

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
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

// TestListingAtOnce is for the race detector: many ask for one directory at the same time.
func TestListingAtOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "docs/a.txt", "a")
	s := serve(t, Options{Root: dir, Listing: true})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if got := s.get("/docs/"); got.status != 200 {
					t.Errorf("got %d", got.status)
				}
			}
		})
	}
	all.Wait()
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
		if err := json.Unmarshal([]byte(got.body), &entries); err != nil || got.header.Get("Content-Type") != "application/json" || got.header.Get("Vary") != "Accept, Accept-Encoding" {
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

// A listing is coded like a file, as page and as JSON.
func TestListingCoded(t *testing.T) {
	dir := listingRoot(t)
	plain := serve(t, Options{Root: dir, Listing: true, NoCompression: true})
	s := serve(t, Options{Root: dir, Listing: true})
	for _, accept := range []string{"text/html", "application/json"} {
		want := plain.get("/list/", "Accept: "+accept, "Accept-Encoding: gzip, br")
		if want.status != 200 || want.header.Get("Content-Encoding") != "" || want.header.Get("Vary") != "Accept" {
			t.Errorf("%s without compression = %d %v", accept, want.status, want.header)
		}
		for _, tt := range []struct{ accepted, coding string }{
			{"gzip", "gzip"}, {"zstd, gzip", "zstd"}, {"gzip, br, zstd", "br"}, {"br;q=0.5, gzip", "gzip"}, {"identity, gzip;q=0.5", ""},
			{"identity;q=0, gzip;q=0.1", "gzip"}, {"deflate", ""}, {"", ""},
		} {
			got := s.get("/list/", "Accept: "+accept, "Accept-Encoding: "+tt.accepted)
			if c := got.header.Get("Content-Encoding"); got.status != 200 || c != tt.coding || got.header.Get("Vary") != "Accept, Accept-Encoding" ||
				string(decode(t, c, []byte(got.body))) != want.body {
				t.Errorf("%s for %q = %d %v", accept, tt.accepted, got.status, got.header)
			}
		}
		if got := s.get("/list/", "Accept: "+accept, "Accept-Encoding: identity;q=0, deflate"); got.status != 406 {
			t.Errorf("%s when every coding is refused = %d, want 406", accept, got.status)
		}
	}
	if got := serve(t, Options{Root: t.TempDir(), Listing: true}).get("/", "Accept: application/json", "Accept-Encoding: gzip"); got.body != "[]\n" {
		t.Errorf("short listing = %q, want it as it is", got.body)
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
