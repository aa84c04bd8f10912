package static

import (
	"io"
	"math/rand/v2"
	"strconv"

	"github.com/valyala/fasthttp"
)

// multipart makes ranges of the form f the body, as multipart/byteranges (RFC 9110
// section 15.3.7.2), and returns the boundary between them.
func (h *Handler) multipart(ctx *fasthttp.RequestCtx, e *entry, f *form, ranges []byteRange) (boundary string, err error) {
	m := &multipartBody{size: f.size, ranges: ranges, contentType: e.contentType, version: f.version}
	m.boundary = strconv.AppendUint(strconv.AppendUint(nil, rand.Uint64(), 36), rand.Uint64(), 36)
	if f.encoded || f.size <= memoryLimit {
		b, err := h.bytes(e, f)
		if err != nil {
			return "", err
		}
		m.bytes = b
	} else {
		file, err := h.open(e, f)
		if err != nil {
			return "", err
		}
		m.file = file
	}
	length := int64(0)
	for i := range ranges {
		length += int64(len(m.head(i))) + ranges[i].length
	}
	length += int64(len(m.end()))
	ctx.Response.SetBodyStream(m, int(length))
	return string(m.boundary), nil
}

// multipartBody is the body of a response with several ranges.
type multipartBody struct {
	bytes       []byte // the representation, when it is in memory
	file        *file  // else; released by Close
	version     version
	size        int64
	ranges      []byteRange
	contentType []byte
	boundary    []byte
	sent        *int64
}

// CountInto has the bytes that are sent added to n, for the access log.
func (m *multipartBody) CountInto(n *int64) { m.sent = n }

// head returns what stands before the i-th range.
func (m *multipartBody) head(i int) []byte {
	b := make([]byte, 0, 192)
	if i > 0 {
		b = append(b, "\r\n"...)
	}
	b = append(append(append(b, "--"...), m.boundary...), "\r\nContent-Type: "...)
	b = append(append(b, m.contentType...), "\r\nContent-Range: "...)
	return append(m.ranges[i].appendContentRange(b, m.size), "\r\n\r\n"...)
}

func (m *multipartBody) end() []byte {
	return append(append([]byte("\r\n--"), m.boundary...), "--\r\n"...)
}

// WriteTo writes all parts. The end is held back until the file was seen unchanged.
func (m *multipartBody) WriteTo(w io.Writer) (sent int64, errPut error) {
	put := func(b []byte) bool {
		n, err := w.Write(b)
		sent += int64(n)
		if m.sent != nil {
			*m.sent += int64(n)
		}
		errPut = err
		return err == nil
	}
	var buf []byte
	for i, r := range m.ranges {
		if !put(m.head(i)) {
			return sent, errPut
		}
		if m.bytes != nil {
			if !put(m.bytes[r.start : r.start+r.length]) {
				return sent, errPut
			}
			continue
		}
		if buf == nil {
			buf = make([]byte, 64<<10)
		}
		for r.length > 0 {
			n, err := m.file.readAt(buf[:min(r.length, int64(len(buf)))], r.start)
			if err != nil {
				return sent, err
			}
			if n == 0 {
				return sent, errChanged
			}
			if !put(buf[:n]) {
				return sent, errPut
			}
			r.start, r.length = r.start+int64(n), r.length-int64(n)
		}
	}
	if m.file != nil {
		if err := unchanged(m.file, m.version); err != nil {
			return sent, err
		}
	}
	put(m.end())
	return sent, errPut
}

// Read is not used: fasthttp prefers WriteTo.
func (m *multipartBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Close is called by fasthttp when the response is written or given up.
func (m *multipartBody) Close() error {
	if m.file != nil {
		m.file.release()
		m.file = nil
	}
	return nil
}
