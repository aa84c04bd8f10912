package static

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// browserRoot has names that are hard to show.
func browserRoot(t *testing.T) string {
	dir := t.TempDir()
	long := strings.Repeat("a-name-without-any-space-", 8)
	for name, size := range map[string]int{
		"notes.txt": 1200, "index of things.html": 34, "photo.png": 3 << 20, "film.mp4": 200 << 20, "backup.tar.gz": 800 << 10, "style.css": 5000,
		"100% #1 ?.txt": 9, "Größe – 数据.json": 77, long + ".dat": 0, "paper.pdf": 99 << 10,
		"sub/folder/deep/" + strings.Repeat("deeper/", 6) + "end.txt": 3, "empty folder/x.txt": 1,
	} {
		path := filepath.Join(dir, "list", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, int64(size)); err != nil {
			t.Fatal(err)
		}
		when := time.Date(2025, 3, 1+len(name)%28, len(name)%24, 5, 0, 0, time.UTC)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The listing page as a person has it: by keyboard, in a narrow window, in the dark.
func TestChromiumListing(t *testing.T) {
	s := serve(t, Options{Root: browserRoot(t), Listing: true, DirectoryDownload: true})
	c := newChromium(t) // after serve: it ends first, and its idle connections with it
	url := "http://" + s.addr

	t.Run("looks", func(t *testing.T) {
		c.t = t
		var papers []string
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{360, 1280} {
				c.window(width, 800, scheme)
				c.open(url + "/list/")
				name := fmt.Sprintf("%d-%s", width, scheme)
				c.screenshot(name)
				var page struct {
					Scroll, Window int
					Paper          string
					Contrast       float64
					Rows, Cut      int
				}
				c.eval(lookScript, &page)
				if page.Scroll > page.Window {
					t.Errorf("%s: page is %d pixels wide in a window of %d", name, page.Scroll, page.Window)
				}
				if page.Rows != 13 || page.Cut != 0 {
					t.Errorf("%s: %d rows, %d of them reach out of the window; want 13 and none", name, page.Rows, page.Cut)
				}
				if page.Contrast < 4.5 { // WCAG 2.2, success criterion 1.4.3
					t.Errorf("%s: least contrast of a text is %.2f, want 4.5", name, page.Contrast)
				}
				papers = append(papers, page.Paper)
			}
		}
		if papers[0] == papers[2] {
			t.Errorf("light and dark have the same background %s", papers[0])
		}
		c.window(360, 800, "light")
		c.open(url + "/list/sub/folder/deep/deeper/deeper/deeper/")
		c.screenshot("360-deep")
	})

	t.Run("keyboard", func(t *testing.T) {
		c.t = t
		c.window(1280, 800, "light")
		c.open(url + "/list/")
		var order []string
		for range 9 {
			c.press("Tab")
			var focus struct {
				Text    string
				Outline float64
				Visible bool
			}
			c.eval(focusScript, &focus)
			order = append(order, focus.Text)
			if focus.Outline < 2 || !focus.Visible {
				t.Errorf("focus on %q: outline of %v pixels, visible %t; want 2 pixels in the window", focus.Text, focus.Outline, focus.Visible)
			}
			if len(order) == 8 {
				c.screenshot("focus")
			}
		}
		want := []string{"Home", "list", "Name ↑", "Size", "Changed (UTC)", "Parent folder", "empty folder/", "sub/", "100% #1 ?.txt"}
		if !slices.Equal(order, want) {
			t.Errorf("Tab goes through %q, want %q", order, want)
		}
		c.loading(func() { c.press("Enter") })
		var at string
		if c.eval("location.pathname", &at); at != "/list/100%25%20%231%20%3F.txt" {
			t.Errorf("Enter on the last of them leads to %s", at)
		}
	})

	t.Run("sorting", func(t *testing.T) {
		c.t = t
		c.open(url + "/list/")
		for range 4 { // to "Size"
			c.press("Tab")
		}
		c.loading(func() { c.press("Enter") })
		var names []string
		c.eval(`Array.from(document.querySelectorAll('td.name a'), a => a.innerText.trim()).slice(0, 5)`, &names)
		if want := []string{"Parent folder", "empty folder/", "sub/", "film.mp4", "photo.png"}; !slices.Equal(names, want) {
			t.Errorf("after Enter on Size: %q, want %q", names, want)
		}
		var sorted string
		if c.eval(`document.querySelector('th[aria-sort]').innerText + ' ' + document.querySelector('th[aria-sort]').ariaSort`, &sorted); sorted != "Size ↓ descending" {
			t.Errorf("sorted column says %q", sorted)
		}
	})
}

// lookScript measures the page: how wide it is, whether a row reaches out of the
// window, and the least contrast between a text and what is behind it.
const lookScript = `(() => {
  const rgb = text => { const [r, g, b, a] = text.match(/[\d.]+/g).map(Number); return {r, g, b, a: a ?? 1} }
  const light = c => { const f = x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; return 0.2126 * f(c.r) + 0.7152 * f(c.g) + 0.0722 * f(c.b) }
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.a > 0) return c } return {r: 255, g: 255, b: 255} }
  let contrast = 21
  for (const e of document.querySelectorAll('h1 a, h1 span, th a, td a, td.size, td.date, footer span, footer a')) {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))]
    contrast = Math.min(contrast, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05))
  }
  const rows = Array.from(document.querySelectorAll('tbody tr'))
  return {scroll: document.documentElement.scrollWidth, window: innerWidth, paper: getComputedStyle(document.body).backgroundColor, contrast,
    rows: rows.length, cut: rows.filter(r => { const b = r.getBoundingClientRect(); return b.left < 0 || b.right > innerWidth }).length}
})()`

// focusScript tells what has the focus, and whether that can be seen.
const focusScript = `(() => {
  const e = document.activeElement, s = getComputedStyle(e), b = e.getBoundingClientRect()
  return {text: e.innerText.trim(), outline: s.outlineStyle == 'none' ? 0 : parseFloat(s.outlineWidth),
    visible: b.width > 0 && b.top >= 0 && b.bottom <= innerHeight}
})()`
