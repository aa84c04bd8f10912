package static

import (
	"bytes"
	"html/template"

	"github.com/valyala/fasthttp"
)

// maxListed bounds the entries of one listing.
const maxListed = 20000

var listingPage = template.Must(template.New("").Parse(`<!doctype html>
<meta charset="utf-8"><title>{{.Path}}</title>
<h1>{{.Path}}</h1>
<ul>{{range .Entries}}<li><a href="{{.Href}}">{{.Name}}</a></li>{{end}}</ul>
`))

type listed struct{ Name, Href string }

// list answers with a page that names what is in the directory f, and can be asked
// for: nothing hidden, private, or leading out of the document root.
func (h *Handler) list(ctx *fasthttp.RequestCtx, t *Target, f *entry) error {
	dir, _, err := f.tree.open(f.name)
	if err != nil {
		return err
	}
	defer dir.release()
	names, err := dir.readDir(maxListed)
	if err != nil {
		return err
	}
	page := struct {
		Path    string
		Entries []listed
	}{Path: string(t.Path)}
	for _, d := range names {
		if h.hider.hidden(append(append(append([]byte{}, bytes.TrimPrefix(f.name, []byte("."))...), '/'), d.Name()...)) || !(d.IsDir() || d.Type().IsRegular()) {
			continue
		}
		page.Entries = append(page.Entries, listed{d.Name(), "./" + string(appendEscaped(nil, []byte(d.Name())))})
	}
	h.leaveBody(ctx)
	ctx.SetContentType("text/html; charset=utf-8")
	ctx.Response.Header.SetCanonical(nameNosniff, valueNosniff)
	if err := listingPage.Execute(ctx, page); err != nil {
		h.opts.Logger.Error("static: write listing", "error", err)
	}
	return nil
}
