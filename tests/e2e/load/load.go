// Package load sends requests to a server under test and keeps an account of
// what became of each. net/http's client is no use for that: it sends a GET
// again, silently, when a kept connection breaks.
package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fate is what became of a request.
type Fate int

const (
	Answered Fate = iota // a complete response came
	Refused              // no connection, or no TLS: the server never saw the request
	Dropped              // the connection ended before the first byte of a response
	Cut                  // the connection ended within the response
)

func (f Fate) String() string {
	return [...]string{"answered", "refused", "dropped", "cut"}[f]
}

// Outcome is the account of one request.
type Outcome struct {
	Target string    // of the request line
	Began  time.Time // before the connection was used
	Sent   time.Time // after the last byte of the request; zero when refused
	Ended  time.Time
	Fate   Fate
	Status int // 0 unless the head of a response came
	Header http.Header
	Body   []byte
	Err    error // nil when answered
}

// Client sends one request after the other over a kept connection, which it
// opens again when the server closed it.
type Client struct {
	Addr    string        // host:port
	Timeout time.Duration // of one request; 0 means a minute
	TLS     *tls.Config   // nil for plain HTTP
	conn    net.Conn
	reader  *bufio.Reader
}

// Get sends GET target and waits for the response.
func (c *Client) Get(target string) Outcome {
	return c.Do(http.MethodGet, target, "", nil)
}

// Do sends a request with these field lines, each ended by CRLF, and body.
// Content-Length is added when there is a body.
func (c *Client) Do(method, target, fields string, body []byte) Outcome {
	o := Outcome{Target: target, Began: time.Now()}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	if c.conn == nil {
		conn, err := c.dial(timeout)
		if err != nil {
			o.Fate, o.Err, o.Ended = Refused, err, time.Now()
			return o
		}
		c.conn, c.reader = conn, bufio.NewReader(conn)
	}
	_ = c.conn.SetDeadline(o.Began.Add(timeout))
	o.Err = c.exchange(&o, method, fields, body)
	o.Ended = time.Now()
	if o.Err != nil {
		c.Close()
	}
	return o
}

// dial opens a connection, with TLS if there is to be any: who gets none has sent no request.
func (c *Client) dial(timeout time.Duration) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: timeout}
	if c.TLS != nil {
		return tls.DialWithDialer(dialer, "tcp", c.Addr, c.TLS)
	}
	return dialer.Dial("tcp", c.Addr)
}

// exchange sends the request and reads the response into o.
func (c *Client) exchange(o *Outcome, method, fields string, body []byte) error {
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, o.Target, c.Addr, fields)
	if len(body) > 0 {
		fmt.Fprintf(&head, "Content-Length: %d\r\n", len(body))
	}
	head.WriteString("\r\n")
	o.Fate = Dropped
	// A server may answer, and close, before it has read the whole request:
	// what it said counts, not that writing ended in an error.
	_, writeErr := io.WriteString(c.conn, head.String())
	if writeErr == nil && len(body) > 0 {
		_, writeErr = c.conn.Write(body)
	}
	o.Sent = time.Now()
	if _, err := c.reader.Peek(1); err != nil {
		return errors.Join(writeErr, err)
	}
	o.Fate = Cut
	resp, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	o.Status, o.Header = resp.StatusCode, resp.Header
	if o.Body, err = io.ReadAll(resp.Body); err != nil {
		return err
	}
	o.Fate = Answered
	if resp.Close {
		c.Close()
	}
	return nil
}

// Close closes the connection, if there is one.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn, c.reader = nil, nil
	}
}

// Account holds the outcome of every request that was sent. It may be read
// while it grows.
type Account struct {
	TLS *tls.Config // of the clients of Run; nil for plain HTTP

	mu       sync.Mutex // guards outcomes
	outcomes []Outcome
}

// Run lets that many clients send GET requests to addr, one after the other
// each, until ctx ends, and returns when the last response has come. target
// names the n-th request, counted over all clients from 0; it may be called by
// several goroutines at once. A client that is refused stops.
func (a *Account) Run(ctx context.Context, addr string, clients int, target func(n int) string) {
	var wait sync.WaitGroup
	var mu sync.Mutex // guards n
	n := 0
	for range clients {
		wait.Go(func() {
			client := Client{Addr: addr, TLS: a.TLS}
			defer client.Close()
			for ctx.Err() == nil {
				mu.Lock()
				mine := n
				n++
				mu.Unlock()
				o := client.Get(target(mine))
				a.Add(o)
				if o.Fate == Refused {
					return
				}
			}
		})
	}
	wait.Wait()
}

// Add enters an outcome.
func (a *Account) Add(o Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outcomes = append(a.outcomes, o)
}

// Outcomes returns a copy of what is entered so far.
func (a *Account) Outcomes() []Outcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.outcomes)
}

// Select returns the outcomes that keep says yes to.
func (a *Account) Select(keep func(Outcome) bool) []Outcome {
	var kept []Outcome
	for _, o := range a.Outcomes() {
		if keep(o) {
			kept = append(kept, o)
		}
	}
	return kept
}

// String sums the account up: "812 requests: 810 answered 200, 2 answered 502".
func (a *Account) String() string {
	counts := map[string]int{}
	all := a.Outcomes()
	for _, o := range all {
		key := o.Fate.String()
		if o.Fate == Answered {
			key = fmt.Sprintf("%s %d", key, o.Status)
		}
		counts[key]++
	}
	var parts []string
	for key, n := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", n, key))
	}
	slices.Sort(parts)
	return fmt.Sprintf("%d requests: %s", len(all), strings.Join(parts, ", "))
}
