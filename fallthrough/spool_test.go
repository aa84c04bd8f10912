package fallthru

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/valyala/fasthttp"
)

// bodyCtx returns the context of a request whose body comes from r. size is
// its Content-Length, or -1 for a chunked one.
func bodyCtx(r io.Reader, size int) *fasthttp.RequestCtx {
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(new(fasthttp.Request), nil, nil)
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.SetBodyStream(r, size)
	return ctx
}

// receiveBody lets b receive the body of ctx.
func receiveBody(b *body, ctx *fasthttp.RequestCtx, limit int64) error {
	return b.receive(ctx, bodyStream(ctx), limit)
}

// content returns what b holds, from the file if it is there.
func content(t *testing.T, b *body) []byte {
	t.Helper()
	if b.file == nil {
		return b.bytes
	}
	if b.bytes != nil {
		t.Error("a body in a file has bytes in memory, too")
	}
	got, err := io.ReadAll(b.file)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// noise returns n bytes that no shifted or repeated copy equals.
func noise(n int) []byte {
	data := make([]byte, n)
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

// TestReceive: every body arrives as it was sent, in memory up to memoryBody
// and in a file beyond.
func TestReceive(t *testing.T) {
	sizes := []int{0, 1, 100, 4095, 4096, 4097, 16384, 65535, memoryBody, memoryBody + 1, memoryBody + 2, 2 * memoryBody, 1 << 20}
	readers := map[string]func(io.Reader) io.Reader{
		"whole":         func(r io.Reader) io.Reader { return r },
		"half at once":  iotest.HalfReader,
		"end with data": iotest.DataErrReader,
	}
	for _, size := range sizes {
		for name, reader := range readers {
			for _, chunked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d bytes, %s, chunked %v", size, name, chunked), func(t *testing.T) {
					sent, length := noise(size), size
					if chunked {
						length = -1
					}
					b := new(body)
					defer b.release()
					if err := receiveBody(b, bodyCtx(reader(bytes.NewReader(sent)), length), 10<<20); err != nil {
						t.Fatal(err)
					}
					if got := content(t, b); !bytes.Equal(got, sent) {
						t.Errorf("got %d bytes that are not the %d sent", len(got), len(sent))
					}
					if b.size != int64(size) || !b.exists {
						t.Errorf("size %d, exists %v, want %d and true", b.size, b.exists, size)
					}
					if inFile := b.file != nil; inFile != (size > memoryBody) {
						t.Errorf("in a file: %v; the limit of memory is %d", inFile, memoryBody)
					}
					if cap(b.buffer) > memoryBody+1 {
						t.Errorf("the buffer has %d bytes, want at most %d", cap(b.buffer), memoryBody+1)
					}
				})
			}
		}
	}
}

func TestReceiveLimit(t *testing.T) {
	tests := []struct {
		name  string
		limit int64
		size  int
		err   error
	}{
		{"nothing of nothing", 0, 0, nil},
		{"one of nothing", 0, 1, ErrBodyTooLarge},
		{"all of it", 1000, 1000, nil},
		{"one more", 1000, 1001, ErrBodyTooLarge},
		{"all that memory holds", memoryBody, memoryBody, nil},
		{"one more than memory holds", memoryBody, memoryBody + 1, ErrBodyTooLarge},
		{"all of it in a file", 200_000, 200_000, nil},
		{"one more in a file", 200_000, 200_001, ErrBodyTooLarge},
	}
	for _, tt := range tests {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %v", tt.name, chunked), func(t *testing.T) {
				source := &countingReader{r: bytes.NewReader(noise(tt.size))}
				length := tt.size
				if chunked {
					length = -1
				}
				b := new(body)
				defer b.release()
				err := receiveBody(b, bodyCtx(source, length), tt.limit)
				if !errors.Is(err, tt.err) {
					t.Errorf("receive: %v, want %v", err, tt.err)
				}
				if tt.err != nil && !chunked && source.n > 0 {
					t.Errorf("%d bytes were read of a body that says it is too large", source.n)
				}
			})
		}
	}
}

type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// TestReceiveLimitOption: how the option reads, through Handle.
func TestReceiveLimitOption(t *testing.T) {
	tests := []struct {
		name   string
		limit  int64
		size   int
		status int
	}{
		{"the default", 0, DefaultLimitRequestBody, 200},
		{"more than the default", 0, DefaultLimitRequestBody + 1, 413},
		{"none allowed", -1, 1, 413},
		{"none allowed, none sent", -1, 0, 200},
		{"as set", 5, 5, 200},
		{"more than set", 5, 6, 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newTestHandler(t, Options{LimitRequestBody: tt.limit, Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: always(t, nil).start}}}})
			ctx := bodyCtx(bytes.NewReader(make([]byte, tt.size)), -1)
			h.Handle(ctx)
			if got := ctx.Response.StatusCode(); got != tt.status {
				t.Errorf("status %d, want %d", got, tt.status)
			}
			if closes := ctx.Response.ConnectionClose(); closes != (tt.status == 413) {
				t.Errorf("connection closed: %v", closes)
			}
		})
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// TestReceiveBroken: a body that does not come whole, and what the client is
// told of it.
func TestReceiveBroken(t *testing.T) {
	long := strings.Repeat("x", 3*memoryBody)
	tests := []struct {
		name   string
		reader io.Reader
		length int
		want   error
		status int
	}{
		{"shorter than said", strings.NewReader("ab"), 3, ErrBodyBroken, 400},
		{"empty and said to be more", strings.NewReader(""), 3, ErrBodyBroken, 400},
		{"shorter, in a file", strings.NewReader(long), len(long) + 1, ErrBodyBroken, 400},
		{"longer than said", strings.NewReader("abcd"), 3, ErrBodyBroken, 400},
		{"client gone", io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(io.ErrUnexpectedEOF)), 3, ErrBodyBroken, 400},
		{"malformed chunk", io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(errors.New("cannot parse chunk size"))), -1, ErrBodyBroken, 400},
		{"too slow at once", iotest.ErrReader(timeoutError{}), 3, ErrBodyTimeout, 408},
		{"too slow, wrapped", io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(fmt.Errorf("read: %w", timeoutError{}))), 3, ErrBodyTimeout, 408},
		{"too slow in a file", io.MultiReader(strings.NewReader(long), iotest.ErrReader(timeoutError{})), -1, ErrBodyTimeout, 408},
		{"too slow on a connection", io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(os.ErrDeadlineExceeded)), -1, ErrBodyTimeout, 408},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: always(t, func(*fasthttp.RequestCtx, *Request) error {
				t.Error("the request was handed over")
				return nil
			}).start}}}})
			before := openFiles(t)
			ctx := bodyCtx(tt.reader, tt.length)
			h.Handle(ctx)
			if got := ctx.Response.StatusCode(); got != tt.status || !ctx.Response.ConnectionClose() {
				t.Errorf("status %d, connection closed: %v, want %d and true", got, ctx.Response.ConnectionClose(), tt.status)
			}
			if err := receiveBody(new(body), bodyCtx(strings.NewReader("a"), 2), 10); !errors.Is(err, ErrBodyBroken) {
				t.Errorf("receive: %v, want %v", err, ErrBodyBroken)
			}
			if after := openFiles(t); after > before {
				t.Errorf("%d files open, %d before", after, before)
			}
		})
	}
}

// openFiles counts the descriptors of this process that belong to body files.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc/self/fd here")
	}
	n := 0
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.Contains(target, "overlay-body-") {
			n++
		}
	}
	return n
}

// TestSpoolFileHasNoName: nothing lies in the temporary directory, while the
// body is there and afterwards, and its descriptor is closed in the end.
func TestSpoolFileHasNoName(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	before := openFiles(t)
	serve := func(_ *fasthttp.RequestCtx, r *Request) error {
		if r.File == nil {
			t.Error("the body is not in a file")
			return nil
		}
		if target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(r.File.Fd()))); err != nil || !strings.HasPrefix(target, dir) || !strings.HasSuffix(target, "(deleted)") {
			t.Errorf("the file is %q (%v), want a deleted one in %s", target, err, dir)
		}
		if position, err := r.File.Seek(0, io.SeekCurrent); position != 0 || err != nil {
			t.Errorf("the file stands at %d (%v), want its beginning", position, err)
		}
		if entries, err := os.ReadDir(dir); len(entries) != 0 || err != nil {
			t.Errorf("%v (%v) in the temporary directory", entries, err)
		}
		return errApplication
	}
	h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: always(t, serve).start}}}})
	for range 20 {
		h.Handle(bodyCtx(bytes.NewReader(noise(2*memoryBody)), -1))
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d body files are open, %d were", after, before)
	}
}

// TestSpoolFailure: no room for a temporary file is the server's fault, 500,
// and the connection goes, since the rest of the body lies on it. The log says why.
func TestSpoolFailure(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()+"/gone")
	h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: always(t, nil).start}}}})
	var log strings.Builder
	h.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	tests := []struct {
		name   string
		size   int
		status int
	}{
		{"fits in memory", memoryBody, 200},
		{"does not", memoryBody + 1, 500},
		{"far from it", 10 * memoryBody, 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := bodyCtx(bytes.NewReader(noise(tt.size)), tt.size)
			h.Handle(ctx)
			if got := ctx.Response.StatusCode(); got != tt.status || ctx.Response.ConnectionClose() != (tt.status == 500) {
				t.Errorf("status %d, connection closed: %v, want %d", got, ctx.Response.ConnectionClose(), tt.status)
			}
			if said := strings.Contains(log.String(), "level=ERROR"); said != (tt.status == 500) {
				t.Errorf("the log says\n%s", log.String())
			}
			log.Reset()
		})
	}
}

// TestBufferReuse: a short body after a long one in the same buffer is only
// itself, and a body that failed leaves nothing.
func TestBufferReuse(t *testing.T) {
	b := new(body)
	random := rand.New(rand.NewPCG(7, 7))
	for i := range 500 {
		size := random.IntN(3 * memoryBody)
		if i%3 == 0 {
			size = random.IntN(200)
		}
		sent, length := noise(size), size
		if i%2 == 0 {
			length = -1
		}
		if i%7 == 0 { // one that fails
			_ = receiveBody(b, bodyCtx(iotest.TimeoutReader(iotest.HalfReader(bytes.NewReader(sent))), -1), 10<<20)
		} else {
			if err := receiveBody(b, bodyCtx(bytes.NewReader(sent), length), 10<<20); err != nil {
				t.Fatal(err)
			}
			if got := content(t, b); !bytes.Equal(got, sent) {
				t.Fatalf("body %d: got %d bytes, sent %d", i, len(got), len(sent))
			}
		}
		// As release does it, but kept out of the pool: the same buffer again.
		if b.file != nil {
			if err := b.file.Close(); err != nil {
				t.Fatal(err)
			}
		}
		*b = body{buffer: b.buffer}
		if i%5 == 0 {
			if err := receiveBody(b, get(t, "/"), 10); err != nil || b.exists || len(b.bytes) > 0 || b.size != 0 {
				t.Fatalf("a request without a body after one with: exists %v, %d bytes, %v", b.exists, len(b.bytes), err)
			}
		}
	}
}

// A client that announces much and sends little gets memory for what it sent.
func TestReceiveGrowsWithWhatComes(t *testing.T) {
	for _, size := range []int{-1, 1 << 20} {
		for sent, most := range map[int]int{1: firstBuffer, firstBuffer - 1: firstBuffer, firstBuffer: 2 * firstBuffer, 20 << 10: 32 << 10} {
			var b body
			err := receiveBody(&b, bodyCtx(io.MultiReader(bytes.NewReader(noise(sent)), iotest.ErrReader(timeoutError{})), size), 1<<20)
			if err == nil || cap(b.buffer) > most {
				t.Errorf("Content-Length %d, %d bytes came: %v, buffer of %d bytes, want an error and at most %d", size, sent, err, cap(b.buffer), most)
			}
		}
	}
}
