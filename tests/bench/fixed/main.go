// Command fixed answers every request from memory with the same few bytes: what fasthttp
// reaches when there is nothing to do, the ceiling in the tables of
// docs/benchmarks.md.
package main

import (
	"bytes"
	"flag"
	"log"

	"github.com/valyala/fasthttp"
)

func main() {
	address := flag.String("address", "127.0.0.1:8000", "address to listen on")
	size := flag.Int("size", 12, "bytes in the body of every response")
	certificate := flag.String("certificate", "", "file of a certificate chain, for TLS")
	key := flag.String("key", "", "file of its private key")
	flag.Parse()

	body := bytes.Repeat([]byte("x"), *size)
	copy(body, "Hello world\n")
	server := &fasthttp.Server{
		NoDefaultServerHeader: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentType("text/plain")
			if ctx.IsPost() { // the echo of a body is the ceiling of that scenario
				ctx.SetBody(ctx.PostBody())
				return
			}
			ctx.SetBody(body)
		},
	}
	if *certificate != "" {
		log.Fatal(server.ListenAndServeTLS(*address, *certificate, *key))
	}
	log.Fatal(server.ListenAndServe(*address))
}
