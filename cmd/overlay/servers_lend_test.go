package main

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLentListener: a listener that was handed on to another process is not blocking
// afterwards. The flag belongs to all who have the socket, and an Accept that comes
// too late for a connection would hang.
func TestLentListener(t *testing.T) {
	l, err := listen("127.0.0.1", 0, "--port")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := &overseer{}
	if err := o.lend(&site{http: l}); err != nil {
		t.Fatal(err)
	}
	defer closeQuietly(o.listeners[0])
	cmd := exec.Command("true")
	cmd.ExtraFiles = o.listeners
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	raw, err := l.(*drainingListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("flags of the socket are %#o (%v), want O_NONBLOCK among them", flags, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
