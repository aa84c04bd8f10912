package eventloop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watchedPipe returns an epoll instance that watches a pipe, and a function that makes
// the pipe readable.
func watchedPipe(t *testing.T) (epfd int, write func()) {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fd := range []int{ends[0], ends[1], epfd} {
			_ = unix.Close(fd)
		}
	})
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, ends[0], &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		t.Fatal(err)
	}
	return epfd, func() {
		if _, err := unix.Write(ends[1], []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLingerFindsWhatComesMeanwhile(t *testing.T) {
	epfd, write := watchedPipe(t)
	yields := 0
	g := linger{yield: func() {
		if yields++; yields == lingerPolls {
			write()
		}
	}}
	var events [batch]unix.EpollEvent
	if n := g.poll(epfd, &events); n != 1 || yields != lingerPolls {
		t.Fatalf("%d events after %d yields, want 1 after %d", n, yields, lingerPolls)
	}
}

func TestLingerGivesUp(t *testing.T) {
	epfd, _ := watchedPipe(t)
	yields := 0
	g := linger{yield: func() { yields++ }}
	var events [batch]unix.EpollEvent
	if n := g.poll(epfd, &events); n != 0 || yields == 0 || yields > lingerPolls {
		t.Fatalf("%d events after %d yields, want none after at most %d", n, yields, lingerPolls)
	}
}

func TestLingerRestsBesideOtherWork(t *testing.T) {
	epfd, write := watchedPipe(t)
	yields := 0
	g := linger{yield: func() {
		yields++
		time.Sleep(2 * lingerLong) // work of another kind had the processor
	}}
	var events [batch]unix.EpollEvent
	before := time.Now()
	if n := g.poll(epfd, &events); n != 0 || yields != 1 {
		t.Fatalf("%d events after %d yields, want none after 1", n, yields)
	}
	if rest := g.notBefore.Sub(before); rest < lingerRest {
		t.Errorf("next try after %v, want at least %v", rest, lingerRest)
	}
	write()
	g.notBefore = time.Now().Add(time.Hour)
	if n := g.poll(epfd, &events); n != 0 || yields != 1 {
		t.Errorf("%d events after %d yields while it rests, want none, and no yield", n, yields)
	}
	g.notBefore = time.Time{}
	g.yield = func() { yields++ }
	if n := g.poll(epfd, &events); n != 1 {
		t.Errorf("%d events after the rest, want 1", n)
	}
}
