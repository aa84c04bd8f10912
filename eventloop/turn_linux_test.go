package eventloop

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// hold keeps the first loop from working until release is called.
func (s *testServer) hold() (one *loop, release func()) {
	one = s.loops[0]
	one.mu.Lock()
	return one, sync.OnceFunc(one.mu.Unlock)
}

// waiting returns the descriptor of the connection of c in one. one.mu must be held.
func (c *client) waiting(one *loop) int {
	c.t.Helper()
	for fd := range one.entries {
		if one.entries[fd].queue != nil && peerOf(fd).String() == c.LocalAddr().String() {
			return fd
		}
	}
	c.t.Fatal("the connection is not in the loop")
	return -1
}

// awaitUnread waits until so many bytes have come on a descriptor.
func awaitUnread(t *testing.T, fd, want int) {
	t.Helper()
	eventually(t, "bytes to come", func() bool {
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		return err != nil || n >= want
	})
}

// sized is a request of length bytes.
func sized(path string, length int) string {
	text := request(path)
	pad := length - len(text) - len("X-Pad: \r\n")
	return text[:len(text)-2] + "X-Pad: " + strings.Repeat("x", pad) + "\r\n\r\n"
}

// sendInRecords sends text in writes of so many bytes, and so in records.
func (c *client) sendInRecords(text string, record int) (done chan error) {
	done = make(chan error, 1)
	go func() {
		for text != "" {
			n := min(record, len(text))
			if _, err := io.WriteString(c, text[:n]); err != nil {
				done <- err
				return
			}
			text = text[n:]
		}
		done <- nil
	}()
	return done
}

// TestTurn: however much a client has sent, the loop reads a bounded part of it before the others have
// their turn, and the connection is one that had an answer.
func TestTurn(t *testing.T) {
	var other atomic.Value // address of the client that has to wait
	var before, behind atomic.Int32
	s := serve(t, Options{Loops: 1, Given: func(g *Given) {
		if g.Peer.String() == other.Load() {
			behind.Store(before.Load())
		}
		before.Add(1)
	}})
	other.Store("")
	warm, c := s.dial(), s.dial()
	warm.send(request("/a"))
	warm.read("/a")
	other.Store(warm.LocalAddr().String())
	eventually(t, "both to wait", func() bool { return s.Connections() == 2 })
	one, release := s.hold()
	defer release()
	fd := c.waiting(one)
	const requests = 16 * inputBytes / 64
	sent := c.sendInRecords(strings.Repeat(sized("/a", 64), requests), inputBytes)
	awaitUnread(t, fd, 2*inputBytes)
	warm.send(request("/a"))
	release()
	warm.read("/a")
	for range requests {
		c.read("/a")
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if n := behind.Load(); n > someTurns*inputBytes/64 {
		t.Errorf("a request was answered behind %d others", n)
	}
	eventually(t, "the connection to wait as one that had an answer", func() bool {
		one.mu.Lock()
		defer one.mu.Unlock()
		return one.entries[fd].queue == &one.queues[stateIdle]
	})
}

// someTurns is how many turns a connection may have before another, for which an event comes
// later.
const someTurns = 3

// TestLayerTurn: the same through TLS, whatever the size of the records.
func TestLayerTurn(t *testing.T) {
	for _, row := range []struct {
		name   string
		record int
	}{
		{"256 requests in a record", 16 << 10},
		{"a request in a record", 64},
		{"a byte in a record", 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			var other atomic.Value
			var below atomic.Pointer[changingConn]
			var behind atomic.Int64
			s := serveTLS(t, Options{Loops: 1, Given: func(g *Given) {
				if b := below.Load(); b != nil && g.Peer.String() == other.Load() {
					behind.Store(b.inLoop.Load())
				}
			}})
			warm, c := s.dial(), s.dial()
			warm.send(request("/a"))
			warm.read("/a")
			other.Store(warm.LocalAddr().String())
			eventually(t, "both to wait", func() bool { return s.Connections() == 2 })
			one, release := s.hold()
			defer release()
			fd := c.waiting(one)
			layer := one.entries[fd].layer.(*testLayer)
			layer.below.inLoop.Store(0)
			below.Store(layer.below)
			requests := 16 * inputBytes / 64
			if row.record == 1 {
				requests = inputBytes / 64 // the rest is dear
			}
			sent := c.sendInRecords(strings.Repeat(sized("/a", 64), requests), row.record)
			awaitUnread(t, fd, 2*turnBytes)
			warm.send(request("/a"))
			release()
			warm.read("/a")
			for range requests {
				c.read("/a")
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if n := behind.Load(); n > someTurns*turnBytes {
				t.Errorf("a request was answered when %d bytes of another client had been read", n)
			}
		})
	}
}

// TestLayerRest: what a Layer holds of a client that does not take its answers goes to the server with
// them: no event would tell of it.
func TestLayerRest(t *testing.T) {
	s := serveTLS(t, Options{Loops: 1})
	s.trust.DynamicRecordSizingDisabled = true
	warm := s.dial()
	warm.send(request("/50000"))
	warm.read("/50000")
	c := s.dial()
	eventually(t, "both to wait", func() bool { return s.Connections() == 2 })
	socket := c.Conn.(*tls.Conn).NetConn().(*net.TCPConn)
	if err := socket.SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	one, release := s.hold()
	defer release()
	fd := c.waiting(one)
	// Two requests fill the buffer of the loop, and the third is in the same record as the second.
	text := strings.Repeat(sized("/50000", inputBytes/2), 3)
	before := s.handed.Load()
	c.send(text[:inputBytes/2])
	c.send(text[inputBytes/2:])
	awaitUnread(t, fd, len(text))
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10); err != nil {
		t.Fatal(err)
	}
	release()
	eventually(t, "the connection to go to the server", func() bool { return s.handed.Load() > before })
	if err := socket.SetReadBuffer(1 << 20); err != nil { // it would take seconds otherwise
		t.Fatal(err)
	}
	for range 3 {
		c.read("/50000")
	}
}

// halfConn sends half of what is written next, and keeps the rest.
type halfConn struct {
	net.Conn
	half bool
	rest []byte
}

func (c *halfConn) Write(p []byte) (int, error) {
	if !c.half {
		return c.Conn.Write(p)
	}
	c.half, c.rest = false, bytes.Clone(p[len(p)/2:])
	_, err := c.Conn.Write(p[:len(p)/2])
	return len(p), err
}

// TestLayerCloseWithinRecord: a request whose record has come in part when the loops end is answered,
// as one without TLS is.
func TestLayerCloseWithinRecord(t *testing.T) {
	for _, row := range []struct {
		name string
		seen bool // by the loop, before the end
	}{
		{"before the end", true},
		{"within the last call", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serveTLS(t, Options{Loops: 1})
			plain := s.testServer.dial()
			half := &halfConn{Conn: plain.Conn}
			conn := tls.Client(half, s.trust)
			c := &client{t, conn, bufio.NewReader(conn)}
			c.send(request("/back"))
			c.read("/back")
			eventually(t, "the connection to wait", func() bool { return s.Connections() == 1 })
			one, release := s.hold()
			defer release()
			fd, before := c.waiting(one), s.handed.Load()
			half.half = true
			c.send(request("/a"))
			awaitUnread(t, fd, 1)
			if row.seen {
				release()
				eventually(t, "the part to be read", func() bool {
					one.mu.Lock()
					defer one.mu.Unlock()
					return one.entries[fd].begun
				})
			}
			s.Keeper.Close()
			release()
			eventually(t, "the connection to go to the server", func() bool { return s.handed.Load() > before })
			if _, err := half.Conn.Write(half.rest); err != nil {
				t.Fatal(err)
			}
			c.read("/a")
		})
	}
}
