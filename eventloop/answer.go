package eventloop

import (
	"bytes"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"
)

// Source says whether an answer still holds.
type Source interface {
	// Current reports whether the server would answer now as it did, and for how long it
	// need not be asked again. It is called from a loop, and may ask the file system, but must
	// not wait for a client.
	Current(now time.Time) (valid time.Duration, ok bool)
}

// dateLength is that of an HTTP date (RFC 9110 section 5.6.7).
const dateLength = len("Mon, 02 Jan 2006 15:04:05 GMT")

// answer is a response as it goes over the wire. It does not change.
type answer struct {
	key    string // lies in front of wire, so that who compares it has fetched that, too
	wire   []byte
	date   int // where the value of Date begins in wire
	status int
	body   int // where the body begins
	source Source
	valid  atomic.Int64 // until then, on the clock of the table, source need not be asked
	used   atomic.Bool  // since the clock hand passed
	slot   int          // place in the ring of its shard, guarded by the shard's mu
}

// newAnswer returns the answer that wire is to the request of key, nil if that cannot
// be kept. wire is copied.
func newAnswer(key string, wire []byte, source Source) *answer {
	if key == "" || len(wire) > MaxAnswer {
		return nil
	}
	date, ok := keepable(key[0], wire)
	if !ok {
		return nil
	}
	all := make([]byte, len(key)+len(wire))
	copy(all, key)
	copy(all[len(key):], wire)
	a := &answer{key: unsafe.String(&all[0], len(key)), wire: all[len(key):], date: date, source: source}
	a.status, _ = strconv.Atoi(string(wire[9:12])) // keepable has seen it
	a.body = bytes.Index(wire, []byte("\r\n\r\n")) + len("\r\n\r\n")
	return a
}

// keepable reports whether wire is one whole response, and nothing else, that another client
// may get as well, to the method of a key; date is where the value of its Date begins.
// The server decides what it wants to keep; this guards against the recorder having
// seen half of it, or something that leaves the connection in another state.
func keepable(method byte, wire []byte) (date int, ok bool) {
	fields, body, found := bytes.Cut(wire, []byte("\r\n\r\n"))
	if !found || !bytes.HasPrefix(wire, []byte("HTTP/1.1 ")) || len(fields) < len("HTTP/1.1 200") {
		return 0, false
	}
	bodiless := method == 'H'
	switch string(fields[9:12]) {
	case "200", "404":
	case "304":
		bodiless = true
	default:
		return 0, false
	}
	length := -1
	for rest := fields; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		line, _, _ := bytes.Cut(rest, []byte("\r\n"))
		name, value, found := bytes.Cut(line, []byte(": "))
		switch {
		case !found:
			return 0, false
		case equalFold(name, "date"):
			date = len(wire) - len(body) - len("\r\n\r\n") - len(rest) + len("Date: ")
			if len(value) != dateLength {
				return 0, false
			}
		case equalFold(name, "content-length"):
			n, err := strconv.Atoi(string(value))
			if err != nil || length >= 0 {
				return 0, false
			}
			length = n
		case equalFold(name, "connection"), equalFold(name, "transfer-encoding"), equalFold(name, "set-cookie"), equalFold(name, "upgrade"):
			return 0, false
		}
	}
	if bodiless {
		return date, date > 0 && len(body) == 0
	}
	return date, date > 0 && length == len(body)
}
