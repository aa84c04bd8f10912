package static

import (
	"sync"
	"testing"
	"time"
)

// However many ask for a form that nobody has made, one makes it and the others wait
// for him.
func TestOneMakesAForm(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app.js", prose(40<<10))
	s := serve(t, Options{Root: dir})
	s.get("/app.js", "Accept-Encoding: identity") // all others find its entry
	const clients = 12
	// While all sets of encoders are taken nothing is finished, so that all clients are there.
	idle := s.h.encoders.idle()
	s.h.encoders.mu.Lock() // nor is the best form, which is made next and is none of these
	defer s.h.encoders.mu.Unlock()
	var taken []*encoderSet
	for range cap(idle) {
		taken = append(taken, <-idle)
	}
	stats := &s.h.store.group.Stats
	gets, loads := stats.Gets.Get(), stats.LocalLoads.Get()
	var answers sync.WaitGroup
	for range clients {
		answers.Go(func() {
			if got := roundTrip(t, s.addr, "GET", "/app.js", "Accept-Encoding: gzip"); got.status != 200 || got.header.Get("Content-Encoding") != "gzip" {
				t.Errorf("GET = %d %v", got.status, got.header)
			}
		})
	}
	for deadline := time.Now().Add(time.Minute); stats.Gets.Get() < gets+clients; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d clients have asked", stats.Gets.Get(), clients)
		}
	}
	for _, set := range taken {
		idle <- set
	}
	answers.Wait()
	if n := stats.LocalLoads.Get() - loads; n != 1 {
		t.Errorf("the form was made %d times", n)
	}
}

// Whether an answer is the file, a part, none or an error: where another
// Accept-Encoding gets another one, a cache is told.
func TestVaryOfEveryAnswer(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app.js", prose(4<<10))
	write(t, dir, "photo.png", prose(4<<10))
	s := serve(t, Options{Root: dir})
	tag := s.get("/app.js", "Accept-Encoding: identity").header.Get("ETag")
	for _, tt := range []struct {
		name   string
		lines  []string
		status int
	}{
		{"plain", nil, 200},
		{"coded", []string{"Accept-Encoding: br"}, 200},
		{"a part", []string{"Range: bytes=0-1"}, 206},
		{"several parts", []string{"Range: bytes=0-1,5-6"}, 206},
		{"not modified", []string{"If-None-Match: " + tag}, 304},
		{"no form is welcome", []string{"Accept-Encoding: *;q=0"}, 406},
		{"condition failed", []string{`If-Match: "x"`}, 412},
		{"past the end", []string{"Range: bytes=99999-"}, 416},
	} {
		if got := s.get("/app.js", tt.lines...); got.status != tt.status || got.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %d, Vary %q, want %d and Accept-Encoding", tt.name, got.status, got.header.Get("Vary"), tt.status)
		}
		// What is never coded varies in its refusal alone.
		want := ""
		if tt.status == 406 {
			want = "Accept-Encoding"
		}
		if got := s.get("/photo.png", tt.lines...); got.header.Get("Vary") != want {
			t.Errorf("%s of a picture: %d, Vary %q, want %q", tt.name, got.status, got.header.Get("Vary"), want)
		}
	}
}
