package fallthru

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Defaults of GroupOptions.
const (
	DefaultProcesses       = 1
	DefaultThreads         = 5
	DefaultQueueBacklog    = 100
	DefaultQueueTimeout    = 45 * time.Second
	DefaultStartupTimeout  = 15 * time.Second
	DefaultGracefulTimeout = 15 * time.Second
	DefaultShutdownTimeout = 5 * time.Second
)

// GroupOptions describes a process group: the worker processes that run one
// application. Start must be given.
type GroupOptions struct {
	Start Starter

	Processes int // worker processes; zero means DefaultProcesses
	Threads   int // requests at once in each; zero means DefaultThreads

	// HandAhead bounds the requests that a worker process is handed beyond its
	// threads while it answers quickly; see ahead.go. Zero means three for each
	// thread, a negative value none: right for a Worker that cannot give back.
	HandAhead int

	// QueueBacklog bounds the requests that wait for a free thread. Zero means
	// DefaultQueueBacklog, a negative value that none may wait. One more gets
	// ErrQueueFull.
	QueueBacklog int
	// QueueTimeout bounds that wait. Zero means DefaultQueueTimeout, a
	// negative value no bound. On expiry the request gets ErrQueueTimeout.
	QueueTimeout time.Duration
	// StartupTimeout bounds the time from the start of a worker process until
	// it is ready. Zero means DefaultStartupTimeout.
	StartupTimeout time.Duration
	// GracefulTimeout bounds how long a worker process that is replaced may
	// take to finish the requests that it has. Zero means
	// DefaultGracefulTimeout, a negative value no time.
	GracefulTimeout time.Duration
	// ShutdownTimeout bounds the exit handlers of a worker process; then it is
	// killed. Zero means DefaultShutdownTimeout.
	ShutdownTimeout time.Duration

	// What a worker process may use before it is replaced. Its successor is
	// ready before it finishes. Zero means no limit.
	MaximumRequests int           // requests; each process draws up to a tenth less
	RestartInterval time.Duration // age
	CPUTimeLimit    time.Duration // user and system time
	MemoryLimit     int64         // resident bytes

	// InactivityTimeout ends a worker process that has had no request for so
	// long, as long as ProcessesMin are left. The next request that needs it
	// starts one. Zero means that idle ones stay.
	InactivityTimeout time.Duration
	ProcessesMin      int

	// Rolling replaces worker processes one at a time on Reload, where memory
	// does not suffice for old and new ones together.
	Rolling bool

	// ClientGone reports whether the client of a connection has closed it. It
	// is asked each second for requests that wait, and must not block. Nil
	// means that nobody asks.
	ClientGone func(net.Conn) bool

	// Logger is told of starts and failures. Nil means slog.Default.
	Logger *slog.Logger
}

func (o GroupOptions) withDefaults() (GroupOptions, error) {
	if o.Start == nil {
		return o, errors.New("fallthru: GroupOptions.Start is nil")
	}
	setDefault(&o.Processes, DefaultProcesses)
	setDefault(&o.Threads, DefaultThreads)
	setDefault(&o.QueueBacklog, DefaultQueueBacklog)
	setDefault(&o.QueueTimeout, DefaultQueueTimeout)
	setDefault(&o.StartupTimeout, DefaultStartupTimeout)
	setDefault(&o.GracefulTimeout, DefaultGracefulTimeout)
	setDefault(&o.ShutdownTimeout, DefaultShutdownTimeout)
	if o.Processes < 0 || o.Threads < 0 {
		return o, fmt.Errorf("fallthru: processes %d, threads %d: want at least 1 of each", o.Processes, o.Threads)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// group hands requests to the worker processes of one application.
type group struct {
	opts GroupOptions

	mu        sync.Mutex // guards what follows
	members   []*member  // ready worker processes that take requests
	queue     queue
	timer     *time.Timer // expires the queue
	goneTimer *time.Timer // withdraws waiters whose client is gone
	lookedAt  time.Time   // when a full queue was looked through for them last
	failure   error       // why there is no worker process; nil while there may be one soon
	failedAt  time.Time
	// lastFailure is the text of the start that failed last, "" since one
	// succeeded.
	lastFailure string
	stopping    bool
	asleep      int // places that are empty until a request needs them
	counts      counts

	places    []*keeper
	reloading sync.Mutex    // one Reload at a time
	wake      chan struct{} // a request needs an empty place filled

	waiters  sync.Pool     // of *waiter, used again
	retry    chan struct{} // a request came while there was no worker process
	stop     context.CancelFunc
	stopped  context.Context // done when the group is to end
	hurry    context.CancelFunc
	hurried  context.Context // done when it is to end with what it holds
	keepers  sync.WaitGroup
	first    sync.Once
	firstEnd chan struct{} // closed when the first start has succeeded or failed
}

// member is a worker process that takes requests.
type member struct {
	worker  Worker
	threads int
	slots   []*slot // for its threads and for requests that are handed ahead: those without one
	pace    pace
	busy    int // requests that it holds
	born    time.Time
	leaving bool
	drained chan struct{} // closed when it is leaving and holds nothing

	limit    int         // requests that it may serve, 0 for any number
	served   int         // requests that it has taken
	used     chan string // receives once when it is time for a successor
	lastUsed time.Time   // when it last became idle; zero while it is busy

	// The limits of age and CPU time count from here; the keeper's.
	extended             time.Time
	extendedCPU, lastCPU time.Duration
}

// slot is room for one request in a worker process. None of them stands for a
// certain thread: which request waits for one there, only that process knows.
type slot struct {
	member *member
	free   func() // gives the slot back; made once, so that a request allocates nothing
}

func newGroup(opts GroupOptions) (*group, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &group{opts: opts, retry: make(chan struct{}, 1), firstEnd: make(chan struct{})}
	g.waiters.New = func() any { return &waiter{turn: make(chan struct{}, 1)} }
	g.stopped, g.stop = context.WithCancel(context.Background())
	g.hurried, g.hurry = context.WithCancel(context.Background())
	g.wake = make(chan struct{}, 1)
	for range opts.Processes {
		k := &keeper{group: g, replace: make(chan replacement), level: slog.LevelDebug}
		g.places = append(g.places, k)
	}
	g.keepers.Add(len(g.places))
	for _, k := range g.places {
		go k.keep()
	}
	return g, nil
}

// acquire returns a free thread, and waits for one if it must. conn is the
// client's; a client that is gone does not wait any longer.
func (g *group) acquire(conn net.Conn) (*slot, error) {
	g.mu.Lock()
	if g.stopping {
		g.mu.Unlock()
		return nil, ErrStopping
	}
	if g.queue.length == 0 {
		if m := g.leastBusy(); m != nil {
			s := m.take()
			g.mu.Unlock()
			return s, nil
		}
	}
	if g.failure != nil && len(g.members) == 0 {
		err := g.failure
		g.askRetry()
		g.mu.Unlock()
		return nil, err
	}
	if g.queue.length >= max(g.opts.QueueBacklog, 0) && !g.makeRoom() {
		g.mu.Unlock()
		return nil, ErrQueueFull
	}
	w := g.newWaiter(conn, time.Now())
	g.queue.push(w)
	return g.await(w)
}

// reacquire is acquire for a request that was given a thread and had none, which
// entered the queue at since: it is ahead of those that came later, and there is
// room for it.
func (g *group) reacquire(conn net.Conn, since time.Time) (*slot, error) {
	g.mu.Lock()
	if m := g.leastBusy(); m != nil {
		s := m.take()
		g.mu.Unlock()
		return s, nil
	}
	err := g.failure
	if g.stopping {
		err = ErrStopping
	}
	if err != nil && len(g.members) == 0 {
		g.mu.Unlock()
		return nil, err
	}
	w := g.newWaiter(conn, since)
	g.queue.putBack(w)
	return g.await(w)
}

// newWaiter returns a waiter that waits from since on. g.mu must be held.
func (g *group) newWaiter(conn net.Conn, since time.Time) *waiter {
	g.wakeOne()
	w := g.waiters.Get().(*waiter)
	w.slot, w.err, w.conn, w.deadline = nil, nil, conn, time.Time{}
	if g.opts.QueueTimeout > 0 {
		w.deadline = since.Add(g.opts.QueueTimeout)
	}
	return w
}

// await waits until w, which is in the queue, has its turn. g.mu must be held; it
// is released.
func (g *group) await(w *waiter) (*slot, error) {
	if g.opts.QueueTimeout > 0 && g.queue.first == w {
		g.armTimer(time.Until(w.deadline))
	}
	if g.opts.ClientGone != nil && g.queue.length == 1 {
		g.armGoneTimer()
	}
	g.mu.Unlock()

	<-w.turn
	s, err := w.slot, w.err
	w.conn = nil
	g.waiters.Put(w)
	return s, err
}

// leastBusy returns the member with a free thread that has the fewest
// requests, or nil. g.mu must be held.
func (g *group) leastBusy() *member {
	var best *member
	for _, m := range g.members {
		if m.available() && (best == nil || m.busy < best.busy) {
			best = m
		}
	}
	return best
}

// take hands out room for a request. m must be available.
func (m *member) take() *slot {
	s := m.slots[len(m.slots)-1]
	m.slots = m.slots[:len(m.slots)-1]
	if m.busy == 0 {
		m.pace.begin()
	}
	m.busy++
	m.count()
	return s
}

// release gives a thread to the request that has waited longest, or keeps it.
func (g *group) release(s *slot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := s.member
	m.put(s)
	m.pace.answer()
	g.counts.answered++
	if !m.leaving {
		g.serveQueue(m)
	}
	if m.busy == 0 && g.opts.InactivityTimeout > 0 {
		m.lastUsed = time.Now()
	}
}

// giveBack takes back what a worker process has been handed and has not begun.
// That one is not quick any more.
func (g *group) giveBack(s *slot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.member.put(s)
	s.member.pace.mean = slowPace
}

// put takes s back. The group's lock must be held.
func (m *member) put(s *slot) {
	m.busy--
	m.slots = append(m.slots, s)
	if m.leaving && m.busy == 0 {
		close(m.drained)
	}
}

// serveQueue gives free threads of m to waiting requests. g.mu must be held.
func (g *group) serveQueue(m *member) {
	for m.available() {
		w := g.queue.pop()
		if w == nil {
			return
		}
		w.slot = m.take()
		w.turn <- struct{}{}
	}
}

// armTimer makes the queue expire after d. g.mu must be held.
func (g *group) armTimer(d time.Duration) {
	if g.timer == nil {
		g.timer = time.AfterFunc(d, g.expireQueue)
		return
	}
	g.timer.Reset(d)
}

// goneInterval is how often the connections of waiting requests are looked at.
const goneInterval = time.Second

// roomInterval is how often the queue is looked through when it is full: a look
// takes as long as a system call for each waiter.
const roomInterval = 10 * time.Millisecond

// makeRoom withdraws waiters whose client is gone from a full queue. It reports
// whether there is room for another one. g.mu must be held.
func (g *group) makeRoom() bool {
	if g.opts.ClientGone == nil || g.queue.length == 0 || time.Since(g.lookedAt) < roomInterval {
		return false
	}
	g.lookedAt = time.Now()
	before := g.queue.length
	g.queue.withdraw(g.opts.ClientGone)
	return g.queue.length < before
}

// armGoneTimer makes the queue be looked through. g.mu must be held.
func (g *group) armGoneTimer() {
	if g.goneTimer == nil {
		g.goneTimer = time.AfterFunc(goneInterval, g.withdrawGone)
		return
	}
	g.goneTimer.Reset(goneInterval)
}

func (g *group) withdrawGone() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue.withdraw(g.opts.ClientGone)
	if g.queue.length > 0 {
		g.armGoneTimer()
	}
}

func (g *group) expireQueue() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if next := g.queue.expire(time.Now(), ErrQueueTimeout); next > 0 {
		g.armTimer(next)
	}
}

// join lets a worker process take requests.
func (g *group) join(w Worker) *member {
	now := time.Now()
	m := &member{
		worker: w, threads: g.opts.Threads, drained: make(chan struct{}), used: make(chan string, 1),
		pace: pace{mean: slowPace, last: now},
		born: now, lastUsed: now, extended: now, limit: g.opts.requestLimit(),
	}
	for range g.opts.Threads + g.opts.ahead() {
		s := &slot{member: m}
		s.free = func() { g.release(s) }
		m.slots = append(m.slots, s)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members = append(g.members, m)
	g.failure, g.lastFailure = nil, ""
	g.serveQueue(m)
	return m
}

// leave takes m out of those that take requests. m.drained is closed when it
// holds nothing any more.
func (g *group) leave(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.takeOut(m)
}

// takeOut does the work of leave. g.mu must be held.
func (g *group) takeOut(m *member) {
	if m.leaving {
		return
	}
	for i, other := range g.members {
		if other == m {
			g.members = append(g.members[:i], g.members[i+1:]...)
			break
		}
	}
	m.leaving = true
	if m.busy == 0 {
		close(m.drained)
	}
}

// fail notes why a worker process could not be started. When there is no
// other, requests get the error at once instead of waiting in vain.
func (g *group) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failure = err
	g.failedAt = time.Now()
	select {
	case <-g.retry: // asked for before this start was over; it would bring the next one forward
	default:
	}
	if len(g.members) == 0 {
		g.queue.failAll(err)
	}
}
