package static

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Every link in htdocs.example leads to a file, but for the one that shows where an
// application answers.
func TestExampleRoot(t *testing.T) {
	s := serve(t, Options{Root: "../htdocs.example", Next: next})
	link := regexp.MustCompile(`(?:href|src)="([^"]+)"`)
	for _, page := range []string{"/", "/guide/", "/404.html"} {
		got := s.get(page)
		if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			t.Fatalf("GET %s = %d %s", page, got.status, got.header.Get("Content-Type"))
		}
		base, _ := url.Parse("http://test" + page)
		for _, m := range link.FindAllStringSubmatch(got.body, -1) {
			u, err := base.Parse(m[1])
			if err != nil {
				t.Fatal(err)
			}
			want := 200
			if u.Path == "/hello" {
				want = 299
			}
			if got := s.get(u.Path); got.status != want {
				t.Errorf("%s: the link %s = %d, want %d", page, m[1], got.status, want)
			}
		}
	}
}
