package static

import (
	"testing"

	"github.com/valyala/fasthttp"
)

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

func TestAddVary(t *testing.T) {
	for _, tt := range []struct {
		name string
		had  []string
		want string
	}{
		{"none", nil, "Accept"},
		{"another", []string{"Cookie"}, "Cookie, Accept"},
		{"a longer name", []string{"Accept-Encoding"}, "Accept-Encoding, Accept"},
		{"there", []string{"Cookie, accept"}, "Cookie, accept"},
		{"everything", []string{"*"}, "*"},
		{"two fields", []string{"Cookie", "Origin"}, "Cookie, Origin, Accept"},
	} {
		var ctx fasthttp.RequestCtx
		for _, value := range tt.had {
			ctx.Response.Header.Add("Vary", value)
		}
		new(Handler).addVary(&ctx, "Accept")
		if got := ctx.Response.Header.PeekAll("Vary"); len(got) != 1 || string(got[0]) != tt.want {
			t.Errorf("%s: Vary %q, want %q", tt.name, got, tt.want)
		}
	}
}
