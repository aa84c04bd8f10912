package main

import (
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// lentFile returns another descriptor of l, for os/exec to hand on. It is not that of
// l.File, whose method Fd, which os/exec calls, makes the socket blocking: for every
// process that has it. One that is too late for a connection would then hang in accept
// until the next one comes, and could not be stopped before.
func lentFile(l *net.TCPListener) (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	if err := raw.Control(func(socket uintptr) { fd, dupErr = unix.FcntlInt(socket, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, os.NewSyscallError("fcntl", dupErr)
	}
	return os.NewFile(uintptr(fd), "listener"), nil
}

// lend makes the descriptors that every server process inherits.
func (o *overseer) lend(s *site) error {
	for _, l := range []struct {
		name     string
		listener net.Listener
	}{{"http", s.http}, {"https", s.https}} {
		if l.listener == nil {
			continue
		}
		file, err := lentFile(l.listener.(*drainingListener).TCPListener)
		if err != nil {
			return fmt.Errorf("share the listener for %s: %w", l.name, err)
		}
		o.listeners = append(o.listeners, file)
		o.names = strings.TrimSpace(o.names + " " + l.name)
	}
	return nil
}
