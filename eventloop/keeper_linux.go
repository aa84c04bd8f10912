package eventloop

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Keeper lets connections wait in loops. Listener is one that accepts them as well; to one of
// its own somebody else gives connections, with Lend and Handover.Return.
type Keeper struct {
	options  Options
	loops    []*loop
	next     atomic.Uint32
	epoch    time.Time // zero of clock
	closing  atomic.Bool
	stopping atomic.Bool    // the loops are to end
	running  sync.WaitGroup // everything that serves, or could
	serving  atomic.Int32   // connections handed over
}

// NewKeeper returns a Keeper without connections, which works until Close.
func NewKeeper(o Options) (*Keeper, error) {
	k := &Keeper{options: o, epoch: time.Now()}
	n := o.Loops
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	for range n {
		one, err := newLoop(k)
		if err != nil {
			for _, one := range k.loops {
				_ = one.file.Close()
			}
			return nil, err
		}
		k.loops = append(k.loops, one)
	}
	for _, one := range k.loops {
		k.running.Go(one.run)
	}
	return k, nil
}

// Close has the loops end: connections that wait are closed, after LastCall. It does not wait
// for that.
func (k *Keeper) Close() {
	if !k.closing.Swap(true) {
		k.stop()
	}
}

// Wait waits, after Close, until the loops have ended and every connection that they handed
// over has been served.
func (k *Keeper) Wait() { k.running.Wait() }

// stop has the loops end.
func (k *Keeper) stop() {
	k.stopping.Store(true)
	for _, one := range k.loops {
		if err := one.stop(); err != nil {
			k.report("stop", err)
		}
	}
}

// Closing reports whether Close was called: a connection need not come back then.
func (k *Keeper) Closing() bool { return k.closing.Load() }

// Connections returns how many connections wait in loops. A nil k has none.
func (k *Keeper) Connections() (n int) {
	if k == nil {
		return 0
	}
	for _, one := range k.loops {
		n += int(one.count.Load())
	}
	return n
}

func (k *Keeper) clock() time.Duration { return time.Since(k.epoch) }

func (k *Keeper) report(what string, err error) {
	if k.options.Log != nil {
		k.options.Log(what, err)
	}
}

// place lets a connection wait in the next loop. When the loops have ended, it is
// served if a request comes on it soon, and else closed.
func (k *Keeper) place(fd int, layer Layer, s state) {
	if k.loops[int(k.next.Add(1))%len(k.loops)].add(fd, layer, s) {
		return
	}
	h := &Handover{New: s == stateNew, Since: time.Now(), Layer: layer, keeper: k, detached: -1}
	switch {
	case layer != nil:
		h.Last = true
	case h.New:
		h.call = FirstCall
	default:
		h.call = LastCall
	}
	k.serve(h, fd)
}

// serve hands a connection over on a goroutine of its own, and takes it back if it
// was detached.
func (k *Keeper) serve(h *Handover, fd int) {
	k.serving.Add(1)
	k.running.Go(func() {
		defer k.serving.Add(-1)
		var err error
		if h.Conn, err = connOf(fd); err != nil {
			k.report("hand over connection", err)
			return
		}
		if h.call > 0 && !h.await() {
			_ = h.Conn.Close()
			return
		}
		k.options.Serve(h)
		h.Return()
	})
}

// noDescriptor is how long to wait for a descriptor when they have run out.
const noDescriptor = 5 * time.Second

// connOf makes a net.TCPConn of a descriptor, which it takes over. Package net
// does that with a copy alone.
func connOf(fd int) (*net.TCPConn, error) {
	file := os.NewFile(uintptr(fd), "")
	defer file.Close()
	for end := time.Now().Add(noDescriptor); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.FileConn(file)
		if err == nil {
			return c.(*net.TCPConn), nil
		}
		if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) || time.Now().After(end) {
			return nil, err
		}
	}
}
