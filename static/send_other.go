//go:build !linux

package static

import (
	"bufio"
	"net"
)

// sender is empty where there is no sendfile of our own.
type sender struct{}

func (b *fileBody) sendfile(w *bufio.Writer, _ *net.TCPConn) (int64, error) { return b.copy(w) }

func maxOpenFiles() int64 { return 64 }
