//go:build linux

package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestDetachBetweenRequests: a connection goes back to its loop between two requests, and
// not when the rest of a pipelined one is on its way.
func TestDetachBetweenRequests(t *testing.T) {
	_, address := loopSite(t, map[string]string{"a": "a"})
	c := dialLoop(t, address)
	// The first is for the server; as many of the others as send the connection back come with it.
	const plain = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
	all := "OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n" + strings.Repeat(plain, patienceWithOther)
	if _, err := io.WriteString(c, all+plain[:9]); err != nil {
		t.Fatal(err)
	}
	for n := range 1 + patienceWithOther + 1 {
		if n == 1+patienceWithOther {
			if _, err := io.WriteString(c, plain[9:]); err != nil {
				t.Fatal(err)
			}
		}
		response, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatalf("response %d: %v", n+1, err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode >= 400 {
			t.Fatalf("response %d: %s, %v", n+1, response.Status, err)
		}
	}
}
