package main

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// inputQueue returns how many bytes have arrived on c and are unread.
func inputQueue(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	var err error
	control(c, func(fd int) { n, err = unix.IoctlGetInt(fd, unix.SIOCINQ) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}
