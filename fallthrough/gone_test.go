package fallthru

import (
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

// goneConns are connections whose client has left.
type goneConns struct {
	mu   sync.Mutex
	gone map[net.Conn]bool
}

func (c *goneConns) leave(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone == nil {
		c.gone = map[net.Conn]bool{}
	}
	c.gone[conn] = true
}

func (c *goneConns) is(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone[conn]
}

// conn is a connection of which nothing but its identity counts.
func conn(t *testing.T) net.Conn {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return a
}

// TestGoneWaiters: a waiting request whose client leaves is withdrawn within a
// second; the others keep their turn.
func TestGoneWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clients goneConns
		g := newTestGroup(t, GroupOptions{Start: always(t, nil).start, Threads: 1, ClientGone: clients.is})
		synctest.Wait()
		held, err := g.acquire(nil)
		if err != nil {
			t.Fatal(err)
		}
		conns := []net.Conn{conn(t), conn(t), conn(t)}
		results := make([]chan error, len(conns))
		for i, c := range conns {
			results[i] = make(chan error, 1)
			go func() {
				s, err := g.acquire(c)
				if err == nil {
					s.free()
				}
				results[i] <- err
			}()
			synctest.Wait()
		}
		clients.leave(conns[1])
		time.Sleep(goneInterval - time.Millisecond)
		synctest.Wait()
		if len(results[1]) != 0 {
			t.Error("withdrawn before it was looked at")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if err := <-results[1]; !errors.Is(err, ErrClientGone) {
			t.Errorf("the client that left: %v, want ErrClientGone", err)
		}
		held.free()
		if err := errors.Join(<-results[0], <-results[2]); err != nil {
			t.Errorf("those that stayed: %v, want a thread each", err)
		}
	})
}

// TestGoneMakeRoom: in a full queue, those whose client has left make room at
// once.
func TestGoneMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clients goneConns
		g := newTestGroup(t, GroupOptions{Start: always(t, nil).start, Threads: 1, QueueBacklog: 2, ClientGone: clients.is})
		synctest.Wait()
		held, err := g.acquire(nil)
		if err != nil {
			t.Fatal(err)
		}
		wait := func(c net.Conn) chan error {
			result := make(chan error, 1)
			go func() {
				s, err := g.acquire(c)
				if err == nil {
					s.free()
				}
				result <- err
			}()
			synctest.Wait()
			return result
		}
		leaves := conn(t)
		first, second := wait(leaves), wait(conn(t))
		if err := <-wait(conn(t)); !errors.Is(err, ErrQueueFull) {
			t.Fatalf("in a full queue: %v, want ErrQueueFull", err)
		}
		clients.leave(leaves)
		time.Sleep(roomInterval)
		third := wait(conn(t))
		if err := <-first; !errors.Is(err, ErrClientGone) {
			t.Errorf("the client that left: %v, want ErrClientGone", err)
		}
		held.free()
		if err := <-second; err != nil {
			t.Errorf("the one that stayed: %v", err)
		}
		if err := <-third; err != nil {
			t.Errorf("the one that took the room: %v", err)
		}
	})
}

// TestGoneStatus: what is answered to nobody is 499 in the log and the end of
// the connection.
func TestGoneStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{
			Start: always(t, func(*fasthttp.RequestCtx, *Request) error { return ErrClientGone }).start,
		}}}})
		synctest.Wait()
		ctx := get(t, "/")
		h.Handle(ctx)
		if ctx.Response.StatusCode() != 499 || !ctx.Response.ConnectionClose() {
			t.Errorf("status %d, close %v; want 499 and true", ctx.Response.StatusCode(), ctx.Response.ConnectionClose())
		}
	})
}
