//go:build !race

package eventloop

import (
	"testing"
	"time"
)

// TestNoAllocations: to read a request and to find its answer costs no memory.
func TestNoAllocations(t *testing.T) {
	table := NewAnswers(1 << 20)
	request := []byte(with("User-Agent: x\r\nAccept-Encoding: gzip, br\r\nIf-None-Match: \"a\"\r\nSec-Fetch-Mode: navigate\r\n"))
	key := make([]byte, 0, 1000)
	now := time.Now()
	look := func() bool {
		var h Head
		if h.Parse(request) == 0 {
			t.Fatal("the request is not plain")
		}
		key = h.appendKey(key[:0], 'k')
		return table.get(key, now) != nil
	}
	look()
	table.put(string(key), []byte(response("a")), &testSource{})
	if n := testing.AllocsPerRun(1000, func() {
		if !look() {
			t.Fatal("no answer")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkLookUp(b *testing.B) {
	table := NewAnswers(1 << 20)
	request := []byte(with("User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-GB,en;q=0.9\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nConnection: keep-alive\r\n"))
	var key []byte
	var h Head
	h.Parse(request)
	table.put(string(h.appendKey(nil, 'k')), []byte(response("a")), &testSource{})
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		h.Parse(request)
		key = h.appendKey(key[:0], 'k')
		if table.get(key, now) == nil {
			b.Fatal("no answer")
		}
	}
}
