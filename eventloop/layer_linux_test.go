package eventloop

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"overlay/tlsauth/tlstest"
)

// testLayer is TLS as a Layer.
type testLayer struct {
	*tls.Conn
	below *changingConn
}

type changingConn struct {
	net.Conn
	inLoop atomic.Int64 // bytes that a loop has read
}

func (c *changingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if _, ok := c.Conn.(*wire); ok {
		c.inLoop.Add(int64(n))
	}
	return n, err
}

func (l *testLayer) Over(wire net.Conn) { l.below.Conn = wire }

// tlsServer is a testServer behind TLS: it accepts connections itself.
type tlsServer struct {
	*testServer
	trust *tls.Config
}

func serveTLS(t *testing.T, o Options) *tlsServer {
	t.Helper()
	ca := tlstest.NewCA(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t).TLS(t)}}
	s := &tlsServer{testServer: &testServer{t: t}, trust: &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}}
	o.Serve = s.serve
	if o.Answers == nil {
		o.Answers = NewAnswers(16 << 20)
	}
	if o.Log == nil {
		o.Log = func(what string, err error) { t.Errorf("%s: %v", what, err) }
	}
	keeper, err := NewKeeper(o)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = &Listener{Keeper: keeper, inner: inner}
	var accepted sync.WaitGroup
	accepted.Go(func() {
		for {
			conn, err := inner.Accept()
			if err != nil {
				return
			}
			accepted.Go(func() {
				layer := &testLayer{below: new(changingConn)}
				layer.Conn = tls.Server(layer.below, config)
				h := keeper.Lend(conn.(*net.TCPConn), layer)
				s.serve(h)
				h.Return()
			})
		}
	})
	t.Cleanup(func() {
		_ = inner.Close()
		keeper.Close()
		accepted.Wait()
		keeper.Wait()
	})
	return s
}

// dial returns a connection that waits in a loop.
func (s *tlsServer) dial() *client {
	s.t.Helper()
	plain := s.testServer.dial()
	conn := tls.Client(plain.Conn, s.trust)
	c := &client{s.t, conn, bufio.NewReader(conn)}
	before := s.detached.Load()
	c.send(request("/back"))
	c.read("/back")
	eventually(s.t, "the connection to go to a loop", func() bool { return s.detached.Load() > before })
	s.handed.Add(-1)
	return c
}

// TestLayerKeptAnswer: a loop answers through TLS, and what it does not know goes to the server and
// comes back, any number of times.
func TestLayerKeptAnswer(t *testing.T) {
	s := serveTLS(t, Options{})
	c, other := s.dial(), s.dial()
	for i := range 10 {
		path, before := fmt.Sprintf("/new%d", i), s.detached.Load()
		c.send(request(path))
		c.read(path)
		eventually(t, "the connection to go back", func() bool { return s.detached.Load() > before })
		for _, c := range []*client{c, other, c} {
			c.send(request(path))
			c.read(path)
		}
	}
	if n := s.handed.Load(); n != 10 {
		t.Errorf("%d requests came to the server, want 10", n)
	}
}

// TestLayerPieces: records that come in pieces, requests that come in many records, and many requests in
// one go are all the same.
func TestLayerPieces(t *testing.T) {
	s := serveTLS(t, Options{Loops: 1})
	warm := s.dial()
	warm.send(request("/a"))
	warm.read("/a")
	handed := s.handed.Load()

	t.Run("bytes", func(t *testing.T) {
		plain := s.testServer.dial()
		slow := &pieceConn{Conn: plain.Conn}
		conn := tls.Client(slow, s.trust)
		c := &client{t, conn, bufio.NewReader(conn)}
		c.send(request("/back"))
		c.read("/back")
		slow.one = true
		c.send(request("/a"))
		c.read("/a")
	})
	t.Run("many", func(t *testing.T) {
		c := s.dial()
		const n = 5000 // more than the loop's buffer, and than a record
		go func() { _, _ = io.WriteString(c, strings.Repeat(request("/a"), n)) }()
		for range n {
			c.read("/a")
		}
	})
	if n := s.handed.Load() - handed; n > 3 {
		t.Errorf("%d handovers: what had come was not all looked at", n)
	}
	t.Run("a request in two records", func(t *testing.T) {
		c := s.dial()
		whole := request("/a")
		c.send(whole[:20])
		c.send(whole[20:])
		c.read("/a")
	})
}

// pieceConn sends one byte at a time once one is set.
type pieceConn struct {
	net.Conn
	one bool
}

func (c *pieceConn) Write(p []byte) (int, error) {
	if !c.one {
		return c.Conn.Write(p)
	}
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
		time.Sleep(100 * time.Microsecond) // not needed, but the kernel sends more pieces so
	}
	return len(p), nil
}

// TestLayerSlowReader: a client that does not read gets everything in the end, in the right order.
func TestLayerSlowReader(t *testing.T) {
	s := serveTLS(t, Options{})
	first := s.dial()
	first.send(request("/60000"))
	first.read("/60000")
	c := s.dial()
	const requests = 200
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
	before := s.handed.Load()
	eventually(t, "the loop to give up on it", func() bool { return s.handed.Load() > before })
	for range requests {
		c.read("/60000")
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestLayerEnd: a connection ends in order, whoever ends it.
func TestLayerEnd(t *testing.T) {
	s := serveTLS(t, Options{IdleTimeout: 50 * time.Millisecond})
	c := s.dial()
	c.ended() // by io.EOF, which is the closing alert: without that crypto/tls has another error
	patient := serveTLS(t, Options{})
	c = patient.dial()
	if err := c.Conn.(*tls.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.ended()
	c = patient.dial()
	c.send(request("/back"))
	if err := c.Conn.(*tls.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.read("/back") // which came before the end
	c.ended()
	// What is no TLS ends with an alert.
	c = patient.dial()
	under := c.Conn.(*tls.Conn).NetConn()
	if _, err := io.WriteString(under, request("/a")); err != nil {
		t.Fatal(err)
	}
	var alert *net.OpError
	if _, err := c.in.ReadByte(); !errors.As(err, &alert) || alert.Op != "remote error" {
		t.Errorf("read: %v, want an alert", err)
	}
	eventually(t, "all connections to end", func() bool { return patient.Connections() == 0 && s.Connections() == 0 })
}

// TestLayerClose: what is asked within LastCall is answered, silent connections end in order.
func TestLayerClose(t *testing.T) {
	s := serveTLS(t, Options{})
	silent, asks := s.dial(), s.dial()
	eventually(t, "both to wait", func() bool { return s.Connections() == 2 })
	// Where the machine stands still for LastCall the request is late, and the connection ended.
	s.Keeper.Close()
	begun := time.Now()
	_, err := io.WriteString(asks, request("/late"))
	if err == nil {
		err = asks.tryRead("/late")
	}
	if err != nil && time.Since(begun) < LastCall {
		t.Error(err)
	}
	silent.ended()
	_ = asks.Close()
	_ = s.inner.Close()
	s.Wait()
	if n := s.serving.Load(); n != 0 || s.Connections() != 0 {
		t.Errorf("%d connections handed over and %d waiting after the end", n, s.Connections())
	}
}

// pair returns the two ends of a connection.
func pair(t *testing.T) (accepted, dialed *net.TCPConn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	c, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	other, err := inner.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return other.(*net.TCPConn), c.(*net.TCPConn)
}

// TestLayerReturnAfterEnd: a connection that comes back when the loops have ended is served, and
// told that it is the last time.
func TestLayerReturnAfterEnd(t *testing.T) {
	var last atomic.Int32
	keeper, err := NewKeeper(Options{Serve: func(h *Handover) {
		if h.Last && h.Layer != nil && len(h.Input) == 0 {
			last.Add(1)
		}
		_ = h.Conn.Close()
	}})
	if err != nil {
		t.Fatal(err)
	}
	conn, c := pair(t)
	h := keeper.Lend(conn, &testLayer{below: new(changingConn)})
	if !h.Detach(false) {
		t.Fatal("not detached")
	}
	_ = conn.Close()
	keeper.Close()
	keeper.Wait()
	if keeper.Lend(conn, nil).Detach(false) {
		t.Error("detached after the end")
	}
	h.Return()
	keeper.Wait()
	if n := last.Load(); n != 1 {
		t.Errorf("served %d times, want once", n)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v, want the end", err)
	}
}

// brokenLayer panics once it is asked for something.
type brokenLayer struct{ Layer }

func (brokenLayer) Over(net.Conn) {}

// TestLayerPanic: a Layer that panics loses its connection, and no other.
func TestLayerPanic(t *testing.T) {
	told := make(chan error, 1)
	s := serveTLS(t, Options{Loops: 1, Log: func(_ string, err error) { told <- err }})
	other := s.dial()
	conn, c := pair(t)
	h := s.Lend(conn, brokenLayer{})
	if !h.Detach(false) {
		t.Fatal("not detached")
	}
	_ = conn.Close()
	h.Return()
	eventually(t, "both to wait", func() bool { return s.Connections() == 2 })
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Fatal(err)
	}
	if err := <-told; !strings.Contains(err.Error(), "nil pointer") {
		t.Errorf("told %v", err)
	}
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the connection goes on")
	}
	other.send(request("/a"))
	other.read("/a")
}

// TestPasses: a loop answers only what may pass on a connection with this Layer.
func TestPasses(t *testing.T) {
	var refused atomic.Pointer[testLayer]
	s := serveTLS(t, Options{Passes: func(layer Layer, h *Head) bool {
		return layer != Layer(refused.Load()) || string(h.Target) != "/secret"
	}})
	friend, foe := s.dial(), s.dial()
	for _, c := range []*client{friend, foe} {
		for range 2 {
			c.send(request("/secret"))
			c.read("/secret")
		}
	}
	if n := s.handed.Load(); n != 1 {
		t.Fatalf("%d requests came to the server, want 1", n)
	}
	for _, one := range s.loops {
		one.mu.Lock()
		for fd := range one.entries {
			if layer, ok := one.entries[fd].layer.(*testLayer); ok && peerOf(fd).String() == foe.LocalAddr().String() {
				refused.Store(layer)
			}
		}
		one.mu.Unlock()
	}
	for i, path := range []string{"/secret", "/secret", "/open", "/open"} { // foe stays with the server
		for _, c := range []*client{friend, foe} {
			c.send(request(path))
			c.read(path)
		}
		if n, want := s.handed.Load(), []int32{2, 2, 3, 3}[i]; n != want {
			t.Errorf("%d requests came to the server, want %d", n, want)
		}
	}
}
