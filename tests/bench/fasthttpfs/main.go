// Command fasthttpfs serves a directory with fasthttp.FS, as a peer in the benchmarks of
// static files. Compressed copies go to a directory of their own, because
// fasthttp.FS would write them beside the originals.
package main

import (
	"flag"
	"log"

	"github.com/valyala/fasthttp"
)

func main() {
	address := flag.String("address", "127.0.0.1:8000", "address to listen on")
	root := flag.String("root", ".", "directory to serve")
	compressRoot := flag.String("compress-root", "", "directory for compressed copies")
	certificate := flag.String("certificate", "", "file of a certificate chain, for TLS")
	key := flag.String("key", "", "file of its private key")
	flag.Parse()

	files := &fasthttp.FS{
		Root:            *root,
		AcceptByteRange: true,
		Compress:        true,
		CompressRoot:    *compressRoot,
	}
	server := &fasthttp.Server{Handler: files.NewRequestHandler()}
	if *certificate != "" {
		log.Fatal(server.ListenAndServeTLS(*address, *certificate, *key))
	}
	log.Fatal(server.ListenAndServe(*address))
}
