package main

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// rawBody writes its content to the descriptor of the connection, as static does
// with sendfile.
type rawBody struct {
	conn    net.Conn
	content []byte
}

func (b *rawBody) Read([]byte) (int, error) { return 0, errors.New("rawBody writes itself") }

func (b *rawBody) WriteTo(w io.Writer) (sent int64, err error) {
	if flusher, ok := w.(interface{ Flush() error }); ok {
		if err := flusher.Flush(); err != nil {
			return 0, err
		}
	}
	raw, err := b.conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	for sent < int64(len(b.content)) {
		var n int
		var writeErr error
		err := raw.Write(func(fd uintptr) bool {
			n, writeErr = syscall.Write(int(fd), b.content[sent:])
			return writeErr != syscall.EAGAIN
		})
		if err == nil {
			err = writeErr
		}
		if err != nil {
			return sent, err
		}
		sent += int64(n)
	}
	return sent, nil
}
