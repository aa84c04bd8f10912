package pybridge

import (
	"bufio"
	"bytes"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
)

// collected runs collect on raw and returns names and values as they are sent.
func collected(raw, host string) (names, values []string) {
	var l fieldList
	l.collect([]byte(raw), []byte(host))
	text := string(l.appendNames(nil))
	if text == "" {
		return nil, nil
	}
	// The first value has a NUL in front, like the others.
	return strings.Split(text, "\x00"), strings.Split(string(l.appendValues(nil)), "\x00")[1:]
}

func TestFields(t *testing.T) {
	tests := []struct {
		name string
		raw  string
		want string // name=value, joined by |
	}{
		{"none", "", ""},
		{"one", "Accept: text/html\r\n", "Accept=text/html"},
		{"without a last line end", "Accept: text/html", "Accept=text/html"},
		{"order is kept", "B: 1\r\nA: 2\r\nC: 3\r\n", "B=1|A=2|C=3"},
		{"white space around a value", "A: \t 1 2\t \r\n", "A=1 2"},
		{"empty values", "A:\r\nB: \r\n", "A=|B="},
		{"a colon in a value", "A: b:c\r\n", "A=b:c"},
		{"repeated", "A: 1\r\nB: x\r\nA: 2\r\nA: 3\r\n", "A=1, 2, 3|B=x"},
		{"repeated in another case", "aB: 1\r\nAb: 2\r\n", "aB=1, 2"},
		{"repeated, empty", "A:\r\nA:\r\n", "A=, "},
		{"cookies", "Cookie: a=1\r\nX: y\r\ncookie: b=2\r\nCOOKIE: c=3\r\n", "Cookie=a=1; b=2; c=3|X=y"},
		{"one cookie", "Cookie: a=1\r\n", "Cookie=a=1"},
		{"underscore", "X_Real_IP: 1\r\nX-Real-IP: 2\r\nX-Real_IP: 3\r\n", "X-Real-IP=2"},
		{"underscore first and last", "_A: 1\r\nB_: 2\r\n_: 3\r\n", ""},
		{"underscore, as long as other names that count", "A_B_C: 1\r\nContent_Length: 2\r\nTransfer_Encoding: 3\r\nCooki_: 4\r\nH_st: 5\r\n", ""},
		{"httpoxy", "Proxy: evil\r\nproxy: evil\r\nPROXY: evil\r\nProxy-Connection: x\r\n", "Proxy-Connection=x"},
		{"framing", "Content-Length: 5\r\ncontent-length: 5\r\nTransfer-Encoding: chunked\r\nTRANSFER-ENCODING: x\r\n", ""},
		{"of the same length as framing", "Content-Loongth: 5\r\nTransfer-Encodink: x\r\n", "Content-Loongth=5|Transfer-Encodink=x"},
		{"content type", "Content-Type: text/plain\r\n", "Content-Type=text/plain"},
		{"host", "Host: from.the.field\r\n", "Host=from.the.target"},
		{"no name", ": x\r\nno colon\r\n\r\nA: 1\r\n", "A=1"},
		{"high bytes", "A: \xe9\xff\r\n", "A=\xe9\xff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			names, values := collected(tt.raw, "from.the.target")
			if len(names) != len(values) {
				t.Fatalf("%d names %q and %d values %q", len(names), names, len(values), values)
			}
			var got []string
			for i := range names {
				got = append(got, names[i]+"="+values[i])
			}
			if text := strings.Join(got, "|"); text != tt.want {
				t.Errorf("collect(%q) = %q, want %q", tt.raw, text, tt.want)
			}
		})
	}
}

// TestFieldsAgain: nothing of an earlier request shows in a later one.
func TestFieldsAgain(t *testing.T) {
	var l fieldList
	l.collect([]byte("A: 1\r\nA: 2\r\nSecret: x\r\n"), nil)
	l.collect([]byte("A: 3\r\nB: 4\r\n"), nil)
	if got := string(l.appendNames(nil)) + "|" + string(l.appendValues(nil)); got != "A\x00B|\x003\x004" {
		t.Errorf("the second request reads %q", got)
	}
}

// FuzzFields: no name twice, none that hides behind another's environ key, and
// the values are those that net/http reads.
func FuzzFields(f *testing.F) {
	for _, seed := range []string{
		"Accept: */*\r\nAccept: text/html\r\nCookie: a\r\ncookie: b\r\n",
		"X_Y: 1\r\nX-Y: 2\r\n", "Proxy: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", "A:\r\nA: \t\r\na:b\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		// Only what hygiene lets through gets here: what net/http takes, too,
		// and neither bare line ends nor NUL.
		if strings.ContainsRune(raw, 0) || strings.Count(raw, "\n") != strings.Count(raw, "\r\n") || strings.Count(raw, "\r") != strings.Count(raw, "\n") {
			return
		}
		if strings.HasPrefix(raw, "\r\n") || strings.Contains(raw, "\r\n\r\n") || raw != "" && !strings.HasSuffix(raw, "\r\n") {
			return
		}
		if strings.HasPrefix(raw, " ") || strings.HasPrefix(raw, "\t") || strings.Contains(raw, "\n ") || strings.Contains(raw, "\n\t") {
			return // obs-fold
		}
		want, err := textproto.NewReader(bufio.NewReader(strings.NewReader(raw + "\r\n"))).ReadMIMEHeader()
		if err != nil {
			return
		}
		names, values := collected(raw, want.Get("Host"))
		if len(names) != len(values) {
			t.Fatalf("%d names and %d values", len(names), len(values))
		}
		seen := http.Header{}
		for i, name := range names {
			key := strings.ToUpper(name)
			if strings.ContainsRune(name, '_') || key == "PROXY" || key == "CONTENT-LENGTH" || key == "TRANSFER-ENCODING" {
				t.Fatalf("name %q got through", name)
			}
			canonical := textproto.CanonicalMIMEHeaderKey(name)
			if seen[canonical] != nil {
				t.Fatalf("name %q twice", name)
			}
			seen[canonical] = []string{values[i]}
			separator := ", "
			if canonical == "Cookie" {
				separator = "; "
			}
			lines := want[canonical]
			if canonical == "Host" {
				lines = lines[:min(1, len(lines))] // hygiene refuses a second one
				values[i], _, _ = strings.Cut(values[i], separator)
			}
			if joined := strings.Join(lines, separator); values[i] != joined {
				t.Fatalf("%s = %q, net/http reads %q", name, values[i], joined)
			}
		}
		for name := range want {
			if seen[name] == nil && !strings.ContainsRune(name, '_') && !bytes.Contains([]byte(" Proxy Content-Length Transfer-Encoding "), []byte(" "+name+" ")) {
				t.Fatalf("%q is missing among %q", name, names)
			}
		}
	})
}
