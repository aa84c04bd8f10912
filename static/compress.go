package static

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	brotli "github.com/molecule-man/go-brrr"
)

// level says how hard an encoder tries.
type level uint8

const (
	levelQuick level = iota // 80 to 140 MB/s: the first reader waits for it
	levelBest               // 1 to 30 MB/s: made in the background, then kept
	levels     = 2
)

func (l level) String() string { return [levels]string{"quick", "best"}[l] }

const (
	// encodeFloor is the size below which a coded form saves nothing: header and
	// body fit in one packet anyway.
	encodeFloor = 200
	// encodeInline is the size up to which the first reader waits for the quick
	// form (at most some 10 ms); for a larger file he gets it uncoded.
	encodeInline = 1 << 20
	// encodeMax is the size up to which a file is coded at all. It also keeps the
	// zstd window within the 8 MiB that a client must have (RFC 9659).
	encodeMax = 8 << 20
	// brotliSlow is the size up to which the best brotli level is 11 (0.65 MB/s); it
	// is 9 above (19 MB/s).
	brotliSlow = 128 << 10
)

// encoders keeps idle encoders: each holds up to some megabytes of tables.
type encoders struct{ idle [codings][levels]sync.Pool }

// encode returns data in a coding. The result is new, and as large as needed.
func (e *encoders) encode(c coding, l level, data []byte) ([]byte, error) {
	switch c {
	case codingBrotli:
		q := 4
		if l == levelBest {
			if q = 11; len(data) > brotliSlow {
				q = 9
			}
		}
		return brotli.Compress(data, q)
	case codingGzip:
		return e.gzip(l, data)
	case codingZstd:
		return e.zstd(l, data)
	}
	return nil, fmt.Errorf("encode: no encoder for %v", c)
}

func (e *encoders) gzip(l level, data []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(data)/3 + 64)
	w, ok := e.idle[codingGzip][l].Get().(*gzip.Writer)
	if ok {
		w.Reset(&out)
	} else {
		var err error
		if w, err = gzip.NewWriterLevel(&out, [levels]int{5, 9}[l]); err != nil {
			return nil, err
		}
	}
	defer e.idle[codingGzip][l].Put(w)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(out.Bytes()), nil
}

func (e *encoders) zstd(l level, data []byte) ([]byte, error) {
	w, ok := e.idle[codingZstd][l].Get().(*zstd.Encoder)
	if !ok {
		var err error
		w, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(encodeMax),
			zstd.WithEncoderLevel([levels]zstd.EncoderLevel{zstd.SpeedDefault, zstd.SpeedBestCompression}[l]))
		if err != nil {
			return nil, err
		}
	}
	defer e.idle[codingZstd][l].Put(w)
	return bytes.Clone(w.EncodeAll(data, make([]byte, 0, len(data)/3+64))), nil
}

// compressible reports whether files of a type are worth coding: text, and the few
// binary types that are not compressed in themselves.
func compressible(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	if strings.HasPrefix(t, "text/") || strings.HasSuffix(t, "+xml") || strings.HasSuffix(t, "+json") {
		return true
	}
	switch t {
	case "application/json", "application/xml", "application/jsonl", "application/wasm", "application/rtf",
		"application/postscript", "application/x-pem-file", "application/vnd.apple.mpegurl",
		"application/vnd.ms-fontobject", "application/x-tar", "application/vnd.sqlite3",
		"font/ttf", "font/otf", "font/collection", "image/bmp", "image/vnd.microsoft.icon",
		"model/gltf-binary", "audio/midi":
		return true
	}
	return false
}
