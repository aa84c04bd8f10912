package fallthru

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/valyala/fasthttp"
)

// TestMounts: the longest mount wins, at the boundary of a path segment only;
// the mount point is what becomes SCRIPT_NAME.
func TestMounts(t *testing.T) {
	mounts := []string{"/", "/shop", "/shop/admin/", "/shopping"}
	tests := []struct {
		path  string
		mount string
	}{
		{"/", ""},
		{"/index", ""},
		{"", ""},
		{"/shop", "/shop"},
		{"/shop/", "/shop"},
		{"/shop/item", "/shop"},
		{"/shops", ""},
		{"/shop.html", ""},
		{"/Shop", ""},
		{"/shopping", "/shopping"},
		{"/shopping/cart", "/shopping"},
		{"/shop/admin", "/shop/admin"},
		{"/shop/admin/", "/shop/admin"},
		{"/shop/admin/users", "/shop/admin"},
		{"/shop/administrator", "/shop"},
		{"//shop", ""},
	}
	synctest.Test(t, func(t *testing.T) {
		var got Request
		var path string
		serve := func(_ *fasthttp.RequestCtx, r *Request) error {
			got, path = *r, string(r.Path)
			return nil
		}
		opts := Options{}
		for _, m := range mounts {
			opts.Mounts = append(opts.Mounts, Mount{Path: m, Group: GroupOptions{Start: always(t, serve).start}})
		}
		h := newTestHandler(t, opts)
		h.opts.Path = func(ctx *fasthttp.RequestCtx) []byte { return ctx.UserValue("path").([]byte) }
		for _, tt := range tests {
			got = Request{}
			ctx := get(t, "/")
			ctx.SetUserValue("path", []byte(tt.path))
			h.Handle(ctx)
			if ctx.Response.StatusCode() != 200 || got.MountPoint != tt.mount || path != tt.path {
				t.Errorf("%q: status %d, mount %q, path %q, want 200, %q, %q",
					tt.path, ctx.Response.StatusCode(), got.MountPoint, path, tt.mount, tt.path)
			}
		}
	})
}

// TestOutsideEveryMount: nobody is asked, and NotFound answers.
// TestMountsOfTheirOwn: each mount has the settings of its own group, and a full one leaves the
// others alone.
func TestMountsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		serve := func(*fasthttp.RequestCtx, *Request) error { <-hold; return nil }
		h := newTestHandler(t, Options{Mounts: []Mount{
			{Path: "/one", Group: GroupOptions{Start: always(t, serve).start, Threads: 1, QueueBacklog: -1}},
			{Path: "/two", Group: GroupOptions{Start: always(t, serve).start, Threads: 2, QueueBacklog: -1}},
			{Path: "/queue", Group: GroupOptions{Start: always(t, serve).start, Threads: 1, QueueBacklog: 1}},
		}})
		synctest.Wait()
		taken := map[string]int{} // requests that were not refused
		var mu sync.Mutex
		var all sync.WaitGroup
		for _, path := range []string{"/one", "/two", "/queue"} {
			for range 3 {
				all.Go(func() {
					ctx := get(t, path)
					h.Handle(ctx)
					mu.Lock()
					defer mu.Unlock()
					if ctx.Response.StatusCode() == 200 {
						taken[path]++
					}
				})
				synctest.Wait()
			}
		}
		close(hold)
		all.Wait()
		if fmt.Sprint(taken) != "map[/one:1 /queue:2 /two:2]" {
			t.Errorf("of three requests each were taken %v, want one, two, and one with one that waits", taken)
		}
	})
}

func TestOutsideEveryMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starts := always(t, func(*fasthttp.RequestCtx, *Request) error {
			t.Error("a request outside the mount was handed over")
			return nil
		})
		mounts := []Mount{{Path: "/shop", Group: GroupOptions{Start: starts.start}}}
		bare := newTestHandler(t, Options{Mounts: mounts})
		page := newTestHandler(t, Options{Mounts: mounts, NotFound: func(ctx *fasthttp.RequestCtx) { ctx.Error("our page", 404) }})
		for _, path := range []string{"/", "/shops", "*", "/sho"} {
			ctx := get(t, path)
			bare.Handle(ctx)
			if got := ctx.Response.StatusCode(); got != 404 {
				t.Errorf("%q: status %d, want 404", path, got)
			}
			ctx = get(t, path)
			page.Handle(ctx)
			if got := string(ctx.Response.Body()); got != "our page" {
				t.Errorf("%q: body %q, want what NotFound wrote", path, got)
			}
		}
	})
}

func TestNewRefuses(t *testing.T) {
	good := GroupOptions{Start: always(t, nil).start, Logger: quiet}
	tests := []struct {
		name string
		opts Options
		want string
	}{
		{"no Path", Options{}, "fallthru: Options.Path is nil"},
		{"relative mount", Options{Path: pathOf, Mounts: []Mount{{"/a", good}, {"shop", good}}},
			`fallthru: mount path: got "shop", want one that begins with a slash`},
		{"a mount twice", Options{Path: pathOf, Mounts: []Mount{{"/shop", good}, {"/shop/", good}}},
			`fallthru: mount path: "/shop/" is given twice, want a path of its own for each application`},
		{"a group's options", Options{Path: pathOf, Mounts: []Mount{{"/a", good}, {"/shop", GroupOptions{}}}},
			"fallthru: GroupOptions.Start is nil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// The bubble sees to it that nothing of the first mount goes on.
			synctest.Test(t, func(t *testing.T) {
				h, err := New(tt.opts)
				if h != nil || err == nil || err.Error() != tt.want {
					t.Errorf("New() = %v, %v, want %q", h, err, tt.want)
				}
			})
		})
	}
}

// TestRefusedAnswer: what a worker process had filled in does not show in the
// answer of an error, and nothing of the error does.
func TestRefusedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve := func(ctx *fasthttp.RequestCtx, _ *Request) error {
			ctx.Response.Header.Set("X-Half", "done")
			ctx.SetBodyString("half of an answer")
			return errApplication
		}
		mounts := []Mount{{Path: "/", Group: GroupOptions{Start: always(t, serve).start}}}
		h := newTestHandler(t, Options{Mounts: mounts})
		ctx := get(t, "/")
		h.Handle(ctx)
		if got := string(ctx.Response.Body()); ctx.Response.StatusCode() != 500 || got != "Internal Server Error" || ctx.Response.Header.Peek("X-Half") != nil {
			t.Errorf("status %d, body %q, X-Half %q", ctx.Response.StatusCode(), got, ctx.Response.Header.Peek("X-Half"))
		}
		var status int
		h = newTestHandler(t, Options{Mounts: mounts, Error: func(ctx *fasthttp.RequestCtx, s int) {
			status = s
			ctx.Error("our page", s)
		}})
		ctx = get(t, "/")
		h.Handle(ctx)
		if got := string(ctx.Response.Body()); status != 500 || got != "our page" {
			t.Errorf("Options.Error got %d, body %q", status, got)
		}
	})
}

// TestTwoHandlers: two servers in one process know nothing of each other.
func TestTwoHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := func(text string) *starts {
			return always(t, func(ctx *fasthttp.RequestCtx, _ *Request) error {
				ctx.SetBodyString(text)
				return nil
			})
		}
		a := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: answer("a").start}}}})
		b := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: answer("b").start}}}})
		if err := a.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		a.Stop(context.Background())
		ctx := get(t, "/")
		b.Handle(ctx)
		if got := string(ctx.Response.Body()); got != "b" {
			t.Errorf("body %q, want that of b", got)
		}
		ctx = get(t, "/")
		a.Handle(ctx)
		if got := ctx.Response.StatusCode(); got != 503 {
			t.Errorf("status %d of a handler that has stopped, want 503", got)
		}
	})
}

// TestBodyReachesWorker: what Request says of the body.
func TestBodyReachesWorker(t *testing.T) {
	tests := []struct {
		name    string
		request string
		body    string
		has     bool
	}{
		{"none", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "", false},
		// fasthttp says Content-Length: 0 for it, which is what RFC 9112 §6.3 means.
		{"none with POST", "POST / HTTP/1.1\r\nHost: h\r\n\r\n", "", true},
		{"empty, length said", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "", true},
		{"empty, length said with GET", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "", true},
		{"some", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "abc", true},
		{"some with GET", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "abc", true},
		{"chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "abc", true},
		{"chunked, empty", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", true},
	}
	synctest.Test(t, func(t *testing.T) {
		var got Request
		var body string
		serve := func(_ *fasthttp.RequestCtx, r *Request) error {
			got, body = *r, string(r.Body)
			return nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: always(t, serve).start}}}})
		for _, tt := range tests {
			ctx := request(t, tt.request)
			h.Handle(ctx)
			if status := ctx.Response.StatusCode(); status != 200 {
				t.Errorf("%s: status %d, want 200", tt.name, status)
			}
			if body != tt.body || got.HasBody != tt.has || got.BodySize != int64(len(tt.body)) || got.File != nil {
				t.Errorf("%s: body %q, HasBody %v, BodySize %d, File %v, want %q, %v, no file",
					tt.name, body, got.HasBody, got.BodySize, got.File, tt.body, tt.has)
			}
			if rest := ctx.RequestBodyStream(); rest != nil {
				if n, err := io.Copy(io.Discard, rest); n != 0 || err != nil {
					t.Errorf("%s: %d bytes left unread, %v", tt.name, n, err)
				}
			}
		}
	})
}
