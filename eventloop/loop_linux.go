package eventloop

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Sizes of the buffers of a loop. A request that does not fit into inputBytes is not looked up.
const (
	inputBytes  = 16 << 10
	outputBytes = MaxAnswer + 48<<10
	batch       = 64 // events taken at once
)

// turnBytes is how much of a connection with a Layer a loop reads before the others have their
// turn: the longest record of TLS. Nothing else bounds what there is to do for one request: records
// may be empty, hold one byte, or ask for new keys, which is dear.
const turnBytes = inputBytes + 1<<10

// loop is one goroutine and the connections that wait with it.
//
// The epoll instance is itself waited for by the runtime's poller, as one descriptor:
// a loop without work is a parked goroutine and holds no thread. While there is work, the
// calls below do not even tell the scheduler: none of them can block.
type loop struct {
	owner *Keeper
	file  *os.File // the epoll instance
	raw   syscall.RawConn
	epfd  int
	count atomic.Int32 // connections

	mu      sync.Mutex // guards the fields below, held while a batch is worked on
	entries []entry    // by descriptor
	queues  [states]queue
	armed   time.Duration
	stopped bool // takes no more connections

	// Belong to the goroutine.
	peers  map[int]net.Addr // by descriptor, for Options.Given
	events [batch]unix.EpollEvent
	ready  int           // events to work on
	now    time.Duration // when work on them began, on the owner's clock
	linger linger
	warm   bool // answered a request since the last wait
	in     [inputBytes]byte
	out    []byte // of answers, and from seal on as the socket gets it
	wire   wire
	key    []byte
	host   []byte // the last value of Host that passed Options.Host
	accept []byte // the last value of Accept that Options.Kind has seen
	kind   byte   // what it said
	date   [dateLength]byte
	second int64
}

func newLoop(owner *Keeper) (*loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(epfd, true); err != nil { // so that os.NewFile has it polled
		_ = unix.Close(epfd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	l := &loop{
		owner: owner, file: os.NewFile(uintptr(epfd), "epoll"), epfd: epfd, out: make([]byte, 0, outputBytes),
		linger: linger{yield: yield},
	}
	o := &owner.options
	if o.Given != nil {
		l.peers = make(map[int]net.Addr)
	}
	l.queues[stateNew].timeout, l.queues[stateIdle].timeout = o.NewTimeout, o.IdleTimeout
	if o.Kind != nil {
		l.kind = o.Kind(nil)
	}
	if o.IdleTimeout > 0 {
		l.queues[stateWaited].timeout = max(o.IdleTimeout-o.ReturnAfter, time.Millisecond)
	}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		_ = l.file.Close()
		return nil, err
	}
	return l, nil
}

// add takes over a connection with what lies above it. It reports false when the loop has
// stopped, and the caller keeps it.
func (l *loop) add(fd int, layer Layer, s state) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	for len(l.entries) <= fd {
		l.entries = append(l.entries, entry{})
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		l.owner.report("watch connection", err)
		return false
	}
	l.count.Add(1)
	if l.entries[fd].layer = layer; layer != nil {
		layer.Over(&l.wire)
	}
	l.enqueue(s, fd, l.owner.clock())
	return true
}

// run works until stop.
func (l *loop) run() {
	defer l.file.Close()
	for l.wait() {
		l.mu.Lock()
		now := time.Now()
		l.now = now.Sub(l.owner.epoch)
		l.setDate(now)
		for i := range l.ready {
			l.handle(int(l.events[i].Fd), now)
		}
		l.mu.Unlock()
		runtime.Gosched() // a busy loop must not keep what it handed over from running
	}
	l.drain()
}

// wait waits for events, and closes what has waited too long. It reports false when the loop is to end.
func (l *loop) wait() bool {
	if l.warm && !l.owner.stopping.Load() {
		l.warm = false
		if l.ready = l.linger.poll(l.epfd, &l.events); l.ready > 0 {
			return true
		}
	}
	for {
		// Even with work at hand this looks first whether the timer has fired.
		err := l.raw.Read(func(uintptr) bool {
			l.ready = poll(l.epfd, &l.events)
			return l.ready > 0
		})
		switch {
		case l.owner.stopping.Load():
			return false
		case err == nil:
			return true
		}
		l.expire()
	}
}

// setDate brings the value of Date up to now.
func (l *loop) setDate(now time.Time) {
	if second := now.Unix(); second != l.second {
		l.second = second
		now.UTC().AppendFormat(l.date[:0], "Mon, 02 Jan 2006 15:04:05 GMT")
	}
}

// handle reads what has come on a connection, answers what it can, and hands over the
// connection with the rest. l.mu must be held.
func (l *loop) handle(fd int, now time.Time) {
	defer l.recoverPanic(fd)
	e := &l.entries[fd]
	if e.queue == nil {
		return // not here any more, and the number perhaps that of something else
	}
	l.wire.take(fd)
	for {
		n, ended := l.receive(fd)
		if n == 0 {
			e.begun = e.begun || l.wire.touched()
			switch errno := l.flush(fd); { // a Layer may have something to say of its own
			case errno == syscall.EAGAIN:
				l.handOver(fd, nil, l.out, "", ended)
			case errno != 0 || ended:
				l.close(fd)
			}
			return
		}
		// A Layer may hold more than there was room for, of which epoll does not know.
		more := n == len(l.in) && e.layer != nil
		input, key, errno := l.answer(fd, l.in[:n], now)
		switch {
		case errno == syscall.EAGAIN:
			if len(input) == 0 && more {
				input, ended = l.receiveMore(fd)
			}
			l.handOver(fd, input, l.out, "", ended)
		case errno != 0:
			l.close(fd)
		case len(input) > 0:
			l.handOver(fd, input, nil, key, ended)
		case ended:
			l.close(fd)
		default:
			l.enqueue(stateIdle, fd, l.now)
			if more {
				continue // it ends: what is read in one turn is bounded
			}
		}
		return
	}
}

// recoverPanic ends a connection whose request made somebody panic: a Source, or who
// is told of answers. It must not end the others.
func (l *loop) recoverPanic(fd int) {
	cause := recover()
	if cause == nil {
		return
	}
	l.owner.report("panic while answering", fmt.Errorf("%v\n%s", cause, debug.Stack()))
	if l.entries[fd].queue != nil {
		l.entries[fd].layer = nil // which may be what is broken
		l.close(fd)
	}
}

// answer sends the answers to the requests in input that have one. It returns what is
// left of input, and the key of that if it is one request whose answer may be kept. With
// EAGAIN the client does not take what is then in l.out.
func (l *loop) answer(fd int, input []byte, now time.Time) (rest []byte, key string, errno syscall.Errno) {
	answers := l.owner.options.Answers
	for answers != nil && len(input) > 0 {
		var h Head
		length := h.Parse(input)
		if length == 0 || !l.served(h.Host) || l.owner.options.Passes != nil && !l.owner.options.Passes(l.entries[fd].layer, &h) {
			break
		}
		l.key = h.appendKey(l.key[:0], l.kindOf(h.Accept))
		a := answers.get(l.key, now)
		if a == nil {
			if length == len(input) {
				key = string(l.key)
			}
			break
		}
		if len(l.out) > 0 && len(l.out)+len(a.wire) > outputBytes {
			if errno = l.flush(fd); errno != 0 {
				return input, "", errno
			}
		}
		if l.peers != nil {
			l.tell(fd, input[:length], a, now)
		}
		l.warm = true
		at := len(l.out) + a.date
		l.out = append(l.out, a.wire...)
		copy(l.out[at:], l.date[:])
		input = input[length:]
	}
	return input, key, l.flush(fd)
}

// tell tells of an answer that is given.
func (l *loop) tell(fd int, head []byte, a *answer, now time.Time) {
	peer := l.peers[fd]
	if peer == nil {
		peer = peerOf(fd)
		l.peers[fd] = peer
	}
	l.owner.options.Given(&Given{Head: head, Layer: l.entries[fd].layer, Status: a.status, Body: len(a.wire) - a.body, Peer: peer, Time: now})
}

// served reports whether requests for host are served. Nearly all are for the same one.
func (l *loop) served(host []byte) bool {
	if string(host) == string(l.host) {
		return true
	}
	if check := l.owner.options.Host; check != nil && !check(host) {
		return false
	}
	l.host = append(l.host[:0], host...)
	return true
}

// kindOf is Options.Kind. Nearly all requests have the same value.
func (l *loop) kindOf(accept []byte) byte {
	if string(accept) != string(l.accept) && l.owner.options.Kind != nil {
		l.kind = l.owner.options.Kind(accept)
		l.accept = append(l.accept[:0], accept...)
	}
	return l.kind
}

// flush sends l.out. What the client does not take at once stays there, as it is to be sent.
func (l *loop) flush(fd int) syscall.Errno {
	if !l.seal(fd) {
		return syscall.EIO
	}
	for len(l.out) > 0 {
		n, errno := Send(fd, l.out)
		if errno != 0 {
			return errno
		}
		l.out = l.out[:copy(l.out, l.out[n:])]
	}
	return 0
}

// handOver gives a connection to the server. ended: its client will send nothing more. l.mu must be held.
func (l *loop) handOver(fd int, input, output []byte, key string, ended bool) {
	e := &l.entries[fd]
	since := l.owner.epoch.Add(e.since)
	isNew, layer := e.queue == &l.queues[stateNew], e.layer
	l.forget(fd)
	h := &Handover{Layer: layer, New: isNew, Since: since, keeper: l.owner, ended: ended, detached: -1}
	if len(input) == 0 && len(output) == 0 {
		if h.Last = layer != nil; !h.Last {
			h.call = FirstCall
		}
	}
	h.Input, h.Output = append([]byte(nil), input...), append([]byte(nil), output...)
	h.Recorder = Recorder{answers: l.owner.options.Answers, key: key}
	l.owner.serve(h, fd)
}

// close closes a connection. l.mu must be held.
func (l *loop) close(fd int) {
	if layer := l.entries[fd].layer; layer != nil {
		l.wire.take(fd)
		if layer.Close() == nil && len(l.wire.out) > 0 {
			_, _ = Send(fd, l.wire.out) // who does not take that does not need it
		}
	}
	l.forget(fd)
	_ = unix.Close(fd)
}

// forget lets go of a connection. That it is closed next is not enough: a child process that was
// forked meanwhile has it too, and the epoll instance would go on telling of it.
func (l *loop) forget(fd int) {
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_DEL, fd, nil); err != nil {
		l.owner.report("let go of connection", err)
	}
	l.entries[fd].leave(l.entries, fd)
	l.entries[fd].layer = nil
	l.count.Add(-1)
	delete(l.peers, fd)
}

// drain ends the loop: requests that arrive within LastCall are handed over, connections that
// have not had one yet are as well, for FirstCall, and those with a part of a record, for
// LastCall. The others are closed.
func (l *loop) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	for end := time.Now().Add(LastCall); l.count.Load() > 0 && time.Now().Before(end); {
		n := poll(l.epfd, &l.events)
		for i := range n {
			l.dismiss(int(l.events[i].Fd))
		}
		if n == 0 {
			l.mu.Unlock()
			time.Sleep(time.Millisecond)
			l.mu.Lock()
		}
	}
	for s := range l.queues {
		for l.queues[s].head != 0 {
			l.dismiss(int(l.queues[s].head) - 1)
		}
	}
}

// dismiss hands a connection over with the request that has come on it, or without one if
// the loop ends and it is new or the request may be on its way. Else it closes it. l.mu must be held.
func (l *loop) dismiss(fd int) {
	defer l.recoverPanic(fd)
	e := &l.entries[fd]
	if e.queue == nil {
		return
	}
	l.wire.take(fd)
	n, ended := l.receive(fd)
	comes := e.queue == &l.queues[stateNew] || e.begun || l.wire.touched()
	errno := l.flush(fd)
	if (n > 0 || comes && l.stopped && !ended) && (errno == 0 || errno == syscall.EAGAIN) {
		l.handOver(fd, l.in[:n], l.out, "", ended)
	} else {
		l.close(fd)
	}
}
