package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"overlay/static"
)

// TestServingOptions: each option arrives in static.Options.
func TestServingOptions(t *testing.T) {
	dir := newTestFolder(t)
	for name, text := range map[string]string{"mime.types": "text/x-test test\n", "htdocs/404.html": "x", "htdocs/500.html": "x", "redirects": "/old /new 301\n", "secret": "0123456789abcdef\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		args string
		get  func(o static.Options) any
		want any
	}{
		{"--directory-download", func(o static.Options) any { return o.DirectoryDownload }, true},
		{"--try-extension .html --try-extension .txt", func(o static.Options) any { return o.TryExtensions }, []string{".html", ".txt"}},
		{"--spa /index.html", func(o static.Options) any { return o.SPA }, "/index.html"},
		{"--error-document 404 /404.html --error-document 500=/500.html", func(o static.Options) any { return o.ErrorDocuments }, map[int]string{404: "/404.html", 500: "/500.html"}},
		{"--redirects-file redirects", func(o static.Options) any { return o.Redirects[0].To }, "/new"},
		{"--cache-control *.js no-store", func(o static.Options) any { return o.CacheControl }, []static.CacheRule{{Pattern: "*.js", Value: "no-store"}}},
		{"--header X-Test yes", func(o static.Options) any { return o.Headers }, []static.Field{{Name: "X-Test", Value: "yes"}}},
		{"--cors https://a.example", func(o static.Options) any { return o.CORS }, []string{"https://a.example"}},
		{"--mime-types mime.types", func(o static.Options) any { return filepath.Base(o.MIMETypes) }, "mime.types"},
		{"--hide *.bak", func(o static.Options) any { return o.Hide }, []string{"*.bak"}},
		{"--follow-symlinks never", func(o static.Options) any { return o.FollowSymlinks }, static.FollowNever},
		{"--follow-symlinks any", func(o static.Options) any { return o.FollowSymlinks }, static.FollowAny},
		{"--no-compression --no-precompressed", func(o static.Options) any { return o.NoCompression && o.NoPrecompressed }, true},
		{"--cache-size 1M", func(o static.Options) any { return o.CacheSize }, int64(1 << 20)},
		{"--cache-size 0", func(o static.Options) any { return o.CacheSize }, int64(-1)},
		{"--cache-revalidate 0", func(o static.Options) any { return o.CacheRevalidate }, time.Duration(-1)},
		{"--cache-entries 64", func(o static.Options) any { return o.CacheEntries }, 64},
		{"--cache-peers http://127.0.0.1:9002 --cache-self http://127.0.0.1:9001 --cache-secret-file secret",
			func(o static.Options) any { return o.Peers.Self + " " + o.Peers.URLs[0] + " " + o.Peers.Secret }, "http://127.0.0.1:9001 http://127.0.0.1:9002 0123456789abcdef"},
		{"hello.wsgi", func(o static.Options) any { return o.HideSource && filepath.Base(o.Private[0]) == "hello.wsgi" }, true},
		{"", func(o static.Options) any { return o.HideSource }, false},
	} {
		t.Run(test.args, func(t *testing.T) {
			cfg, err := parseConfig(dir, append(strings.Fields(test.args), "--document-root", "htdocs")...)
			if err != nil {
				t.Fatal(err)
			}
			if got := test.get(cfg.staticOptions()); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestServingOptionErrors: what cannot take effect is refused, with a hint.
func TestServingOptionErrors(t *testing.T) {
	dir := newTestFolder(t)
	if err := os.WriteFile(filepath.Join(dir, "redirects"), []byte("/only-one-word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, want string }{
		{"--follow-symlinks some", "--follow-symlinks"},
		{"--hide [", "--hide: got \"[\""},
		{"--error-document 200 /x.html", "want 400 to 599"},
		{"--error-document x /x.html", "want 400 to 599"},
		{"--error-document 404 /x.html --error-document 404 /y.html", "404 is given twice"},
		{"--error-document 404 x.html", `--error-document: got "x.html", want the URL path of a file`},
		{"--error-document 404 /missing.html", `--error-document: "/missing.html": no such file in the document root`},
		{"--spa x.html", `--spa: got "x.html", want the URL path of a file`},
		{"--spa /missing.html", `--spa: "/missing.html": no such file in the document root`},
		{"--try-extension html", `--try-extension: got "html", want a dot and letters`},
		{"--cors example.org", `--cors: got "example.org", want * or an origin`},
		{"--cors https://example.org/", `--cors: got`},
		{"--header X: y", `--header: "X:" is not the name of a field`},
		{"--header Content-Type y", "--header: Content-Type is set by overlay"},
		{"--cache-control [ x", `--cache-control: got the pattern "["`},
		{"--mime-types redirects", `--mime-types: `},
		{"--cache-entries 63", "--cache-entries: got 63, want 64 or more"},
		{"--mime-types missing", "missing"},
		{"--redirects-file redirects", "--redirects-file"},
		{"--cache-peers http://127.0.0.1:9002", "go together"},
		{"--cache-self http://127.0.0.1:9001 --cache-secret-file redirects", "go together"},
		{"--cache-peers http://127.0.0.1:9002 --cache-self 127.0.0.1:9001 --cache-secret-file redirects", "--cache-self: got"},
	} {
		t.Run(test.args, func(t *testing.T) {
			_, err := parseConfig(dir, append(strings.Fields(test.args), "--document-root", "htdocs")...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
			if hintOf(err) == "" {
				t.Error("the error has no hint")
			}
		})
	}
	if _, err := parseConfig(dir, "--spa", "/index.html", "hello.wsgi"); err == nil || !strings.Contains(err.Error(), "--spa has no effect without a document root") {
		t.Errorf("got %v, want an error: there is no document root", err)
	}
}
