package static

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	brotli "github.com/molecule-man/go-brrr"
)

// decode is what a client does with a body.
func decode(t testing.TB, c string, body []byte) []byte {
	t.Helper()
	var r io.Reader
	switch c {
	case "", "identity":
		return body
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r = z
	case "zstd":
		z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	case "br":
		r = brotli.NewReader(bytes.NewReader(body))
	default:
		t.Fatalf("unknown content coding %q", c)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("decode %s: %v", c, err)
	}
	return out
}

// samples are bytes that encoders take very differently.
func samples() map[string][]byte {
	random := make([]byte, 20<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	words := func(n int) []byte {
		var b bytes.Buffer
		for b.Len() < n {
			fmt.Fprintf(&b, "function f%d(a) { return a.map(x => x + %d) }\n", r.IntN(999), r.IntN(99))
		}
		return b.Bytes()
	}
	return map[string][]byte{
		"empty": {}, "text": []byte(strings.Repeat("some text to code, ", 4000)), "random": random,
		"small": words(300), "page": words(30 << 10), "at the bound of the slow level": words(brotliSlow)[:brotliSlow],
		"beyond it": words(brotliSlow + 1), "large": words(encodeInline + 1),
	}
}

// Each form decodes to what it was made from, and is the same whatever the encoder
// made before: its size and tag are told to clients before it is made a second time.
func TestEncode(t *testing.T) {
	var used [levels]encoderSet
	for name, data := range samples() {
		fresh := [levels]encoderSet{{level: levelQuick}, {level: levelBest}}
		for c := range codingIdentity {
			var size [levels]int
			for l := range level(levels) {
				want, err := fresh[l].encode(c, data)
				if err != nil {
					t.Fatalf("encode %s %v %v: %v", name, c, l, err)
				}
				if got := decode(t, c.String(), want); !bytes.Equal(got, data) {
					t.Errorf("encode %s %v %v does not decode to what it was", name, c, l)
				}
				used[l].level = l
				got, err := used[l].encode(c, data)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("encode %s %v %v with a used encoder: %d bytes, %v; want the same %d bytes", name, c, l, len(got), err, len(want))
				}
				size[l] = len(want)
			}
			if size[levelBest] > size[levelQuick]+64 {
				t.Errorf("encode %s %v: best %d bytes, quick %d", name, c, size[levelBest], size[levelQuick])
			}
		}
	}
	if _, err := used[levelQuick].encode(codingIdentity, nil); err == nil {
		t.Error("encode identity = nil error, want one")
	}
}

// formSums are checksums of what the encoders make of samples, in the generation of
// forms that is in force.
const formSums = "a c0b1ba40"

// A change of the encoders or their settings needs another formGeneration.
func TestFormGeneration(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("encoders may have other ways to the same content on other processors")
	}
	all, sum := samples(), crc32.NewIEEE()
	sets := [levels]encoderSet{{level: levelQuick}, {level: levelBest}}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for c := range codingIdentity {
			for l := range level(levels) {
				out, err := sets[l].encode(c, all[name])
				if err != nil {
					t.Fatal(err)
				}
				sum.Write(out)
			}
		}
	}
	if got := fmt.Sprintf("%s %08x", formGeneration, sum.Sum32()); got != formSums {
		t.Errorf("the encoders make other bytes than in this generation of forms: %s, want %s. Change formGeneration and formSums", got, formSums)
	}
}

// However many requests ask at once, no more sets than processors hold memory.
func TestEncodersBounded(t *testing.T) {
	e := new(encoders)
	inUse := cap(e.idle())
	if most := min(runtime.GOMAXPROCS(0), maxQuick); inUse < 1 || inUse > most {
		t.Fatalf("%d quick sets, want 1 to %d", inUse, most)
	}
	entered, leave, done := make(chan bool), make(chan bool), make(chan bool)
	for range inUse + 1 {
		go func() {
			e.use(levelQuick, func(*encoderSet) ([]byte, error) { entered <- true; <-leave; return nil, nil })
			done <- true
		}()
	}
	for range inUse {
		<-entered
	}
	select {
	case <-entered:
		t.Error("more quick sets in use than there are")
	default:
	}
	leave <- true
	<-entered // the one that waited
	for range inUse {
		leave <- true
	}
	for range inUse + 1 {
		<-done
	}
}

// A set that nobody uses gives its memory back at the second sweep.
func TestEncodersSweep(t *testing.T) {
	e := new(encoders)
	if e.sweep(); e.quick != nil {
		t.Error("sweep made encoders that nobody asked for")
	}
	data := samples()["page"]
	for range cap(e.idle()) {
		e.use(levelQuick, func(s *encoderSet) ([]byte, error) { return s.encode(codingGzip, append(s.buffer(9)[:0], data...)) })
	}
	e.use(levelBest, func(s *encoderSet) ([]byte, error) { return s.encode(codingZstd, data) })
	e.use(levelBest, func(s *encoderSet) ([]byte, error) { return s.encode(codingBrotli, data) })
	e.sweep()
	if e.best.zs == nil {
		t.Error("sweep forgot an encoder that was in use since the last one")
	}
	e.sweep()
	if e.best.zs != nil || e.best.out.Cap() != 0 {
		t.Error("sweep kept an encoder that nobody used")
	}
	if e.best.br == nil {
		t.Error("sweep forgot the encoder whose memory would be more when it is made again")
	}
	for range cap(e.quick) {
		if s := <-e.quick; s.gz != nil || s.file != nil {
			t.Error("sweep kept a quick set that nobody used")
		}
	}
}

// TestEncodersPanic: after a panic the same set encodes as ever, with new encoders.
func TestEncodersPanic(t *testing.T) {
	text := []byte(strings.Repeat("some text, and ", 100))
	for l := range levels {
		var e encoders
		encode := func(s *encoderSet) ([]byte, error) { return s.encode(codingGzip, text) }
		want, err := e.use(level(l), encode)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 * maxQuick { // more than there are sets
			var before *gzip.Writer
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the panic does not go on")
					}
				}()
				_, _ = e.use(level(l), func(s *encoderSet) ([]byte, error) {
					_, _ = s.encode(codingGzip, text)
					before = s.gz
					_, _ = s.gz.Write(text) // and never closed
					panic("in an encoder")
				})
			}()
			got, err := e.use(level(l), func(s *encoderSet) ([]byte, error) {
				if s.gz == before {
					t.Error("the encoder that panicked is used again")
				}
				return encode(s)
			})
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("afterwards %d bytes, %v, want the same %d bytes as before", len(got), err, len(want))
			}
		}
	}
}
