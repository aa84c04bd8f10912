package pybridge

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// peer plays the part of a worker program inside the test. A process really
// runs, so that it can die; it hands its two sockets to the test.
type peer struct {
	t        testing.TB
	worker   *Worker
	record   *record
	control  *net.UnixConn
	data     *net.UnixConn
	relay    *net.UnixConn  // to the process itself
	requests chan peerFrame // what the server process has sent on the data socket
	orders   chan peerFrame // and on the control socket, hello apart
	served   chan error     // what Serve returns, where a test waits for it
}

type peerFrame struct {
	frameHeader
	payload []byte
	file    *os.File
}

// lendSockets is what the process does: it passes descriptors 3 and 4 on and
// waits for its end.
func lendSockets(path string) int {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err == nil {
		_, _, err = conn.WriteMsgUnix([]byte("x"), syscall.UnixRights(3, 4), nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = syscall.Close(3) // the test has them now
	_ = syscall.Close(4)
	var order [1]byte
	_, _ = conn.Read(order[:]) // the end of the test, or the code to exit with
	return int(order[0])
}

// startPeer starts a Worker whose other side is the test.
func startPeer(t testing.TB, change ...func(*Options)) *peer {
	t.Helper()
	p, started := offerPeer(t, change...)
	p.hello(t)
	go p.read(p.data, p.requests)
	p.ready(t, started)
	return p
}

// ready says that the application is loaded, and waits for Start.
func (p *peer) ready(t testing.TB, started <-chan error) {
	t.Helper()
	p.send(p.control, frameHeader{kind: frameReady}, "CPython\x003.11.7\x00/python\x00/prefix\x00gil")
	if err := receive(t, "Start", started); err != nil {
		t.Fatal(err)
	}
}

// offerPeer calls Start and returns once the sockets are there. The channel
// receives what Start returns.
func offerPeer(t testing.TB, change ...func(*Options)) (*peer, <-chan error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer") // the name of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv(roleVariable, rolePeer)
	t.Setenv(socketVariable, path)
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, record: new(record), requests: make(chan peerFrame, 1000), orders: make(chan peerFrame, 1000)}
	opts := Options{
		Python:      executable,
		Application: Application{EntryPoint: "app", Directory: dir},
		Output:      p.record.output,
		Logger:      p.record.logger(),
	}
	for _, f := range change {
		f(&opts)
	}
	started := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		w, err := Start(ctx, opts)
		p.worker = w
		started <- err
	}()
	_ = l.SetDeadline(time.Now().Add(time.Minute))
	relay, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err, p.record.printed())
	}
	oob := make([]byte, unix.CmsgSpace(8))
	var first [1]byte
	_, n, _, _, err := relay.ReadMsgUnix(first[:], oob)
	if err != nil {
		t.Fatal(err)
	}
	files := filesOf(t, oob[:n])
	p.relay = relay
	p.control, p.data = connOf(t, files[0]), connOf(t, files[1])
	go func() { // a process that has ended has no sockets
		_, _ = relay.Read(first[:])
		closeAll(p.control, p.data)
	}()
	t.Cleanup(func() {
		closeAll(relay) // the process ends
		receive(t, "Start returns", returned)
		if p.worker != nil {
			p.worker.Kill()
			<-p.worker.Done()
		}
		cancel()
	})
	return p, started
}

func filesOf(t testing.TB, oob []byte) (files []*os.File) {
	t.Helper()
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files
}

func connOf(t testing.TB, f *os.File) *net.UnixConn {
	t.Helper()
	conn, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	closeAll(f)
	return conn.(*net.UnixConn)
}

// hello reads the program that the server process sends first, and then
// whatever comes on the control socket.
func (p *peer) hello(t testing.TB) []byte {
	t.Helper()
	digits := make([]byte, 10)
	readFull(t, p.control, digits)
	var size int
	if _, err := fmt.Sscanf(string(digits), "%d", &size); err != nil {
		t.Fatalf("length of the program: %q", digits)
	}
	program := make([]byte, size)
	readFull(t, p.control, program)
	go p.read(p.control, p.orders)
	return program
}

func readFull(t testing.TB, conn *net.UnixConn, buf []byte) {
	t.Helper()
	for n := 0; n < len(buf); {
		m, err := conn.Read(buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
}

// read passes on what comes from the server process until the socket ends.
func (p *peer) read(conn *net.UnixConn, to chan<- peerFrame) {
	defer close(to)
	var files []*os.File
	var buf []byte
	chunk, oob := make([]byte, 1<<20), make([]byte, unix.CmsgSpace(4*16))
	for {
		n, oobn, _, _, err := conn.ReadMsgUnix(chunk, oob)
		if err != nil || n == 0 {
			return
		}
		files = append(files, filesOf(p.t, oob[:oobn])...)
		buf = append(buf, chunk[:n]...)
		for {
			// A request may be larger than what readFrame allows an answer to be.
			if len(buf) < frameHeaderSize {
				break
			}
			header := append([]byte(nil), buf[:frameHeaderSize]...)
			size := int(uint32(header[0]) | uint32(header[1])<<8 | uint32(header[2])<<16 | uint32(header[3])<<24)
			if len(buf) < frameHeaderSize+size {
				break
			}
			h, _, _, err := readFrame(buf)
			if err != nil {
				p.t.Errorf("the server process sent %x: %v", header, err)
				return
			}
			f := peerFrame{frameHeader: h, payload: append([]byte(nil), buf[frameHeaderSize:frameHeaderSize+size]...)}
			if h.flags&flagDescriptor != 0 {
				f.file, files = files[0], files[1:]
			}
			to <- f
			buf = buf[frameHeaderSize+size:]
		}
	}
}

// exit makes the process end by itself, with this code.
func (p *peer) exit(code byte) {
	_, _ = p.relay.Write([]byte{code}) // or it has been killed
}

// send sends a frame. It may find the socket closed: the test then sees what
// came of it.
func (p *peer) send(conn *net.UnixConn, h frameHeader, payload string) {
	h.length = len(payload)
	_, _ = conn.Write(append(appendFrameHeader(nil, h), payload...))
}

// respond sends the beginning of an answer.
func (p *peer) respond(id uint32, flags uint8, head, body string) {
	p.send(p.data, frameHeader{request: id, kind: frameResponse, flags: flags, head: len(head)}, head+body)
}

func (p *peer) body(id uint32, flags uint8, body string) {
	p.send(p.data, frameHeader{request: id, kind: frameBody, flags: flags}, body)
}

// sendFile sends a file frame with a descriptor attached.
func (p *peer) sendFile(id uint32, flags uint8, f *os.File, position, length int64) {
	payload := make([]byte, 0, 16)
	for _, v := range []int64{position, length} {
		for shift := 0; shift < 64; shift += 8 {
			payload = append(payload, byte(v>>shift))
		}
	}
	frame := append(appendFrameHeader(nil, frameHeader{length: 16, request: id, kind: frameFile, flags: flags | flagDescriptor}), payload...)
	_, _, _ = p.data.WriteMsgUnix(frame, syscall.UnixRights(int(f.Fd())), nil)
}

// request waits for the next request.
func (p *peer) request() peerFrame {
	p.t.Helper()
	f := receive(p.t, "a frame from the server process", p.requests)
	if f.kind != frameRequest {
		p.t.Fatalf("got a frame of kind %d, want a request", f.kind)
	}
	return f
}

// ok answers a request in one frame.
func (p *peer) ok(id uint32, body string) {
	p.respond(id, flagEnd|flagLast, "200 OK\nContent-Length\n"+strconv.Itoa(len(body)), body)
}
