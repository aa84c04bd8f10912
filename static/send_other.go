//go:build !linux

package static

import (
	"errors"
	"syscall"
)

// canSendRaw tells that bodies are written through the connection here.
const canSendRaw = false

type sender struct{}

func (*sender) reset() {}

func (b *fileBody) sendfile(syscall.RawConn, []byte) (int64, error) {
	return 0, errors.ErrUnsupported
}

type vector struct{}

func (*vector) reset() {}

func (*vector) send(syscall.RawConn, []byte, []byte) (int64, error) {
	return 0, errors.ErrUnsupported
}

func maxOpenFiles() int64 { return 64 }
