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

	"overlay/tlsauth/tlstest"

	"github.com/valyala/fasthttp"
)

// parkSite is a server of HTTPS whose connections are parked at once.
type parkSite struct {
	t       *testing.T
	parking parking
	server  fasthttp.Server
	address string
	pool    *tls.Config
	served  chan error
}

func newParkSite(t *testing.T, limits timeouts) *parkSite {
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
	s := &parkSite{
		t: t, address: inner.Addr().String(), served: make(chan error, 1),
		pool: &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"},
	}
	s.server.Logger = quietLogger{}
	(&hygiene{}).install(&s.server, func(ctx *fasthttp.RequestCtx) {
		ctx.SetBody(append([]byte("to "), ctx.Request.Body()...))
	})
	site := &site{server: &s.server, log: slog.New(slog.DiscardHandler)}
	l := &servingListener{
		Listener: listenTLSConnections(inner, limits, &tls.Config{Certificates: []tls.Certificate{certificate}}),
		serve:    site.serveConn, log: site.log, parking: &s.parking,
	}
	go func() { s.served <- s.server.Serve(l) }()
	t.Cleanup(func() { s.stop() })
	return s
}

// stop stops the server and waits for the end. It does so once.
func (s *parkSite) stop() {
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

// parkClient is a connection to a parkSite. raw is below TLS.
type parkClient struct {
	*tls.Conn
	raw net.Conn
	in  *bufio.Reader
}

func (s *parkSite) dial() *parkClient {
	raw := dial(s.t, s.address)
	c := tls.Client(raw, s.pool)
	return &parkClient{c, raw, bufio.NewReader(c)}
}

// exchange sends a request with a body and checks the answer.
func (c *parkClient) exchange(t *testing.T, body string) {
	t.Helper()
	send(t, c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: "+string(rune('0'+len(body)))+"\r\n\r\n"+body)
	c.answer(t, "to "+body)
}

func (c *parkClient) answer(t *testing.T, want string) {
	t.Helper()
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r.Body); err != nil || string(got) != want {
		t.Fatalf("answer %q, %v; want %q", got, err, want)
	}
}

func (s *parkSite) parked(n int) {
	s.t.Helper()
	pollUntil(s.t, "connections to be parked", func() bool { return s.parking.count() == n && s.server.GetOpenConnectionsCount() == 0 })
}

// TestPark: a connection that waits is parked, again and again, and nothing of it is lost.
func TestPark(t *testing.T) {
	s := newParkSite(t, timeouts{keepAlive: long, park: time.Millisecond})
	c, other := s.dial(), s.dial()
	for _, body := range []string{"a", "", "abcdefghi"} {
		c.exchange(t, body)
		other.exchange(t, body)
		s.parked(2)
	}
	_ = other.Close()
	s.parked(1)
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

// TestParkWithinRecord: the bytes of a TLS record before the last are no request yet, and none is lost.
func TestParkWithinRecord(t *testing.T) {
	s := newParkSite(t, timeouts{keepAlive: long, park: time.Millisecond})
	slow := &byteConn{Conn: dial(t, s.address), next: make(chan struct{})}
	client := tls.Client(slow, s.pool)
	c := &parkClient{client, slow, bufio.NewReader(client)}
	c.exchange(t, "a")
	s.parked(1)
	slow.slow = true
	go func() {
		for range 20 { // head and first bytes of the record
			slow.next <- struct{}{}
			time.Sleep(2 * time.Millisecond) // not needed, but it lets the connection be parked in between
		}
		close(slow.next)
	}()
	c.exchange(t, "b")
	s.parked(1)
}

// TestParkTimeout: the time that a connection may be silent is not longer because it is parked.
func TestParkTimeout(t *testing.T) {
	s := newParkSite(t, timeouts{keepAlive: 300 * time.Millisecond, park: time.Millisecond})
	c := s.dial()
	c.exchange(t, "a")
	began := time.Now()
	s.parked(1)
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v, want the end", err)
	}
	if d := time.Since(began); d < 200*time.Millisecond {
		t.Errorf("closed after %v", d)
	}
	s.parked(0)
}

// TestParkNot: a connection whose time is over before is not parked, nor one without a bound on
// which somebody waits for the first request.
func TestParkNot(t *testing.T) {
	c := newConnection(nil, &timeouts{keepAlive: time.Second, park: time.Second})
	c.parks = true
	for _, row := range []struct {
		phase     phase
		keepAlive time.Duration
		want      bool
	}{
		{phaseIdle, time.Second, false},
		{phaseIdle, time.Second + 1, true},
		{phaseIdle, 0, true},
		{phaseNew, long, false},
		{phaseHead, long, false},
		{phaseBody, long, false},
		{phaseOwner, long, false},
	} {
		c.phase, c.timeouts.keepAlive = row.phase, row.keepAlive
		if got := c.mayPark(); got != row.want {
			t.Errorf("phase %d, keep-alive %v: mayPark = %v", row.phase, row.keepAlive, got)
		}
	}
}

// TestParkStop: when the server stops, the next request of a client whose connection is parked is
// still answered if it comes soon, and a connection without one is closed.
func TestParkStop(t *testing.T) {
	s := newParkSite(t, timeouts{keepAlive: long, park: time.Millisecond, last: long})
	silent, asks := s.dial(), s.dial()
	silent.exchange(t, "a")
	asks.exchange(t, "a")
	s.parked(2)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.stop()
	}()
	pollUntil(t, "the last call", func() bool {
		s.parking.mu.Lock()
		defer s.parking.mu.Unlock()
		return s.parking.stopped
	})
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

// TestParkStopSilent: silent connections do not hold up a stop.
func TestParkStopSilent(t *testing.T) {
	s := newParkSite(t, timeouts{keepAlive: long, park: time.Millisecond})
	c := s.dial()
	c.exchange(t, "a")
	s.parked(1)
	s.stop()
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v, want the end, in order", err)
	}
}
