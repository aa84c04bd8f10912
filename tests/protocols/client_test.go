package protocols

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// request is what is sent. The zero value of method is GET, that of host a name.
type request struct {
	method, target, host string
	fields               []string // "Name: value"
	body                 string
	unknown              bool // the length of the body is not said: chunked, in HTTP/1.1
	waits                bool // the body is sent when it is asked for ("100 Continue")
}

// response is what has come. Fields are lines in lower case, in order of their names.
type response struct {
	interim string // statuses of 1xx before it
	status  string // "closed" without one, "reset 1" for a stream that ends without one
	fields  []string
	body    string
	cut     bool // it ended too early
}

func (r response) String() string {
	body := r.body
	if len(body) > 200 {
		body = fmt.Sprintf("%.200s... of %d bytes", body, len(body))
	}
	return fmt.Sprintf("%s%s %q cut=%v %q", r.interim, r.status, r.fields, r.cut, body)
}

// patience bounds one exchange.
const patience = time.Minute

func dial(address string, protocol string) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil || protocol == "" {
		return c, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	secured := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{protocol}}) //nolint:gosec // whose certificate it is matters elsewhere
	return secured, secured.Handshake()
}

func (r *request) defaults() (method, host string) {
	method, host = r.method, r.host
	if method == "" {
		method = "GET"
	}
	if host == "" {
		host = "site.example"
	}
	return method, host
}

// http1 sends r as HTTP/1.1.
func (r *request) http1(c net.Conn) (response, error) {
	_ = c.SetDeadline(time.Now().Add(patience))
	method, host := r.defaults()
	head := method + " " + r.target + " HTTP/1.1\r\n"
	if host != "-" {
		head += "Host: " + host + "\r\n"
	}
	for _, f := range r.fields {
		head += f + "\r\n"
	}
	body := r.body
	switch {
	case r.unknown:
		head += "Transfer-Encoding: chunked\r\n"
		body = "0\r\n\r\n"
		if r.body != "" {
			body = fmt.Sprintf("%x\r\n%s\r\n", len(r.body), r.body) + body
		}
	case r.body != "" && !r.says("content-length"):
		head += fmt.Sprintf("Content-Length: %d\r\n", len(r.body))
	}
	head += "\r\n"
	if !r.waits {
		head, body = head+body, ""
	}
	go io.WriteString(c, head) //nolint:errcheck // a server may answer before it has read all
	in := bufio.NewReader(c)
	var got response
	for {
		answer, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			got.status = "closed"
			return got, nil
		}
		if answer.StatusCode < 200 {
			got.interim += fmt.Sprint(answer.StatusCode, " ")
			go io.WriteString(c, body) //nolint:errcheck // as above
			continue
		}
		text, err := io.ReadAll(answer.Body)
		got.status, got.body, got.cut = fmt.Sprint(answer.StatusCode), string(text), err != nil
		for name, values := range answer.Header {
			for _, value := range values {
				got.fields = append(got.fields, strings.ToLower(name)+": "+value)
			}
		}
		got.sort()
		return got, nil
	}
}

func (r *request) says(name string) bool {
	return slices.ContainsFunc(r.fields, func(f string) bool { return strings.EqualFold(f[:max(strings.IndexByte(f, ':'), 0)], name) })
}

func (r *response) sort() {
	r.fields = slices.DeleteFunc(r.fields, func(f string) bool {
		name, _, _ := strings.Cut(f, ":")
		return slices.Contains([]string{"date", "connection", "keep-alive"}, name)
	})
	slices.SortStableFunc(r.fields, func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
}

// http2 sends r as HTTP/2.
func (r *request) http2(c net.Conn) (got response, err error) {
	_ = c.SetDeadline(time.Now().Add(patience))
	method, host := r.defaults()
	var out, block bytes.Buffer
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, c)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.AllowIllegalWrites = true
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	_ = framer.WriteWindowUpdate(0, 1<<30)
	encoder := hpack.NewEncoder(&block)
	pseudo := [][2]string{{":method", method}, {":scheme", "https"}, {":path", r.target}, {":authority", host}}
	if host == "-" {
		pseudo = pseudo[:3]
	}
	if method == "CONNECT" {
		pseudo = [][2]string{{":method", method}, {":authority", r.target}}
	}
	for _, f := range pseudo {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	for _, f := range r.fields {
		name, value, _ := strings.Cut(f, ":")
		_ = encoder.WriteField(hpack.HeaderField{Name: strings.ToLower(name), Value: strings.TrimLeft(value, " ")})
	}
	if r.body != "" && !r.unknown && !r.says("content-length") {
		_ = encoder.WriteField(hpack.HeaderField{Name: "content-length", Value: fmt.Sprint(len(r.body))})
	}
	ends := r.body == "" && !r.unknown
	first := block.Next(16 << 10)
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndStream: ends, EndHeaders: block.Len() == 0})
	for block.Len() > 0 {
		part := block.Next(16 << 10)
		_ = framer.WriteContinuation(1, block.Len() == 0, part)
	}
	body := func() {
		for rest := r.body; ; {
			n := min(len(rest), 16<<10)
			_ = framer.WriteData(1, n == len(rest), []byte(rest[:n]))
			if rest = rest[n:]; rest == "" {
				return
			}
		}
	}
	if !ends && !r.waits {
		body()
	}
	send := func() { go c.Write(bytes.Clone(out.Bytes())) } //nolint:errcheck // as for HTTP/1.1
	send()
	for {
		frame, err := framer.ReadFrame()
		var malformed http2.StreamError
		switch {
		case errors.As(err, &malformed):
			return got, fmt.Errorf("the response is malformed: %w", err)
		case err != nil:
			if got.status == "" {
				got.status = "closed"
			}
			got.cut = true
			return got, nil
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			status := frame.PseudoValue("status")
			if status[0] == '1' {
				got.interim += status + " "
				out.Reset()
				body()
				send()
				continue
			}
			got.status = status
			for _, f := range frame.RegularFields() {
				got.fields = append(got.fields, f.Name+": "+f.Value)
			}
			got.sort()
			if frame.StreamEnded() {
				return got, nil
			}
		case *http2.DataFrame:
			if got.body += string(frame.Data()); frame.StreamEnded() {
				return got, nil
			}
		case *http2.RSTStreamFrame:
			if got.status == "" {
				got.status = fmt.Sprint("reset ", uint32(frame.ErrCode))
			}
			got.cut = true
			return got, nil
		case *http2.GoAwayFrame:
			if frame.ErrCode != http2.ErrCodeNo {
				got.status, got.cut = fmt.Sprint("goaway ", uint32(frame.ErrCode)), true
				return got, nil
			}
		}
	}
}
