package eventloop

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// testServer answers what its loops hand over: a path of digits with so many bytes, and
// everything else with its path. It keeps answers unless drop is set. After /back the connection
// goes to a loop, after /leave it ends.
type testServer struct {
	*Listener
	t        *testing.T
	drop     atomic.Bool // keep no answers
	source   testSource
	handed   atomic.Int32 // handovers
	detached atomic.Int32 // that went back
}

func serve(t *testing.T, o Options) *testServer {
	t.Helper()
	s := &testServer{t: t}
	o.Serve = s.serve
	if o.Answers == nil {
		o.Answers = NewAnswers(16 << 20)
	}
	if o.Log == nil {
		o.Log = func(what string, err error) { t.Errorf("%s: %v", what, err) }
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.Listener, err = Listen(inner, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *testServer) serve(h *Handover) {
	s.handed.Add(1)
	defer h.Conn.Close()
	if _, err := h.Conn.Write(h.Output); err != nil {
		return
	}
	if len(h.Output) > 0 && len(h.Input) == 0 && h.Detach(false) {
		s.detached.Add(1)
		return
	}
	var conn io.ReadWriter = h.Conn
	if h.Layer != nil {
		h.Layer.Over(h.Conn)
		conn = h.Layer
		defer func() {
			if h.detached < 0 {
				_ = h.Layer.Close()
			}
		}()
	}
	in := bufio.NewReader(io.MultiReader(bytes.NewReader(h.Input), conn))
	for first := true; ; first = false {
		path := ""
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if path == "" {
				path = strings.Fields(line)[1]
			}
			if line == "\r\n" {
				break
			}
		}
		if path == "/leave" {
			return
		}
		answer := []byte(response(bodyOf(path)))
		if first && !s.drop.Load() {
			h.Recorder.Came(&s.source, len(answer))
		}
		h.Recorder.Write(answer)
		if _, err := conn.Write(answer); err != nil {
			return
		}
		if (h.Recorder.Keep() || path == "/back") && in.Buffered() == 0 && h.Detach(false) {
			s.detached.Add(1)
			return
		}
	}
}

func bodyOf(path string) string {
	var n int
	if _, err := fmt.Sscanf(path, "/%d", &n); err == nil {
		return strings.Repeat("0123456789", n/10)
	}
	return path
}

// client is one connection to a testServer.
type client struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (s *testServer) dial() *client {
	s.t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return &client{s.t, c, bufio.NewReader(c)}
}

func request(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("send %.40q: %v", text, err)
	}
}

// read reads the next response, and checks that it is whole and path's.
func (c *client) read(path string) {
	c.t.Helper()
	if err := c.tryRead(path); err != nil {
		c.t.Fatalf("%s: %v", path, err)
	}
}

func (c *client) tryRead(path string) error {
	want := response(bodyOf(path))
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.in, got); err != nil {
		return fmt.Errorf("%w after %d of %d bytes", err, n, len(want))
	}
	at := strings.Index(want, date)
	sent, err := time.Parse(time.RFC1123, string(got[at:at+dateLength]))
	if err != nil {
		return fmt.Errorf("date %q", got[at:at+dateLength])
	}
	if old := time.Since(sent); string(got[at:at+dateLength]) != date && (old < -2*time.Second || old > time.Minute) {
		return fmt.Errorf("date %v is not now", sent)
	}
	if copy(got[at:], date); string(got) != want {
		return fmt.Errorf("got %.80q, want %.80q", got, want)
	}
	return nil
}

func (c *client) ended() {
	c.t.Helper()
	if n, err := c.in.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		c.t.Fatalf("read %d bytes, %v; want the end", n, err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// TestKeptAnswer: the first answer is the server's, the others are the loop's, on every connection.
func TestKeptAnswer(t *testing.T) {
	s := serve(t, Options{})
	c := s.dial()
	for range 3 {
		c.send(request("/a"))
		c.read("/a")
	}
	other := s.dial()
	other.send(request("/a"))
	other.read("/a")
	if n := s.handed.Load(); n != 1 {
		t.Errorf("%d requests came to the server, want 1", n)
	}
	s.source.stale.Store(true)
	c.send(request("/a"))
	c.read("/a")
	if n := s.handed.Load(); n != 2 {
		t.Errorf("%d requests came to the server, want 2: the kept answer was out of date", n)
	}
}

// TestHandOver: what is not known goes to the server, in the state it has come in.
func TestHandOver(t *testing.T) {
	s := serve(t, Options{Host: func(host []byte) bool { return string(host) == "a" }})
	s.drop.Store(true)
	t.Run("in pieces", func(t *testing.T) {
		c := s.dial()
		for _, piece := range strings.SplitAfter(request("/pieces"), "") {
			c.send(piece)
		}
		c.read("/pieces")
	})
	t.Run("an answer that must not be kept", func(t *testing.T) {
		c := s.dial()
		for range 3 {
			c.send(request("/a"))
			c.read("/a")
		}
	})
	t.Run("the server closes", func(t *testing.T) {
		c := s.dial()
		c.send(request("/leave"))
		c.ended()
	})
	t.Run("the client leaves", func(t *testing.T) {
		c := s.dial()
		eventually(t, "the connection to wait", func() bool { return s.Connections() == 1 })
		_ = c.Close()
		eventually(t, "its end", func() bool { return s.Connections() == 0 })
	})
	s.drop.Store(false)
	t.Run("another host", func(t *testing.T) {
		c := s.dial()
		c.send(request("/b"))
		c.read("/b")
		before := s.handed.Load()
		c.send("GET /b HTTP/1.1\r\nHost: b\r\n\r\n")
		c.read("/b")
		if s.handed.Load() != before+1 {
			t.Error("the loop answered for a host that is not served")
		}
	})
}

// TestPipelined: answers come in the order of the requests, whoever gives them.
func TestPipelined(t *testing.T) {
	s := serve(t, Options{})
	known := []string{"/a", "/b", "/100", "/60000", "/5000"}
	for _, path := range known {
		c := s.dial()
		c.send(request(path))
		c.read(path)
	}
	eventually(t, "the answers", func() bool { n, _ := s.options.Answers.Stats(); return n == len(known) })
	for _, row := range []struct {
		name  string
		paths []string
	}{
		{"all known", []string{"/a", "/b", "/100", "/a"}},
		{"more than the buffer", []string{"/60000", "/60000", "/60000", "/a", "/60000"}},
		{"one known, one not", []string{"/a", "/x1"}},
		{"one not, one known", []string{"/x2", "/a"}},
		{"unknown between", []string{"/a", "/60000", "/x3", "/b", "/60000"}},
		{"many", strings.Fields(strings.Repeat("/a /b /5000 ", 200))},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := s.dial()
			var all strings.Builder
			for _, path := range row.paths {
				all.WriteString(request(path))
			}
			c.send(all.String())
			for _, path := range row.paths {
				c.read(path)
			}
			c.send(request("/a")) // it is in step still
			c.read("/a")
		})
	}
}

// TestSlowReader: a client that does not read gets everything in the end.
func TestSlowReader(t *testing.T) {
	s := serve(t, Options{})
	first := s.dial()
	first.send(request("/60000"))
	first.read("/60000")
	eventually(t, "the answer", func() bool { n, _ := s.options.Answers.Stats(); return n == 1 })
	c := s.dial()
	const requests = 200 // 12 MB: more than the kernel holds for a client
	sent := make(chan error, 1)
	go func() {
		for range requests {
			if _, err := io.WriteString(c, request("/60000")); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	eventually(t, "the loop to give up on it", func() bool { return s.handed.Load() == 2 })
	for range requests {
		c.read("/60000")
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestTimeouts: a silent connection is closed, and not before its time.
func TestTimeouts(t *testing.T) {
	const long, short = time.Hour, 100 * time.Millisecond
	for _, row := range []struct {
		name      string
		options   Options
		request   string
		wantClose bool
	}{
		{"new", Options{NewTimeout: short, IdleTimeout: long}, "", true},
		{"new, without a bound", Options{IdleTimeout: short}, "", false},
		{"between requests", Options{NewTimeout: long, IdleTimeout: short}, request("/a"), true},
		{"between requests, without a bound", Options{NewTimeout: short}, request("/a"), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, row.options)
			began := time.Now()
			c := s.dial()
			if row.request != "" {
				for range 2 {
					began = time.Now()
					c.send(row.request)
					c.read("/a")
				}
			}
			if row.wantClose {
				c.ended()
				if took := time.Since(began); took < short {
					t.Errorf("closed after %v, want %v", took, short)
				}
				return
			}
			// Another connection with the bound that this one has not shows that time has passed.
			_ = c.SetReadDeadline(time.Now().Add(3 * short))
			if _, err := c.in.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read: %v, want the connection to stay open", err)
			}
		})
	}
}

// TestExpireOrder: each of many connections is closed in its turn, a busy one not.
func TestExpireOrder(t *testing.T) {
	s := serve(t, Options{IdleTimeout: time.Second, Loops: 1})
	busy := s.dial()
	busy.send(request("/a"))
	busy.read("/a")
	var idle []*client
	for range 20 {
		c := s.dial()
		c.send(request("/a"))
		c.read("/a")
		idle = append(idle, c)
	}
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := io.WriteString(busy, request("/a")); err != nil {
				t.Error(err)
				return
			}
			if err := busy.tryRead("/a"); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for _, c := range idle {
		c.ended()
	}
	close(stop)
	asking.Wait()
	busy.ended()
}

// TestExpireUnderLoad: a loop that is never without work closes silent connections as well.
func TestExpireUnderLoad(t *testing.T) {
	s := serve(t, Options{IdleTimeout: time.Second, Loops: 1})
	silent := s.dial()
	silent.send(request("/a"))
	silent.read("/a")
	var asking sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		c := s.dial()
		const many = 100
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := io.WriteString(c, strings.Repeat(request("/a"), many)); err != nil {
					t.Error(err)
					return
				}
				for range many {
					if err := c.tryRead("/a"); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	silent.ended()
	close(stop)
	asking.Wait()
}

// TestClose: what waits is closed, what has been sent is answered, and Accept
// returns when all is over.
func TestClose(t *testing.T) {
	s := serve(t, Options{})
	idle, working, silent := s.dial(), s.dial(), s.dial()
	idle.send(request("/a"))
	idle.read("/a")
	eventually(t, "the idle one to go back", func() bool { return s.Connections() == 3 })
	s.drop.Store(true)
	working.send(request("/b"))
	working.read("/b")
	over := make(chan error, 1)
	go func() {
		_, err := s.Accept()
		over <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	idle.ended()
	working.send(request("/c"))
	working.read("/c")
	silent.send(request("/d")) // its first request may be on its way
	silent.read("/d")
	select {
	case err := <-over:
		t.Fatalf("Accept returned %v while connections are open", err)
	default:
	}
	_ = working.Close()
	_ = silent.Close()
	if err := <-over; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept = %v, want net.ErrClosed", err)
	}
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("somebody still listens")
	}
	if n := s.serving.Load(); n != 0 || s.Connections() != 0 {
		t.Errorf("%d connections handed over and %d waiting after the end", n, s.Connections())
	}
}

// TestCloseUnderLoad: each request that clients send on their connections while the
// listener is closed is answered, and whole. Only what they send after LastCall need not be.
func TestCloseUnderLoad(t *testing.T) {
	first := serve(t, Options{})
	_ = first.Close()
	_, _ = first.Accept() // the runtime's poller has opened what it needs by now
	before := descriptors(t)
	for range 10 {
		s := serve(t, Options{})
		var clients sync.WaitGroup
		var answered atomic.Int32
		var closed atomic.Pointer[time.Time] // when Close began
		for i := range 16 {
			clients.Go(func() {
				path := fmt.Sprintf("/%d", i%4*3000)
				for {
					conn, err := net.Dial("tcp", s.Addr().String())
					if err != nil {
						return
					}
					c := &client{t, conn, bufio.NewReader(conn)}
					for n := range 50 {
						_, err := io.WriteString(c, request(path))
						begun := closed.Load()
						late := begun != nil && time.Since(*begun) > LastCall
						if err == nil {
							err = c.tryRead(path)
						}
						if err != nil {
							// The kernel connects until the socket is closed, and resets what
							// nobody accepted.
							if (n > 0 || !errors.Is(err, syscall.ECONNRESET)) && !late {
								t.Errorf("request %d of a connection: %v", n+1, err)
							}
							break
						}
						answered.Add(1)
					}
					_ = conn.Close()
				}
			})
		}
		eventually(t, "answers", func() bool { return answered.Load() > 500 })
		now := time.Now()
		closed.Store(&now)
		_ = s.Close()
		_, _ = s.Accept()
		clients.Wait()
	}
	eventually(t, "descriptors to be closed", func() bool { return descriptors(t) <= before })
}

func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// panicSource fails when it is asked.
type panicSource struct{}

func (panicSource) Current(time.Time) (time.Duration, bool) { panic("no source") }

// TestPanic: a panic ends one connection, and nothing else.
func TestPanic(t *testing.T) {
	table := NewAnswers(1 << 20)
	table.put("G\x00/panic\x00\x00\x00", []byte(response("never sent")), panicSource{})
	told := make(chan error, 1)
	s := serve(t, Options{Answers: table, Loops: 1, Log: func(_ string, err error) { told <- err }})
	other, c := s.dial(), s.dial()
	other.send(request("/a"))
	other.read("/a")
	c.send(request("/panic"))
	c.ended()
	if err := <-told; !strings.Contains(err.Error(), "no source") || !strings.Contains(err.Error(), "panicSource") {
		t.Errorf("the log says %v", err)
	}
	other.send(request("/a"))
	other.read("/a")
}

// TestNoSocket: what has no descriptor cannot be waited for.
func TestNoSocket(t *testing.T) {
	if _, err := Listen(pipeListener{}, Options{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Listen = %v, want ErrUnavailable", err)
	}
}

type pipeListener struct{ net.Listener }
