package pybridge

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// outgoing collects frames for a worker process, so that the requests of many
// connections leave with one system call.
type outgoing struct {
	bytes       []byte
	descriptors []attached
}

// attached is a descriptor that goes with the frame at offset start.
type attached struct {
	start int
	file  *os.File
}

func (o *outgoing) addRequest(x *exchange, ctx *fasthttp.RequestCtx, r *Request) error {
	if r.File != nil {
		// The caller may close its file before the writer comes to it.
		fd, err := unix.FcntlInt(r.File.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		o.descriptors = append(o.descriptors, attached{len(o.bytes), os.NewFile(uintptr(fd), "request body")})
	}
	o.bytes = appendRequest(o.bytes, x.id, ctx, r, &x.fields)
	return nil
}

func (o *outgoing) reset() {
	if cap(o.bytes) > 1<<20 {
		o.bytes = nil
	}
	o.bytes = o.bytes[:0]
	o.descriptors = o.descriptors[:0]
}

// writeTo sends everything. A descriptor travels with the first byte of its
// frame, so the bytes before it go first.
func (o *outgoing) writeTo(conn *net.UnixConn) error {
	sent := 0
	for _, d := range o.descriptors {
		if d.start > sent {
			if _, err := conn.Write(o.bytes[sent:d.start]); err != nil {
				return err
			}
		}
		rights := syscall.UnixRights(int(d.file.Fd()))
		n, _, err := conn.WriteMsgUnix(o.bytes[d.start:d.start+frameHeaderSize], rights, nil)
		if err != nil {
			return err
		}
		sent = d.start + n
		closeFile(d.file)
	}
	if sent < len(o.bytes) {
		_, err := conn.Write(o.bytes[sent:])
		return err
	}
	return nil
}

// writeData sends what has been collected until the worker process is gone.
func (w *Worker) writeData() {
	var batch outgoing
	for range w.kick {
		// The requests that are ready to run now can still join this write:
		// a system call, and waking the worker, cost more than they do.
		runtime.Gosched()
		w.mu.Lock()
		batch, w.out = w.out, batch
		closed := w.closed
		w.mu.Unlock()
		if closed {
			return
		}
		// A failed write means that the process is ending; reap tells the requests.
		_ = batch.writeTo(w.data)
		batch.reset()
	}
}

// post sends a frame about a request in flight.
func (w *Worker) post(h frameHeader, payload []byte) {
	if w.steer != nil {
		w.steer(h)
		return
	}
	w.mu.Lock()
	h.length = len(payload)
	w.out.bytes = append(appendFrameHeader(w.out.bytes, h), payload...)
	w.mu.Unlock()
	w.wakeWriter()
}

// incoming holds what has been read from a worker process and not been sorted.
type incoming struct {
	buf         []byte
	start, end  int
	oob         []byte
	descriptors []*os.File
	touched     []*exchange
	ended       []*exchange
}

// readData sorts frames of the worker process to their requests until there
// are no more.
func (w *Worker) readData() {
	in := &incoming{buf: make([]byte, 64<<10), oob: make([]byte, unix.CmsgSpace(4*8))}
	defer func() {
		for _, f := range in.descriptors {
			closeFile(f)
		}
	}()
	for {
		n, oobn, _, _, err := w.data.ReadMsgUnix(in.buf[in.end:], in.oob)
		if oobn > 0 {
			if err := in.keepDescriptors(in.oob[:oobn]); err != nil {
				w.protocolError("data socket", err)
				return
			}
		}
		if err != nil || n == 0 {
			return
		}
		in.end += n
		err = w.sort(in)
		if err == nil {
			err = in.checkDescriptors()
		}
		if err != nil {
			w.protocolError("data socket", err)
			return
		}
	}
}

// sort handles each frame in the buffer. The requests are told only when all
// frames are in: an answer in two frames is then one answer to its handler.
func (w *Worker) sort(in *incoming) error {
	var failure error
	for {
		h, payload, size, err := readFrame(in.buf[in.start:in.end])
		if err != nil {
			failure = err
			break
		}
		if size == 0 {
			in.makeRoom()
			break
		}
		if err := w.dispatch(in, h, payload); err != nil {
			failure = err
			break
		}
		in.start += size
	}
	// Threads first: a client that has its answer finds the thread free.
	now := int64(time.Since(epoch))
	for _, x := range in.ended {
		if !x.givenBack {
			x.free()
		}
	}
	for i, x := range in.touched {
		x.since.Store(now)
		x.signal()
		in.touched[i] = nil
	}
	for i, x := range in.ended {
		x.release()
		in.ended[i] = nil
	}
	in.touched, in.ended = in.touched[:0], in.ended[:0]
	return failure
}

func (w *Worker) dispatch(in *incoming, h frameHeader, payload []byte) error {
	var file *os.File
	if h.flags&flagDescriptor != 0 {
		if len(in.descriptors) == 0 {
			return fmt.Errorf("%w: a descriptor was announced and none came", errFrame)
		}
		file = in.descriptors[0]
		in.descriptors = append(in.descriptors[:0], in.descriptors[1:]...)
	}
	x := w.lookup(h.request)
	if x == nil {
		closeFile(file)
		return fmt.Errorf("%w: no request %d in flight", errFrame, h.request)
	}
	switch h.kind {
	case frameNote:
		w.opts.Logger.Warn("the application does not keep to PEP 3333", "worker", w.PID(), "request", string(x.request), "detail", string(payload))
		return nil
	case frameError:
		level := slog.LevelError
		if x.lostBody() {
			level = slog.LevelDebug // as it had to: that is the client's fault, and told elsewhere
		}
		w.opts.Logger.Log(context.Background(), level, "the application failed", "worker", w.PID(), "request", string(x.request), "traceback", string(payload))
	}
	if err := x.receive(h, payload, file); err != nil {
		return err
	}
	in.touched = append(in.touched, x)
	if h.flags&flagEnd != 0 && w.forget(x) {
		in.ended = append(in.ended, x)
	}
	return nil
}

// makeRoom moves what is left to the front, and grows the buffer for a frame
// that is larger.
func (in *incoming) makeRoom() {
	n := copy(in.buf, in.buf[in.start:in.end])
	in.start, in.end = 0, n
	if n < frameHeaderSize {
		return
	}
	need := frameHeaderSize + int(binary.LittleEndian.Uint32(in.buf))
	if need > len(in.buf) {
		in.buf = append(make([]byte, 0, need), in.buf[:n]...)[:need]
	}
}

// checkDescriptors refuses descriptors that no frame has announced: nobody would
// ever close them. It is called when the whole frames have been taken out of the
// buffer. What is left then is the beginning of one frame, and its descriptor came
// with its first byte.
func (in *incoming) checkDescriptors() error {
	allowed := 0
	if in.end > in.start {
		allowed = 1
	}
	if len(in.descriptors) > allowed {
		return fmt.Errorf("%w: %d descriptors that were not announced", errFrame, len(in.descriptors)-allowed)
	}
	return nil
}

func (in *incoming) keepDescriptors(oob []byte) error {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("%w: control message: %w", errFrame, err)
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return fmt.Errorf("%w: control message: %w", errFrame, err)
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			in.descriptors = append(in.descriptors, os.NewFile(uintptr(fd), "response file"))
		}
	}
	return nil
}

func decodeRange(payload []byte) (position, length int64) {
	return int64(binary.LittleEndian.Uint64(payload)), int64(binary.LittleEndian.Uint64(payload[8:]))
}
