package pybridge

import (
	"bytes"
	"encoding/binary"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// Request is what a worker process needs to know of a request beyond what the
// fasthttp context says.
type Request struct {
	// Path is the decoded path of the URL. It begins with MountPoint.
	Path []byte
	// MountPoint becomes SCRIPT_NAME: "" for an application at the root.
	MountPoint string
	// Body is the request's body when File is nil. It is copied.
	Body []byte
	// File holds the body otherwise, from its beginning; BodySize bytes of it.
	// It stays the caller's and may be closed when Serve returns.
	File     *os.File
	BodySize int64
	// Input is the body instead, if the application is to read it as it arrives. BodySize
	// is its length, if HasBody says that it is known. Serve sets File.
	Input Input
	// HasBody says that the request has a body, empty or not, so that
	// CONTENT_LENGTH belongs in the environ.
	HasBody bool
	// VariableNames and VariableValues are environ variables of the server's own
	// making, such as those about TLS: as many values as names, NUL between them,
	// none within. They win over all others. Nil means that there are none; names
	// of more than 16 KiB in all are left out.
	VariableNames, VariableValues []byte
	// Queued is when the request, with its body, began to wait for a free
	// thread: overlay.queue_start in the environ. The zero value becomes 0.0.
	Queued time.Time
}

// requestTimes is how many bytes of a request's payload are its times.
const requestTimes = 16

// appendTime appends t as seconds since the epoch, the zero value as 0.
func appendTime(dst []byte, t time.Time) []byte {
	seconds := 0.0
	if !t.IsZero() {
		seconds = float64(t.UnixMicro()) / 1e6
	}
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(seconds))
}

// maxVariableNames keeps the names of a frame, with those of the fields, within
// the 64 KiB that its header can tell.
const maxVariableNames = 16 << 10

// verbatim stands in front of the first of VariableNames: from there on a name is
// the environ key itself. No field has it in its name, so no client can say it.
const verbatim = '='

// appendRequest appends the frame of a request. The values are those of PEP
// 3333, environ Variables, in the order of wsgi.py's Requests.FIXED; then come
// those of the fields, whose names stand in front. Values are separated by
// NUL, which hygiene has kept out of all of them. fields is scratch space.
func appendRequest(dst []byte, id uint32, ctx *fasthttp.RequestCtx, r *Request, fields *fieldList) []byte {
	start := len(dst)
	flags := uint8(0)
	if r.File != nil {
		flags |= flagDescriptor
	}
	if ctx.IsHead() {
		flags |= flagHead
	}
	dst = appendFrameHeader(dst, frameHeader{request: id, kind: frameRequest, flags: flags})
	dst = appendTime(appendTime(dst, ctx.Time()), r.Queued)
	names := len(dst)
	fields.collect(ctx.Request.Header.RawHeaders(), ctx.Request.Header.Host())
	dst = fields.appendNames(dst)
	if r.HasBody {
		if len(dst) > names {
			dst = append(dst, 0)
		}
		dst = append(dst, "Content-Length"...)
	}
	variables := len(r.VariableNames) > 0 && len(r.VariableNames) <= maxVariableNames
	if variables {
		if len(dst) > names {
			dst = append(dst, 0)
		}
		dst = append(append(dst, verbatim), r.VariableNames...)
	}
	values := len(dst)

	header := &ctx.Request.Header
	target := header.RequestURI()
	_, query, _ := bytes.Cut(target, []byte{'?'})
	dst = append(append(dst, header.Method()...), 0)
	dst = append(append(dst, r.MountPoint...), 0)
	dst = append(append(dst, r.Path[min(len(r.MountPoint), len(r.Path)):]...), 0)
	dst = append(append(dst, query...), 0)
	dst = append(append(dst, target...), 0)
	dst = append(append(dst, header.Protocol()...), 0)
	dst = appendServer(dst, ctx)
	dst = append(dst, 0)
	dst = appendClient(dst, ctx)
	dst = append(dst, 0)
	scheme := "http"
	if ctx.IsTLS() {
		scheme = "https"
	}
	dst = append(append(dst, scheme...), 0)
	dst = append(dst, scheme...)
	dst = fields.appendValues(dst)
	if r.HasBody {
		dst = append(dst, 0)
		size := int64(len(r.Body))
		if r.File != nil {
			size = r.BodySize
		}
		dst = strconv.AppendInt(dst, size, 10)
	}
	if variables {
		dst = append(append(dst, 0), r.VariableValues...)
	}
	body := len(dst)
	dst = append(dst, r.Body...)
	setFrameLengths(dst, start, values-names, body-values)
	return dst
}

// appendServer appends SERVER_NAME and SERVER_PORT: the name that the client
// used, as Apache does it, and the port it came in on. Without a Host field
// (HTTP/1.0) the address it came in on is the name.
func appendServer(dst []byte, ctx *fasthttp.RequestCtx) []byte {
	addr, _ := ctx.LocalAddr().(*net.TCPAddr)
	name := ctx.Request.Header.Host()
	if i := bytes.LastIndexByte(name, ':'); i >= 0 && bytes.IndexByte(name[i:], ']') < 0 {
		name = name[:i]
	}
	if len(name) > 0 {
		dst = append(dst, name...)
	} else {
		dst = appendIP(dst, addr)
	}
	dst = append(dst, 0)
	if addr == nil {
		return append(dst, "80"...) // a Unix socket; PEP 3333 wants a port all the same
	}
	return strconv.AppendInt(dst, int64(addr.Port), 10)
}

func appendClient(dst []byte, ctx *fasthttp.RequestCtx) []byte {
	addr, _ := ctx.RemoteAddr().(*net.TCPAddr)
	dst = appendIP(dst, addr)
	dst = append(dst, 0)
	if addr == nil {
		return append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(addr.Port), 10)
}

func appendIP(dst []byte, addr *net.TCPAddr) []byte {
	if addr == nil {
		return append(dst, "127.0.0.1"...)
	}
	ip, ok := netip.AddrFromSlice(addr.IP)
	if !ok {
		return append(dst, "0.0.0.0"...)
	}
	return ip.Unmap().AppendTo(dst)
}
