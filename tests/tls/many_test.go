package tls

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Many requests at once on a few connections of HTTP/2, by curl and Go, some of which are given
// up in the middle: every byte is right, and nothing is left behind.
func TestManyRequestsAtOnce(t *testing.T) {
	curl := tool(t, "curl", "curl")
	s := startSite(t, "--metrics-listen", "0")
	metrics := regexp.MustCompile(`http://\S+/metrics`).FindString(s.server.Log())
	gauge := func(name string) int {
		t.Helper()
		r, err := http.Get(metrics) //nolint:noctx // a test's own
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		value := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
		if value == nil {
			t.Fatalf("no %s among the metrics", name)
		}
		n, err := strconv.ParseFloat(string(value[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	first := s.goClient("laptop", true)
	if status, body := s.get(first, "/a.txt"); status != 200 || string(body) != "hello\n" {
		t.Fatalf("status %d, %q", status, body)
	}
	first.CloseIdleConnections()
	goroutines, files := gauge("go_goroutines"), gauge("process_open_fds")

	var clients sync.WaitGroup
	for range 2 {
		client := s.goClient("laptop", true)
		client.Timeout = 4 * patience // they share two cores with the server
		defer client.CloseIdleConnections()
		for i := range 8 {
			clients.Go(func() {
				for n := range 3 {
					if err := s.fetch(t.Context(), client, n+i); err != nil {
						t.Error(err)
					}
				}
				client.CloseIdleConnections()
			})
		}
	}
	clients.Go(func() { s.fetchParallel(t, curl) })
	clients.Wait()
	s.await("the goroutines to end", func() bool { return gauge("go_goroutines") <= goroutines })
	if n := gauge("process_open_fds"); n > files+4 { // the files that are served stay open for a while
		t.Errorf("%d descriptors are open, %d were", n, files)
	}
}

// fetch gets one of the files, the large one in full or in part, depending on n.
func (s *site) fetch(ctx context.Context, client *http.Client, n int) error {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	name, want := "/big.bin", s.big
	if n%3 == 0 {
		name, want = "/a.txt", []byte("hello\n")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+name, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if n%3 == 1 {
		want = want[:100_000+n]
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(response.Body, got); err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("%s, status %d: wrong bytes or none: %w", name, response.StatusCode, err)
	}
	if n%3 == 1 {
		return nil // the rest is not wanted
	}
	if more, err := io.ReadAll(response.Body); err != nil || len(more) > 0 {
		return fmt.Errorf("%s: %d bytes too much: %w", name, len(more), err)
	}
	return nil
}

// fetchParallel has curl get both files many times, all at once.
func (s *site) fetchParallel(t *testing.T, curl string) {
	args := strings.Fields("-sS --http2 -Z --cacert " + s.file("ca.crt") + " --cert " + s.file("laptop.crt") + " --key " + s.file("laptop.key"))
	dir := t.TempDir()
	want := map[string][]byte{}
	for i := range 12 {
		name, content := "a.txt", []byte("hello\n")
		if i%3 == 0 {
			name, content = "big.bin", s.big
		}
		file := filepath.Join(dir, fmt.Sprint(i))
		want[file] = content
		args = append(args, s.url+"/"+name, "-o", file)
	}
	if stdout, stderr, err := s.run("", nil, curl, args...); err != nil {
		t.Errorf("curl: %v: %s%s", err, stdout, stderr)
	}
	for file, content := range want {
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, content) {
			t.Errorf("curl got %d bytes, want %d: %v", len(got), len(content), err)
		}
	}
}
