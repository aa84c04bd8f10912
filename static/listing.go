package static

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// maxListed bounds the entries of one listing.
const maxListed = 20000

//go:embed listing.html
var listingHTML string

var listingPage = template.Must(template.New("listing").Parse(listingHTML))

// listed is one line of a listing. Its JSON form is that of nginx's autoindex, with
// the link and RFC 3339 dates added.
type listed struct {
	Name     string       `json:"name"`
	Type     string       `json:"type"`           // "directory" or "file"
	Bytes    *int64       `json:"size,omitempty"` // nil for a directory
	Size     int64        `json:"-"`
	Modified string       `json:"mtime"`
	Href     template.URL `json:"href"` // relative, percent-encoded
	Dir      bool         `json:"-"`
	SizeText string       `json:"-"`
	DateText string       `json:"-"`
	Icon     string       `json:"-"`
	mtime    int64
}

// list answers for a directory: as JSON to whoever prefers it, else as a page.
func (h *Handler) list(ctx *fasthttp.RequestCtx, t *Target, e *entry) error {
	entries, truncated, err := h.readListing(e)
	if err != nil {
		return err
	}
	key, descending := sortOrder(t.Query)
	sortListing(entries, key, descending)
	asJSON := prefersJSON(ctx.Request.Header.Peek("Accept"))

	var page bytes.Buffer
	if asJSON {
		if entries == nil {
			entries = []listed{}
		}
		err = json.NewEncoder(&page).Encode(entries)
	} else {
		err = listingPage.Execute(&page, h.newListingView(t, entries, key, descending, truncated))
	}
	if err != nil {
		return err
	}
	c, body := h.encodePage(ctx, page.Bytes())
	h.addVary(ctx, "Accept")
	if !h.opts.NoCompression {
		h.addVary(ctx, "Accept-Encoding")
	}
	if body == nil {
		h.status(ctx, fasthttp.StatusNotAcceptable)
		return nil
	}
	h.common(ctx)
	header := &ctx.Response.Header
	header.SetCanonical(nameNosniff, valueNosniff)
	header.SetCanonical(nameCacheControl, valueNoCache)
	if c != codingIdentity {
		header.SetContentEncodingBytes(codingNames[c])
	}
	if asJSON {
		header.SetContentType("application/json")
	} else {
		header.SetContentType("text/html; charset=utf-8")
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	}
	ctx.Response.SetBodyRaw(body)
	return nil
}

// readListing reads the directory of e: what is in it and would be served if asked
// for, so nothing hidden, private, or leading out of the document root.
func (h *Handler) readListing(e *entry) (entries []listed, truncated bool, err error) {
	dir, _, err := e.tree.open(e.name)
	if err != nil {
		return nil, false, err
	}
	defer dir.release()
	children, err := dir.readDir(h.maxListed + 1)
	if err != nil {
		return nil, false, err
	}
	if truncated = len(children) > h.maxListed; truncated {
		children = children[:h.maxListed]
	}
	for _, d := range children {
		name, v, err := h.child(e, d.Name())
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		l := listed{Name: d.Name(), Type: "file", Size: v.size, mtime: v.mtime, Icon: iconOf(string(h.types.of(name))),
			Href: template.URL("./" + string(appendEscaped(nil, []byte(d.Name()))))}
		l.Bytes, l.SizeText = &v.size, sizeText(v.size)
		if v.kind == kindDirectory {
			l.Type, l.Dir, l.Icon, l.Href = "directory", true, "dir", l.Href+"/"
			l.Bytes, l.Size, l.SizeText = nil, 0, ""
		}
		modified := time.Unix(0, v.mtime).UTC().Truncate(time.Second)
		l.Modified, l.DateText = modified.Format(time.RFC3339), modified.Format("2006-01-02 15:04")
		entries = append(entries, l)
	}
	return entries, truncated, nil
}

// child tells what a name in the directory of e is to a client; errAbsent if it is
// nothing to him.
func (h *Handler) child(e *entry, base string) (string, version, error) {
	name := base
	if string(e.name) != "." {
		name = string(e.name) + "/" + base
	}
	if h.hider.hidden([]byte(name)) || strings.ContainsAny(base, "\\\x7f") || strings.ContainsFunc(base, func(r rune) bool { return r < 0x20 }) {
		return name, version{}, errAbsent
	}
	v, err := e.tree.stat(withRoom([]byte(name), ""))
	if err == nil && (v.kind == kindOther || (v.kind == kindRegular && h.private(v))) {
		err = errAbsent
	}
	return name, v, err
}

// sortOrder reads "sort=name|size|date" and "order=asc|desc" from a query; anything
// else counts for nothing. Names go up by default, sizes and dates down.
func sortOrder(query []byte) (key string, descending bool) {
	key = "name"
	order := ""
	for pair := range strings.SplitSeq(string(query), "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case name == "sort" && (value == "name" || value == "size" || value == "date"):
			key = value
		case name == "order" && (value == "asc" || value == "desc"):
			order = value
		}
	}
	if order == "" {
		return key, key != "name"
	}
	return key, order == "desc"
}

// sortListing puts directories first, and sorts by key and then by name.
func sortListing(entries []listed, key string, descending bool) {
	slices.SortFunc(entries, func(a, b listed) int {
		if a.Dir != b.Dir {
			if a.Dir {
				return -1
			}
			return 1
		}
		c := 0
		switch key {
		case "size":
			c = cmp.Compare(a.Size, b.Size)
		case "date":
			c = cmp.Compare(a.mtime, b.mtime)
		default:
			c = cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Name, b.Name))
		}
		if descending {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a.Name, b.Name))
	})
}

// prefersJSON reports whether an Accept field value (RFC 9110 section 12.5.1) names
// application/json and likes it better than text/html.
func prefersJSON(accept []byte) bool {
	var jsonQ, htmlQ int16
	for rest, more := accept, true; more; {
		var element []byte
		element, rest, more = cutComma(rest)
		name, q, ok := parseWeighted(element)
		switch {
		case !ok:
		case equalFold(name, "application/json"):
			jsonQ = q
		case equalFold(name, "text/html"):
			htmlQ = q
		}
	}
	return jsonQ > htmlQ
}

// iconOf returns the name of the symbol of listing.html for a media type.
func iconOf(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	switch {
	case strings.HasPrefix(t, "image/"):
		return "image"
	case strings.HasPrefix(t, "audio/"), strings.HasPrefix(t, "video/"):
		return "media"
	case t == "application/zip", t == "application/gzip", t == "application/zstd", strings.HasPrefix(t, "application/x-"), strings.Contains(t, "compressed"):
		return "pack"
	case t == "text/html", t == "text/css", t == "text/javascript", strings.HasSuffix(t, "json"), strings.HasSuffix(t, "xml"):
		return "code"
	case strings.HasPrefix(t, "text/"), t == "application/pdf":
		return "text"
	}
	return "file"
}

// sizeText writes a size as people read it: "0 B", "1.5 KiB".
func sizeText(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1024, 0
	for f >= 1023.95 && unit < 4 {
		f, unit = f/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[unit])
}
