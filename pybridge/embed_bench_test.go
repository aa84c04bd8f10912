//go:build cgo

package pybridge

import (
	"os"
	"testing"
)

// BenchmarkEmbedded is one request to the smallest application, without HTTP.
// It embeds the interpreter for the rest of the process.
func BenchmarkEmbedded(b *testing.B) {
	opts, _ := scriptOptions(b, `def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello world\n"]
`)
	opts.Threads = 5
	e, err := StartEmbedded(b.Context(), opts)
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { _ = os.Chdir("/") }) // the directory of the application goes
	const head = "GET /hello HTTP/1.1\r\nHost: example.org\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
	r := &Request{Path: []byte("/hello")}
	free := func() {}
	b.Run("Serve", func(b *testing.B) {
		ctx := contextOf(b, plainConn, head)
		b.ReportAllocs()
		for b.Loop() {
			ctx.Response.Reset()
			if err := e.Serve(ctx, r, free); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			ctx := contextOf(b, plainConn, head)
			for pb.Next() {
				ctx.Response.Reset()
				if err := e.Serve(ctx, r, free); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	if !e.turns.quick() {
		b.Error("the application is not found to be quick")
	}
}
