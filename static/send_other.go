//go:build !linux

package static

import (
	"bufio"
	"net"

	"github.com/valyala/fasthttp"
)

// sender is empty where there is no sendfile of our own.
type sender struct{}

func (*sender) reset() {}

func (b *fileBody) sendfile(w *bufio.Writer, _ *net.TCPConn, _ *fasthttp.Response) (int64, error) {
	return b.copy(w)
}

func maxOpenFiles() int64 { return 64 }
