package static

import (
	"fmt"
	"html/template"
	"strings"
)

// listingView is what listing.html shows. Every link in it is relative or encoded by
// appendEscaped, so that names with "%", "?" or "#" lead where they say.
type listingView struct {
	Path      string
	Crumbs    []crumb
	Columns   []column
	Parent    bool
	Entries   []listed
	Summary   string
	Truncated bool
	Downloads []crumb
}

type crumb struct {
	Name string
	Href template.URL
	Here bool
}

type column struct {
	Title, Class, Arrow, Sorted string
	Href                        template.URL
}

func (h *Handler) newListingView(t *Target, entries []listed, key string, descending, truncated bool) *listingView {
	v := &listingView{Path: string(t.Path), Entries: entries, Parent: len(t.Path) > 1, Truncated: truncated}
	v.Crumbs = crumbs(string(t.Path))
	for _, c := range [...]struct{ key, title, class string }{{"name", "Name", "name"}, {"size", "Size", "size"}, {"date", "Changed (UTC)", "date"}} {
		col := column{Title: c.title, Class: c.class}
		down := c.key != "name" // the order that a first click gives
		if c.key == key {
			down = !descending
			col.Sorted, col.Arrow = "ascending", " ↑"
			if descending {
				col.Sorted, col.Arrow = "descending", " ↓"
			}
		}
		col.Href = template.URL("?sort=" + c.key + "&order=" + map[bool]string{true: "desc", false: "asc"}[down])
		v.Columns = append(v.Columns, col)
	}
	dirs, bytes := 0, int64(0)
	for _, e := range entries {
		if e.Dir {
			dirs++
		}
		bytes += e.Size
	}
	v.Summary = fmt.Sprintf("%s, %s, %s", count(dirs, "folder"), count(len(entries)-dirs, "file"), sizeText(bytes))
	if h.opts.DirectoryDownload {
		v.Downloads = []crumb{{Name: "Download as zip", Href: "?download=zip"}, {Name: "as tar", Href: "?download=tar"}}
	}
	return v
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// crumbs are the directories on the way to path, which ends in a slash.
func crumbs(path string) []crumb {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	if path == "/" {
		segments = nil
	}
	all := []crumb{{Name: "Home", Href: "/", Here: len(segments) == 0}}
	href := []byte("/")
	for i, s := range segments {
		href = append(appendEscaped(href, []byte(s)), '/')
		all = append(all, crumb{Name: s, Href: template.URL(href), Here: i == len(segments)-1})
	}
	return all
}
