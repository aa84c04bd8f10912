package pybridge

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is the operating system's side of a worker process.
type process struct {
	cmd    *exec.Cmd
	pid    int
	ended  chan struct{} // closed when it has been waited for
	output sync.WaitGroup
	pipes  []*os.File // our ends of its standard output and error
}

// spawn starts the interpreter with the worker program. Descriptor 3 of the
// new process is its end of the control socket, descriptor 4 of the data socket.
func spawn(opts Options) (p *process, control, data *net.UnixConn, err error) {
	var ours []*net.UnixConn
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			closeFile(f)
		}
		if err == nil {
			return
		}
		for _, conn := range ours {
			conn.Close()
		}
		if p != nil {
			p.closeOutput()
		}
	}()
	control, theirControl, err := socketPair("control")
	if err != nil {
		return nil, nil, nil, err
	}
	ours, theirs = append(ours, control), append(theirs, theirControl)
	data, theirData, err := socketPair("data")
	if err != nil {
		return nil, nil, nil, err
	}
	ours, theirs = append(ours, data), append(theirs, theirData)

	// The last word is for people who read the output of ps.
	cmd := exec.Command(opts.Python, "-c", bootCommand, "overlay worker: "+opts.Application.EntryPoint)
	cmd.ExtraFiles = []*os.File{theirControl, theirData}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// Ctrl-C in the terminal is for the server process, which stops the
		// workers when they have finished what they hold.
		Setpgid: true,
		// Should the server process be killed, no worker outlives it.
		Pdeathsig: syscall.SIGKILL,
	}
	p = &process{cmd: cmd, ended: make(chan struct{})}
	for _, target := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		reader, writer, err := os.Pipe()
		if err != nil {
			return p, nil, nil, err
		}
		p.pipes = append(p.pipes, reader)
		theirs = append(theirs, writer)
		*target = writer
	}
	if err := p.start(); err != nil {
		return p, nil, nil, err
	}
	for i, stream := range []string{"stdout", "stderr"} {
		p.output.Add(1)
		go p.readLines(p.pipes[i], stream, opts.Output)
	}
	if _, err := control.Write(hello(opts.settings())); err != nil {
		// It has ended already; who waits for its ready message sees why.
		opts.Logger.Debug("worker process took no program", "worker", p.pid, "error", err)
	}
	return p, control, data, nil
}

// start starts the process from a thread that stays until it ends: Linux sends
// Pdeathsig when the thread that started a process ends, not the process.
func (p *process) start() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		if err == nil {
			p.pid = p.cmd.Process.Pid
		}
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // state tells how it ended
			close(p.ended)
		}
	}()
	return <-started
}

// socketPair returns our end, served by the runtime's poller, and theirs.
func socketPair(name string) (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	conn, err := net.FileConn(ours)
	closeFile(ours)
	if err != nil {
		closeFile(theirs)
		return nil, nil, fmt.Errorf("%s socket: %w", name, err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

// maxLine bounds a line of output; a longer one is passed on in pieces.
const maxLine = 64 << 10

// readLines passes on each line of one output stream.
func (p *process) readLines(pipe *os.File, stream string, output func(int, string, []byte)) {
	defer p.output.Done()
	r := bufio.NewReaderSize(pipe, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 && output != nil {
			output(p.pid, stream, trimNewline(line))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func trimNewline(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	return line
}

// outputTimeout bounds how long the last lines of a process that has ended are
// read. They lie in the pipe already; only a child of it can keep that open.
const outputTimeout = 100 * time.Millisecond

// closeOutput waits until the last line has been passed on, and closes the
// pipes. A child of the worker process that still has them open is not waited
// for.
func (p *process) closeOutput() {
	finished := make(chan struct{})
	go func() {
		p.output.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(outputTimeout):
	}
	for _, f := range p.pipes {
		closeFile(f)
	}
}

func (p *process) kill() {
	select {
	case <-p.ended:
	default:
		// Its group, so that what it started ends as well.
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	}
}

// signalAbort sends SIGABRT, to the process alone.
func (p *process) signalAbort() {
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Signal(syscall.SIGABRT)
	}
}

// state describes how the process ended; "" while it lives.
func (p *process) state() string {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.String()
	default:
		return ""
	}
}

func (p *process) usage() (cpu time.Duration, memory int64, err error) { return ProcessUsage(p.pid) }

// ProcessUsage returns the CPU time, user and system, that a process has used since its
// start, and its resident bytes. It reads them from /proc (proc_pid_stat(5)): fields
// 14 and 15 are its time in clock ticks, field 24 its resident pages.
func ProcessUsage(pid int) (cpu time.Duration, memory int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	// The second field is the name, which may hold anything, in parentheses.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 22 {
		return 0, 0, fmt.Errorf("read /proc/%d/stat: got %d fields", pid, len(fields))
	}
	var numbers [3]int64
	for i, field := range []int{14, 15, 24} {
		if numbers[i], err = strconv.ParseInt(fields[field-3], 10, 64); err != nil {
			return 0, 0, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
		}
	}
	const ticks = 100 // USER_HZ, the same on every architecture that Go runs Linux on
	cpu = time.Duration(numbers[0]+numbers[1]) * time.Second / ticks
	return cpu, numbers[2] * int64(os.Getpagesize()), nil
}
