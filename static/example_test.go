package static

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/valyala/fasthttp"
)

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
