package http2

import (
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// maxBlock is how many bytes the fields of a request may take as they are sent. Beyond it
// they are not even looked at: the connection ends (CVE-2024-27316 and others, where
// CONTINUATION never ends).
const maxBlock = 64 << 10

// Field is one field of a request.
type Field = hpack.HeaderField

// Request is the head of a request. Its strings stay; Fields is valid as long as the
// handler runs.
type Request struct {
	Method, Scheme, Authority, Path string
	Fields                          []Field
	ContentLength                   int64 // -1 if the client has not said
	HasBody                         bool
	expects                         bool // 100-continue
}

// headerBlock is the block of fields that is being received (RFC 9113 section 4.3).
type headerBlock struct {
	c        *Conn
	stream   uint32   // 0 when no more of a block is to come
	purpose  purpose  // what the fields are for
	end      bool     // END_STREAM was set
	bad      bool     // the stream is malformed (RFC 9113 section 8.1.1)
	tooLarge bool     // beyond MaxHeaderBytes
	regular  bool     // a field that is no pseudo-field has come
	named    bool     // :authority has, which may be empty
	received int      // bytes of the block
	size     int      // of the fields
	request  *Request // where they go, if they are for a request
}

type purpose uint8

const (
	forRequest purpose = iota
	forTrailers
	forNothing // of a stream that is over: they are decoded all the same
)

func (b *headerBlock) init(c *Conn) {
	b.c = c
	c.decoder.SetMaxStringLength(maxBlock)
}

// onHeaders begins a block, which may be complete (RFC 9113 section 6.2).
func (c *Conn) onHeaders(f *frame, nested *Stream) error {
	if f.stream%2 == 0 {
		return connError{codeProtocol, "HEADERS on a stream that a client cannot open"}
	}
	if err := f.unpad(); err != nil {
		return err
	}
	b := &c.block
	*b = headerBlock{c: c, stream: f.stream, end: f.has(flagEndStream)}
	if f.has(flagPriority) {
		if len(f.payload) < 5 {
			return connError{codeFrameSize, "HEADERS has no room for its priority"}
		}
		b.bad = dependsOnItself(f.stream, f.payload)
		f.payload = f.payload[5:]
	}
	if err := c.classify(f.stream); err != nil {
		return err
	}
	return c.onFragment(f, nested)
}

// classify finds out what the block is for.
func (c *Conn) classify(stream uint32) error {
	b := &c.block
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams[stream]
	switch {
	case st != nil && st.receivedAll:
		b.purpose = forNothing
		b.bad = true
	case st != nil:
		b.purpose = forTrailers
	case c.away && stream > c.lastID, stream <= c.lastID && c.wasReset(stream):
		b.purpose = forNothing
	case stream <= c.lastID:
		return connError{codeStreamClosed, "HEADERS on a stream that is over"}
	default:
		c.lastID = stream
		if c.spare == nil {
			c.spare = newStream(c)
		}
		b.request = &c.spare.Request
		*b.request = Request{Fields: b.request.Fields[:0], ContentLength: -1}
	}
	return nil
}

// onContinuation goes on with a block (RFC 9113 section 6.10).
func (c *Conn) onContinuation(f *frame, nested *Stream) error {
	if c.block.stream == 0 {
		return connError{codeProtocol, "CONTINUATION of nothing"}
	}
	if err := c.spend(1); err != nil {
		return err
	}
	return c.onFragment(f, nested)
}

func (c *Conn) onFragment(f *frame, nested *Stream) error {
	b := &c.block
	if b.received += len(f.payload); b.received > maxBlock {
		return connError{codeEnhanceYourCalm, "a head is beyond every bound"}
	}
	if _, err := c.decoder.Write(f.payload); err != nil {
		return connError{codeCompression, "the fields of a request cannot be decoded"}
	}
	if !f.has(flagEndHeaders) {
		if c.headSince == 0 {
			c.mu.Lock()
			c.headSince = c.server.now()
			c.mu.Unlock()
		}
		return nil
	}
	b.stream = 0
	if c.headSince != 0 {
		c.mu.Lock()
		c.headSince = 0
		c.mu.Unlock()
	}
	if c.decoder.Close() != nil {
		return connError{codeCompression, "the fields of a request end within a field"}
	}
	c.decoder.SetEmitEnabled(true)
	return c.onBlock(f.stream, nested)
}

// onBlock acts on a complete block.
func (c *Conn) onBlock(stream uint32, nested *Stream) error {
	b := &c.block
	switch b.purpose {
	case forNothing:
		if b.bad {
			return streamError{stream, codeStreamClosed}
		}
		return c.spend(1) // it may not have heard yet; then it ends soon
	case forTrailers:
		c.mu.Lock()
		defer c.mu.Unlock()
		st := c.streams[stream]
		if st == nil || st.lost != nil {
			return nil
		}
		if b.bad || !b.end || !st.take(nil, true) {
			return streamError{stream, codeProtocol}
		}
		return nil
	}
	if b.bad || !b.tooLarge && !b.request.complete(b.end) {
		return streamError{stream, codeProtocol}
	}
	return c.begin(stream, nested)
}

// field takes one field. It is called by the decoder.
func (b *headerBlock) field(f hpack.HeaderField) {
	if b.size += int(f.Size()); b.size > b.c.server.opts.MaxHeaderBytes {
		b.tooLarge = true
		b.c.decoder.SetEmitEnabled(false) // it goes on with its table
		return
	}
	if b.bad || b.purpose == forNothing {
		return
	}
	if strings.HasPrefix(f.Name, ":") {
		b.bad = b.regular || b.purpose != forRequest || b.named && f.Name == ":authority" || !b.request.pseudo(f.Name, f.Value)
		b.named = b.named || f.Name == ":authority"
		return
	}
	b.regular = true
	if !validName(f.Name) || !validValue(f.Value) {
		b.bad = true
		return
	}
	if b.purpose == forRequest {
		b.bad = !b.request.regular(f)
	}
}

// pseudo takes a pseudo-field (RFC 9113 section 8.3.1). It reports whether it may stand there.
func (r *Request) pseudo(name, value string) bool {
	var target *string
	switch name {
	case ":method":
		target = &r.Method
	case ":scheme":
		target = &r.Scheme
	case ":authority":
		target = &r.Authority
	case ":path":
		target = &r.Path
	default:
		return false
	}
	if *target != "" || value == "" && name != ":authority" {
		return false
	}
	*target = value
	return true
}

// regular takes another field, and reports whether it may stand there (RFC 9113 section 8.2.2).
func (r *Request) regular(f Field) bool {
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return false
	case "te":
		if f.Value != "trailers" {
			return false
		}
	case "content-length":
		n, err := strconv.ParseUint(f.Value, 10, 63)
		if err != nil || r.ContentLength >= 0 { // said twice, as in HTTP/1.1
			return false
		}
		r.ContentLength = int64(n)
		return true
	case "expect":
		r.expects = r.expects || strings.EqualFold(f.Value, "100-continue")
	}
	r.Fields = append(r.Fields, f)
	return true
}

// complete reports whether nothing is missing (RFC 9113 section 8.3.1). end says that no
// body follows.
func (r *Request) complete(end bool) bool {
	r.HasBody = !end
	if end && r.ContentLength > 0 {
		return false
	}
	if r.Method == "CONNECT" {
		return r.Scheme == "" && r.Path == "" && r.Authority != "" // section 8.5
	}
	if r.Scheme != "http" && r.Scheme != "https" || r.Path == "" {
		return false
	}
	return r.Method != "" && (r.Path[0] == '/' || r.Path == "*" && r.Method == "OPTIONS")
}

// nameBytes are the bytes of names: those of tokens, but no upper case (RFC 9113 section 8.2.1).
var nameBytes = func() (valid [256]bool) {
	for c := '0'; c <= '9'; c++ {
		valid[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		valid[c] = true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		valid[c] = true
	}
	return valid
}()

func validName(s string) bool {
	for i := range len(s) {
		if !nameBytes[s[i]] {
			return false
		}
	}
	return s != ""
}

// validValue reports whether s has no byte that ends a line or a string elsewhere.
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '\r' || c == '\n' || c == 0 {
			return false
		}
	}
	return true
}
