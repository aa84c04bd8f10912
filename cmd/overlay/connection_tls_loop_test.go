//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"overlay/eventloop"
	"overlay/tlsauth/tlstest"

	"github.com/valyala/fasthttp"
)

// tlsLoopSite is a server of HTTPS whose connections go to event loops at once.
type tlsLoopSite struct {
	t       *testing.T
	keeper  *eventloop.Keeper
	server  fasthttp.Server
	address string
	pool    *tls.Config
	served  chan error
}

func newTLSLoopSite(t *testing.T, limits timeouts) *tlsLoopSite {
	t.Helper()
	ca := tlstest.NewCA(t)
	chain, key := ca.Issue(t).Files(t)
	certificate, err := tls.LoadX509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &tlsLoopSite{
		t: t, address: inner.Addr().String(), served: make(chan error, 1),
		pool: &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"},
	}
	s.server.Logger = quietLogger{}
	(&hygiene{}).install(&s.server, func(ctx *fasthttp.RequestCtx) {
		ctx.SetBody(append([]byte("to "), ctx.Request.Body()...))
	})
	site := &site{server: &s.server, cfg: new(config), useLoops: true, log: slog.New(slog.DiscardHandler)}
	s.keeper = site.keepTLS(limits)
	l := &servingListener{
		Listener: listenTLSConnections(inner, limits, &tls.Config{Certificates: []tls.Certificate{certificate}}),
		serve:    site.serveConn, log: site.log, keeper: s.keeper,
	}
	go func() { s.served <- s.server.Serve(l) }()
	t.Cleanup(func() { s.stop() })
	return s
}

// stop stops the server and waits for the end. It does so once.
func (s *tlsLoopSite) stop() {
	if err := s.server.Shutdown(); err != nil {
		s.t.Error(err)
	}
	if s.served != nil {
		if err := <-s.served; err != nil {
			s.t.Error(err)
		}
		s.served = nil
	}
}

// tlsLoopClient is a connection to a tlsLoopSite. raw is below TLS.
type tlsLoopClient struct {
	*tls.Conn
	raw net.Conn
	in  *bufio.Reader
}

func (s *tlsLoopSite) dial() *tlsLoopClient {
	raw := dial(s.t, s.address)
	c := tls.Client(raw, s.pool)
	return &tlsLoopClient{c, raw, bufio.NewReader(c)}
}

// exchange sends a request with a body and checks the answer.
func (c *tlsLoopClient) exchange(t *testing.T, body string) {
	t.Helper()
	send(t, c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: "+string(rune('0'+len(body)))+"\r\n\r\n"+body)
	c.answer(t, "to "+body)
}

func (c *tlsLoopClient) answer(t *testing.T, want string) {
	t.Helper()
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r.Body); err != nil || string(got) != want {
		t.Fatalf("answer %q, %v; want %q", got, err, want)
	}
}

func (s *tlsLoopSite) waiting(n int) {
	s.t.Helper()
	pollUntil(s.t, "connections to wait in a loop", func() bool { return s.keeper.Connections() == n && s.server.GetOpenConnectionsCount() == 0 })
}

// TestTLSLoop: a connection that waits goes to a loop, again and again, and nothing of it is lost.
func TestTLSLoop(t *testing.T) {
	s := newTLSLoopSite(t, timeouts{keepAlive: long, stay: time.Millisecond})
	c, other := s.dial(), s.dial()
	for _, body := range []string{"a", "", "abcdefghi"} {
		c.exchange(t, body)
		other.exchange(t, body)
		s.waiting(2)
	}
	_ = other.Close()
	s.waiting(1)
	c.exchange(t, "still")
}

// byteConn sends what is written one byte at a time, when it is told to.
type byteConn struct {
	net.Conn
	slow bool
	next chan struct{}
}

func (c *byteConn) Write(p []byte) (int, error) {
	if !c.slow {
		return c.Conn.Write(p)
	}
	for i := range p {
		<-c.next
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// TestTLSLoopWithinRecord: the bytes of a TLS record before the last are no request yet, and none is lost.
func TestTLSLoopWithinRecord(t *testing.T) {
	s := newTLSLoopSite(t, timeouts{keepAlive: long, stay: time.Millisecond})
	slow := &byteConn{Conn: dial(t, s.address), next: make(chan struct{})}
	client := tls.Client(slow, s.pool)
	c := &tlsLoopClient{client, slow, bufio.NewReader(client)}
	c.exchange(t, "a")
	s.waiting(1)
	slow.slow = true
	go func() {
		for range 20 { // head and first bytes of the record
			slow.next <- struct{}{}
			time.Sleep(2 * time.Millisecond) // not needed, but it lets the connection go to a loop in between
		}
		close(slow.next)
	}()
	c.exchange(t, "b")
	s.waiting(1)
}

// TestTLSLoopTimeout: the time that a connection may be silent is not longer because it is in a loop.
func TestTLSLoopTimeout(t *testing.T) {
	const silence = 3 * time.Second // long enough for this test to see that it is there meanwhile
	s := newTLSLoopSite(t, timeouts{keepAlive: silence, stay: time.Millisecond})
	c := s.dial()
	began := time.Now() // before the server begins to count
	c.exchange(t, "a")
	s.waiting(1)
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v, want the end", err)
	}
	if d := time.Since(began); d < silence {
		t.Errorf("closed after %v, want %v", d, silence)
	}
	s.waiting(0)
}

// TestIdleLimit: a connection whose time is over before does not go to a loop, nor one that cannot.
func TestIdleLimit(t *testing.T) {
	for _, row := range []struct {
		loops           bool
		keepAlive, want time.Duration
	}{
		{true, time.Second, time.Second},
		{true, time.Second + 1, time.Second},
		{true, time.Second - 1, time.Second - 1},
		{true, 0, time.Second},
		{false, 0, 0},
		{false, long, long},
	} {
		c := newConnection(nil, &timeouts{keepAlive: row.keepAlive, stay: time.Second})
		if row.loops {
			c.handover = new(eventloop.Handover)
		}
		if got := c.idleLimit(); got != row.want {
			t.Errorf("loops %v, keep-alive %v: idleLimit = %v, want %v", row.loops, row.keepAlive, got, row.want)
		}
	}
}

// TestTLSLoopStop: when the server stops, the next request of a client whose connection is in a loop is
// still answered if it comes soon, and a connection without one is closed.
func TestTLSLoopStop(t *testing.T) {
	s := newTLSLoopSite(t, timeouts{keepAlive: long, stay: time.Millisecond, last: long})
	silent, asks := s.dial(), s.dial()
	silent.exchange(t, "a")
	asks.exchange(t, "a")
	s.waiting(2)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.stop()
	}()
	pollUntil(t, "the last call", s.keeper.Closing)
	asks.exchange(t, "last")
	select {
	case <-stopped:
		t.Error("the server stopped before the last call was over")
	default:
	}
	_ = silent.raw.Close()
	_ = asks.raw.Close()
	<-stopped
}

// TestTLSLoopStopSilent: silent connections do not hold up a stop.
func TestTLSLoopStopSilent(t *testing.T) {
	s := newTLSLoopSite(t, timeouts{keepAlive: long, stay: time.Millisecond})
	c := s.dial()
	c.exchange(t, "a")
	s.waiting(1)
	s.stop()
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v, want the end, in order", err)
	}
}

// TestTLSInputWithinBody: what a loop has read of a body comes before the byte that fasthttp gets in place of
// one that has not come.
func TestTLSInputWithinBody(t *testing.T) {
	_, _, c := tlsPair(t)
	c.input = []byte("ab")
	if err := c.inner.SetReadDeadline(time.Time{}); err != nil { // the head is complete
		t.Fatal(err)
	}
	var got []byte
	for range 3 {
		b := make([]byte, 1)
		if n, err := c.Read(b); n != 1 || err != nil {
			t.Fatalf("Read = %d, %v", n, err)
		}
		got = append(got, b...)
	}
	if string(got) != "ab\x00" {
		t.Errorf("read %q", got)
	}
}
