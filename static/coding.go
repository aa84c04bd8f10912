package static

import "github.com/valyala/fasthttp"

// coding is a content coding (RFC 9110 section 8.4.1). Their order is that of the
// server's preference: the smaller the forms a coding makes, the earlier.
type coding uint8

const (
	codingBrotli coding = iota
	codingZstd
	codingGzip
	codingIdentity // no coding
	codings        = 4
)

// codingNames are the words of Accept-Encoding and Content-Encoding.
var codingNames = [codings][]byte{[]byte("br"), []byte("zstd"), []byte("gzip"), []byte("identity")}

// siblingSuffixes are the name endings of precompressed siblings.
var siblingSuffixes = [codings]string{".br", ".zst", ".gz", ""}

func (c coding) String() string { return string(codingNames[c]) }

// weights says how welcome each coding is to a client, in thousandths; 0 refuses it.
type weights [codings]int16

// onlyIdentity is what a client wants that sends no Accept-Encoding. RFC 9110 would
// allow any coding then, but who does not ask may not be able to decode.
var onlyIdentity = weights{codingIdentity: 1000}

// acceptedCodings reads the Accept-Encoding fields of a request (RFC 9110 section
// 12.5.3). identity is welcome least of all, but not refused, unless it is named,
// or "*" is refused. An element that cannot be read counts for nothing.
func acceptedCodings(h *fasthttp.RequestHeader) weights {
	if h.Peek("Accept-Encoding") == nil {
		return onlyIdentity
	}
	return parseAcceptEncoding(h.PeekAll("Accept-Encoding")...)
}

func parseAcceptEncoding(values ...[]byte) weights {
	const unset = -1
	w := weights{unset, unset, unset, unset}
	star := int16(unset)
	for _, rest := range values {
		for more := true; more; {
			var element []byte
			element, rest, more = cutComma(rest)
			name, q, ok := parseWeighted(element)
			switch {
			case !ok:
			case len(name) == 1 && name[0] == '*':
				star = q
			case equalFold(name, "gzip"), equalFold(name, "x-gzip"):
				w[codingGzip] = q
			case equalFold(name, "br"):
				w[codingBrotli] = q
			case equalFold(name, "zstd"):
				w[codingZstd] = q
			case equalFold(name, "identity"):
				w[codingIdentity] = q
			}
		}
	}
	for c := range w {
		switch {
		case w[c] != unset:
		case coding(c) == codingIdentity && star != 0:
			w[c] = 1 // acceptable though not named: the last resort
		case star != unset:
			w[c] = star
		default:
			w[c] = 0
		}
	}
	return w
}

// parseWeighted reads `name` or `name;q=0.5` (RFC 9110 section 12.4.2). The weight is
// in thousandths.
func parseWeighted(element []byte) (name []byte, q int16, ok bool) {
	element = trimOWS(element)
	name, q = element, 1000
	for i, c := range element {
		if c != ';' {
			continue
		}
		name = trimOWS(element[:i])
		param := trimOWS(element[i+1:])
		if len(param) < 3 || param[0]|0x20 != 'q' || param[1] != '=' {
			return nil, 0, false
		}
		if q, ok = parseQValue(param[2:]); !ok {
			return nil, 0, false
		}
		break
	}
	return name, q, len(name) > 0
}

// parseQValue reads a weight of 0 to 1 with up to three decimals.
func parseQValue(b []byte) (int16, bool) {
	if len(b) == 0 || len(b) > 5 || b[0] < '0' || b[0] > '1' || (len(b) > 1 && b[1] != '.') {
		return 0, false
	}
	q, scale := int16(b[0]-'0')*1000, int16(100)
	for _, c := range b[min(2, len(b)):] {
		if c < '0' || c > '9' {
			return 0, false
		}
		q += int16(c-'0') * scale
		scale /= 10
	}
	return q, q <= 1000
}
