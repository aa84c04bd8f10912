package http2

import (
	"slices"
	"strconv"

	"golang.org/x/net/http2/hpack"
)

// encoderTable is the size of the table of fields that the client is made to remember, as
// RFC 7541 section 4.1 counts; decoderTable that of the one that it may use.
const (
	encoderTable = 4096
	decoderTable = 4096 // SETTINGS_HEADER_TABLE_SIZE keeps its initial value
)

// encoder writes the fields of responses (RFC 7541). hpack.Encoder would do it as well:
// this one takes bytes, allocates for fields that it has not seen alone, and leaves out of
// the table what differs from response to response.
type encoder struct {
	entries   []tableEntry // the newest last
	size, max int
	changed   bool // the client has to be told of max
	lowest    int  // that max has been since the client was told
}

type tableEntry struct{ name, value string }

func (e *tableEntry) size() int { return len(e.name) + len(e.value) + 32 }

func (e *encoder) init() { e.max, e.lowest = encoderTable, encoderTable }

// limit is what SETTINGS_HEADER_TABLE_SIZE allows.
func (e *encoder) limit(n uint32) {
	limit := int(min(n, encoderTable))
	if limit == e.max {
		return
	}
	e.max, e.changed = limit, true
	e.lowest = min(e.lowest, limit)
	e.evict(0)
}

// evict makes room for n more bytes.
func (e *encoder) evict(n int) {
	gone := 0
	for ; gone < len(e.entries) && e.size+n > e.max; gone++ {
		e.size -= e.entries[gone].size()
	}
	e.entries = slices.Delete(e.entries, 0, gone)
}

// begin begins the fields of a response with its status.
func (e *encoder) begin(b []byte, status int) []byte {
	if e.changed { // RFC 7541 section 4.2
		if e.lowest < e.max {
			// Two changes in a row: some decoders take the second for misplaced unless
			// their table is empty.
			e.entries, e.size = e.entries[:0], 0
			b = appendInteger(b, 0x20, 5, 0)
		}
		b = appendInteger(b, 0x20, 5, e.max)
		e.changed, e.lowest = false, encoderTable
	}
	if i := slices.Index(staticStatuses[:], status); i >= 0 {
		return append(b, 0x80|byte(firstStatus+i))
	}
	b = append(b, firstStatus, 3) // the name of the first, and a value of three bytes
	return strconv.AppendInt(b, int64(status), 10)
}

// field adds one field, whose name is in lower case.
func (e *encoder) field(b []byte, name string, value []byte) []byte {
	known := staticNames[name]
	if known.changes || len(value) > encoderTable/4 {
		return appendString(appendName(b, 0, 4, known.index, name), value)
	}
	for i := len(e.entries) - 1; i >= 0; i-- {
		if entry := &e.entries[i]; entry.name == name && entry.value == string(value) {
			return appendInteger(b, 0x80, 7, staticEntries+len(e.entries)-i)
		}
	}
	entry := tableEntry{name, string(value)}
	if entry.size() > e.max {
		return appendString(appendName(b, 0, 4, known.index, name), value)
	}
	b = appendName(b, 0x40, 6, known.index, name)
	b = appendInteger(b, 0x80, 7, int(hpack.HuffmanEncodeLength(entry.value)))
	b = hpack.AppendHuffmanString(b, entry.value)
	e.evict(entry.size())
	e.entries = append(e.entries, entry)
	e.size += entry.size()
	return b
}

// appendName adds the start of a literal field: the index of its name, or the name.
func appendName(b []byte, pattern byte, prefix, index int, name string) []byte {
	b = appendInteger(b, pattern, prefix, index)
	if index == 0 {
		b = append(appendInteger(b, 0, 7, len(name)), name...)
	}
	return b
}

// appendString adds a string as it is: that it is seen once is not worth a code.
func appendString(b, s []byte) []byte { return append(appendInteger(b, 0, 7, len(s)), s...) }

// appendInteger adds n, whose first bits share a byte with pattern (RFC 7541 section 5.1).
func appendInteger(b []byte, pattern byte, prefix, n int) []byte {
	full := 1<<prefix - 1
	if n < full {
		return append(b, pattern|byte(n))
	}
	b = append(b, pattern|byte(full))
	for n -= full; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// staticStatuses are those of the static table, in its order, from firstStatus on.
var staticStatuses = [...]int{200, 204, 206, 304, 400, 404, 500}

const firstStatus = 8

// staticEntries is the length of the static table (RFC 7541 appendix A).
const staticEntries = 61

// staticName is what is known of a name: its first place in the static table, 0 for none,
// and whether its values are likely to be others the next time.
type staticName struct {
	index   int
	changes bool
}

// staticNames are the names of fields that responses have. Nothing changes it.
var staticNames = map[string]staticName{
	"accept-ranges": {18, false}, "access-control-allow-origin": {20, false}, "age": {21, true}, "allow": {22, false},
	"cache-control": {24, false}, "content-disposition": {25, true}, "content-encoding": {26, false}, "content-language": {27, false},
	"content-length": {28, true}, "content-location": {29, true}, "content-range": {30, true}, "content-type": {31, false},
	"date": {33, true}, "etag": {34, true}, "expires": {36, true}, "last-modified": {44, true}, "link": {45, false}, "location": {46, true},
	"retry-after": {53, true}, "server": {54, false}, "set-cookie": {55, true}, "strict-transport-security": {56, false},
	"vary": {59, false}, "via": {60, false}, "www-authenticate": {61, false},
}
