package eventloop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// heldCopy returns a copy of the descriptor of the one connection that waits, such as a
// child process has that was forked.
func (s *testServer) heldCopy() int {
	s.t.Helper()
	for _, one := range s.loops {
		one.mu.Lock()
		defer one.mu.Unlock()
		for fd := range one.entries {
			if one.entries[fd].queue != nil {
				held, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
				if err != nil {
					s.t.Fatal(err)
				}
				return held
			}
		}
	}
	s.t.Fatal("no connection waits")
	return -1
}

// TestForkedChild: a connection that ends while a child process has it, too, is over
// for the loop.
func TestForkedChild(t *testing.T) {
	told := make(chan error, 100)
	s := serve(t, Options{Loops: 1, Log: func(_ string, err error) { told <- err }})
	c := s.dial()
	eventually(t, "the connection to wait", func() bool { return s.Connections() == 1 })
	held := s.heldCopy()
	defer unix.Close(held)
	_ = c.Close()
	eventually(t, "its end", func() bool { return s.Connections() == 0 })
	other := s.dial() // passes through the loop after what was left of the first
	other.send(request("/a"))
	other.read("/a")
	var events [batch]unix.EpollEvent
	_ = other.Close()
	eventually(t, "the other's end", func() bool { return s.Connections() == 0 })
	if n := poll(s.loops[0].epfd, &events); n != 0 {
		t.Errorf("%d events of a connection that has ended", n)
	}
	select {
	case err := <-told:
		t.Errorf("the log says %v", err)
	default:
	}
}

// TestStaleEvent: an event of a descriptor that is none of the loop's is not looked at.
func TestStaleEvent(t *testing.T) {
	s := serve(t, Options{Loops: 1, Log: func(what string, err error) { t.Errorf("%s: %v", what, err) }})
	c := s.dial()
	c.send(request("/a"))
	c.read("/a")
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	one := s.loops[0]
	one.mu.Lock()
	defer one.mu.Unlock()
	for len(one.entries) <= ends[0] {
		one.entries = append(one.entries, entry{})
	}
	one.handle(ends[0], time.Now())
	one.dismiss(ends[0])
	if _, err := unix.FcntlInt(uintptr(ends[0]), unix.F_GETFD, 0); err != nil {
		t.Errorf("the descriptor was closed: %v", err)
	}
}

// TestCloseSilent: a new connection that says nothing does not hold up the end, and is not the
// server's affair.
func TestCloseSilent(t *testing.T) {
	var served atomic.Int32
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(inner, Options{Serve: func(h *Handover) { served.Add(1); _ = h.Conn.Close() }})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	eventually(t, "the connection to wait", func() bool { return l.Connections() == 1 })
	_ = l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept = %v, want net.ErrClosed", err)
	}
	if n := served.Load(); n != 0 {
		t.Errorf("handed over %d times", n)
	}
}

// TestReturnAfterEnd: a connection that is given back when the loops have ended still gets its
// next request answered if that comes soon.
func TestReturnAfterEnd(t *testing.T) {
	s := serve(t, Options{})
	c := s.dial()
	eventually(t, "the connection to wait", func() bool { return s.Connections() == 1 })
	held := s.heldCopy()
	_ = s.Close()
	for _, one := range s.loops {
		eventually(t, "the loops to end", func() bool {
			one.mu.Lock()
			defer one.mu.Unlock()
			return one.stopped && one.count.Load() == 0
		})
	}
	s.place(held, nil, stateIdle)
	c.send(request("/a"))
	c.read("/a")
	_ = c.Close()
	if _, err := s.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept = %v, want net.ErrClosed", err)
	}
}

// TestFewDescriptors: silent clients that take all descriptors that they can get do not keep
// others from being served, and the log says what is the matter.
func TestFewDescriptors(t *testing.T) {
	const limit = "OVERLAY_TEST_DESCRIPTORS"
	if os.Getenv(limit) == "" {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestFewDescriptors$", "-test.v")
		cmd.Env = append(os.Environ(), limit+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 160, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	var told atomic.Int32
	s := serve(t, Options{Log: func(_ string, err error) {
		if !errors.Is(err, errFewDescriptors) {
			t.Errorf("the log says %v", err)
		}
		told.Add(1)
	}})
	s.drop.Store(true) // no answer is kept: each request is handed over
	kept := s.dial()
	kept.send(request("/a"))
	kept.read("/a")
	silent := exec.Command("python3", "-c", fmt.Sprintf(
		"import resource,socket,sys\nresource.setrlimit(resource.RLIMIT_NOFILE,(1000,1000))\nl=[socket.create_connection((\"127.0.0.1\",%d)) for _ in range(200)]\nprint(1,flush=True)\nsys.stdin.read()",
		s.Addr().(*net.TCPAddr).Port))
	hold, err := silent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := silent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := silent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hold.Close(); _ = silent.Wait() }()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "descriptors to run low", func() bool { return told.Load() > 0 })
	for range 3 {
		kept.send(request("/b"))
		kept.read("/b")
	}
	if n := descriptors(t); n > 160-160/reservePart/2 {
		t.Errorf("%d descriptors are open", n)
	}
	_ = hold.Close()
	_ = silent.Wait()
	last := s.dial()
	last.send(request("/c"))
	last.read("/c")
	if n := told.Load(); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
}

// TestKind: answers are told apart by what Options.Kind says of Accept.
func TestKind(t *testing.T) {
	var asked atomic.Int32
	s := serve(t, Options{Loops: 1, Kind: func(accept []byte) byte {
		asked.Add(1)
		if strings.Contains(string(accept), "html") {
			return 'h'
		}
		return 't'
	}})
	c := s.dial()
	for range 2 {
		for _, accept := range []string{"", "Accept: text/html\r\n", "Accept: */*\r\n"} {
			c.send("GET /a HTTP/1.1\r\nHost: a\r\n" + accept + "\r\n")
			c.read("/a")
			eventually(t, "the connection to go back", func() bool { return s.Connections() == 1 })
		}
	}
	if answers, _ := s.options.Answers.Stats(); answers != 2 {
		t.Errorf("%d answers are kept, want 2", answers)
	}
	if asked.Load() == 0 {
		t.Error("Kind was not asked")
	}
}
