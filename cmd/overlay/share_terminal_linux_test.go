package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"overlay/certs"

	"golang.org/x/sys/unix"
)

// terminal returns the two ends of a terminal with so many columns: what is written
// to inner appears at outer.
func terminal(t *testing.T, columns uint16) (outer, inner *os.File) {
	t.Helper()
	outer, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = outer.Close() })
	fd := int(outer.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	inner, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return outer, inner
}

// Whoever sits at a terminal gets the address as a QR code, if it is wide enough.
func TestShareOnTerminal(t *testing.T) {
	for _, row := range []struct {
		columns uint16
		want    bool
	}{{80, true}, {33, true}, {32, false}} {
		outer, inner := terminal(t, row.columns)
		shown := make(chan string)
		go func() {
			var all strings.Builder
			for buf := make([]byte, 4096); ; {
				n, err := outer.Read(buf)
				all.Write(buf[:n])
				if err != nil || strings.Contains(all.String(), "that is all") {
					shown <- all.String()
					return
				}
			}
		}()
		s := &share{anchor: "ca.crt", days: 7, clients: []*certs.Issued{{Record: certs.Record{Name: "laptop"}}}}
		s.say(&lockedWriter{w: inner}, bannerInfo{HTTPS: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443}})
		fmt.Fprintln(inner, "that is all")
		if got := <-shown; strings.Contains(got, "█") != row.want {
			t.Errorf("%d columns: QR code %v, want %v:\n%s", row.columns, !row.want, row.want, got)
		}
		_ = inner.Close()
	}
}
