package static

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	brotli "github.com/molecule-man/go-brrr"
)

// encoders makes coded forms. An encoder holds up to some megabytes of tables, and
// how many there are would else follow the number of clients: so there is one set
// for every second processor for the quick level, and one for the best. The zero
// value is ready.
type encoders struct {
	once    sync.Once        // calls start
	started atomic.Bool      // start has returned
	quick   chan *encoderSet // idle sets; whoever takes one puts it back
	mu      sync.Mutex       // guards best: a peer may ask while the improver works
	best    encoderSet
}

// maxQuick bounds the quick sets, of some 5 MB each, on machines with many
// processors: at 100 MB/s each they are not what a client waits for.
const maxQuick = 4

// start makes the sets, and the one encoder whose memory should come fresh from the
// kernel: see windowSmall.
func (e *encoders) start() {
	e.quick = make(chan *encoderSet, max(1, min(runtime.GOMAXPROCS(0)/2, maxQuick)))
	for range cap(e.quick) {
		e.quick <- &encoderSet{level: levelQuick}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.best.level = levelBest
	_ = e.best.brotli(nil) // an error comes again when it is used
	e.started.Store(true)
}

// idle returns the quick sets.
func (e *encoders) idle() chan *encoderSet {
	e.once.Do(e.start)
	return e.quick
}

// use calls fn with a set of the level that nobody else uses meanwhile. After a panic, which
// goes on, the set has new encoders: nobody knows what state it left the old ones in.
func (e *encoders) use(l level, fn func(*encoderSet) ([]byte, error)) ([]byte, error) {
	idle := e.idle()
	if l == levelBest {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.best.call(fn)
	}
	s := <-idle
	defer func() { idle <- s }()
	return s.call(fn)
}

func (s *encoderSet) call(fn func(*encoderSet) ([]byte, error)) ([]byte, error) {
	s.used.Store(true)
	whole := false
	defer func() {
		if !whole {
			s.file, s.out, s.gz, s.zs, s.br, s.brBig = nil, bytes.Buffer{}, nil, nil, nil, nil
		}
	}()
	b, err := fn(s)
	whole = true
	return b, err
}

// sweep gives back the memory of the sets that were not used since the last call.
func (e *encoders) sweep() {
	if !e.started.Load() {
		return
	}
	idle := e.idle()
	for range cap(idle) {
		select {
		case s := <-idle:
			s.sweep()
			idle <- s
		default: // all in use
		}
	}
	if e.mu.TryLock() {
		e.best.sweep()
		e.mu.Unlock()
	}
}

// encoderSet is an encoder for each coding, made when it is first needed, and the
// buffers that they read from and write to. One goroutine uses it at a time.
type encoderSet struct {
	level level
	used  atomic.Bool // since the last sweep
	file  []byte      // what is to be coded
	out   bytes.Buffer
	gz    *gzip.Writer
	zs    *zstd.Encoder
	br    *brotli.Writer // for at most brotliSlow bytes, when level is levelBest
	brBig *brotli.Writer // for more
}

// formGeneration changes with the bytes that the encoders make of the same file: it is
// in entity tags and in the keys of the cache, so that a download that goes on after an
// upgrade, and peers of two releases, never mix them. TestFormGeneration tells when.
const formGeneration = "a"

// keepBuffer is the size up to which a set keeps its buffers.
const keepBuffer = encodeInline + encodeInline/2

// buffer returns n bytes to read a file into, good until the next call.
func (s *encoderSet) buffer(n int64) []byte {
	if n > keepBuffer {
		return make([]byte, n)
	}
	if int64(cap(s.file)) < n {
		s.file = make([]byte, max(n, 64<<10))
	}
	return s.file[:n]
}

// encode returns data in a coding. The result is new, and as large as needed. It is
// the same for the same data, whatever was coded before.
func (s *encoderSet) encode(c coding, data []byte) ([]byte, error) {
	s.out.Reset()
	if s.out.Cap() > keepBuffer {
		s.out = bytes.Buffer{}
	}
	s.out.Grow(len(data)/3 + 64)
	var err error
	switch c {
	case codingBrotli:
		err = s.brotli(data)
	case codingGzip:
		err = s.gzip(data)
	case codingZstd:
		if err = s.makeZstd(); err == nil {
			return bytes.Clone(s.zs.EncodeAll(data, s.out.AvailableBuffer())), nil
		}
	default:
		err = fmt.Errorf("encode: no encoder for %v", c)
	}
	if err != nil {
		return nil, err
	}
	return bytes.Clone(s.out.Bytes()), nil
}

// brotli windows, as logarithms. An encoder of the best level with the small one
// reserves 78 MB for the worst case, and never touches most of them: the kernel has to
// give 10, as long as Go does not have to clear them first because they are from
// something that it collected. So it is made before anything was, and kept.
const (
	windowSmall = 17 // brotliSlow
	windowQuick = 18
	windowLarge = 20
)

func (s *encoderSet) brotli(data []byte) (err error) {
	w, quality, window := &s.br, 4, windowQuick
	if s.level == levelBest {
		quality, window = 11, windowSmall
		if len(data) > brotliSlow {
			w, quality, window = &s.brBig, 7, windowLarge
		}
	}
	if *w == nil {
		if *w, err = brotli.NewWriterOptions(nil, quality, brotli.WriterOptions{LGWin: window}); err != nil {
			return err
		}
	}
	(*w).Reset(&s.out) // once it was called, the writer keeps its tables to itself
	return writeAll(*w, data)
}

func (s *encoderSet) gzip(data []byte) (err error) {
	if s.gz == nil {
		if s.gz, err = gzip.NewWriterLevel(nil, [levels]int{5, 9}[s.level]); err != nil {
			return err
		}
	}
	s.gz.Reset(&s.out)
	return writeAll(s.gz, data)
}

// writeAll writes data and closes w.
func writeAll(w interface {
	Write([]byte) (int, error)
	Close() error
}, data []byte) error {
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Close()
}

// makeZstd makes the encoder. SpeedBestCompression would save a twentieth more, and
// needs tables of 36 MB; the window must be no more than the 8 MiB that a client has
// (RFC 9659).
func (s *encoderSet) makeZstd() (err error) {
	if s.zs == nil {
		s.zs, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20),
			zstd.WithEncoderLevel([levels]zstd.EncoderLevel{zstd.SpeedDefault, zstd.SpeedBetterCompression}[s.level]))
	}
	return err
}

// sweep forgets what was not used for a while, but for the encoder that is better kept
// (see windowSmall).
func (s *encoderSet) sweep() {
	if s.used.Swap(false) {
		return
	}
	s.file, s.out, s.gz, s.zs, s.brBig = nil, bytes.Buffer{}, nil, nil, nil
	if s.level == levelQuick {
		s.br = nil
	}
}
