package static

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Options says what a Handler serves. The zero value serves nothing and declines
// every request; New checks it once and copies it.
type Options struct {
	// Root is the document root, a directory. Empty means that there is none.
	Root string

	// Aliases serve further files and directories below a URL path of their own. The
	// longest path that fits is asked first; what it does not have is looked for in
	// the shorter ones and at last in Root.
	Aliases []Alias

	// IndexFiles are the names tried, in order, for a path that ends in a slash. Nil
	// means index.html; empty and not nil means none.
	IndexFiles []string

	// Listing answers a directory without an index file with a page that lists it.
	Listing bool

	// DirectoryDownload answers "/folder/?download=zip" and "=tar" with the folder and
	// all that is served below it, and lists links to it.
	DirectoryDownload bool

	// TryExtensions are tried, in order, behind a name that is not there: with ".html"
	// the path /about answers with about.html.
	TryExtensions []string

	// SPA is the URL path of the page that answers what is not there, for a
	// single-page application: /index.html, say. Where there is an application too,
	// only requests that name text/html in Accept get it.
	SPA string

	// ErrorDocuments are the bodies of error responses: status to URL path of a file
	// of at most 64 KiB. They must exist when New is called.
	ErrorDocuments map[int]string

	// ErrorPage writes the body and Content-Type of an error response that has no
	// error document. Nil means a line of text that says no more than the status.
	ErrorPage func(ctx *fasthttp.RequestCtx, status int)

	// Redirects answer what is not there, before SPA and Next; the first that fits
	// counts. ReadRedirects reads them from a file.
	Redirects []Redirect

	// CacheControl rules go before the built-in ones: a year and immutable for names
	// that carry a hash, no-cache for the others.
	CacheControl []CacheRule

	// Headers are added to every answer that is given here, not to those of Next.
	Headers []Field

	// CORS are the origins whose scripts may read the answers; "*" means all.
	CORS []string

	// MIMETypes is a file with media types (mime.types of Apache or nginx) that go
	// before the built-in ones. Empty means none.
	MIMETypes string

	// Hide adds patterns (path.Match syntax, case ignored) of names that are neither
	// served nor listed, nor anything below them. A pattern without a slash fits a
	// name at any depth, one with a slash a path from the top of its tree. Names that
	// begin with a dot (but for /.well-known/), *.pyc, *.pyo and __pycache__ are
	// always hidden.
	Hide []string

	// HideSource hides *.py and *.wsgi too: right wherever an application runs, whose
	// source may stand in the document root.
	HideSource bool

	// Private are files that are never served whatever name leads to them, such as
	// the application's script. They need not exist yet.
	Private []string

	// FollowSymlinks says which symbolic links are followed; the zero value is
	// FollowInside. The targets of Root and Aliases themselves are always followed.
	FollowSymlinks FollowSymlinks

	// NoCompression turns off coding on the fly, and NoPrecompressed the use of
	// siblings such as app.js.br, app.js.zst and app.js.gz.
	NoCompression, NoPrecompressed bool

	// CacheSize bounds the bytes of files and coded forms that are kept in memory.
	// Zero means DefaultCacheSize, a negative value none.
	CacheSize int64

	// CacheRevalidate is how long what was found for a path is believed before the
	// file system is asked again. Zero means DefaultCacheRevalidate, a negative value
	// asks at every request.
	CacheRevalidate time.Duration

	// CacheEntries bounds the paths that are remembered, those of misses too. Zero
	// means DefaultCacheEntries; the least is 64.
	CacheEntries int

	// Peers are further servers on the same document root.
	Peers Peers

	// SendTimeout is the longest that the client of a file beyond 64 KiB may take
	// nothing of it; then the connection is closed. Zero leaves it to the server's
	// own write timeout, which bounds the whole response.
	SendTimeout time.Duration

	// Next gets every declined request: no file, or a method that is not for files.
	// Nil means that there is no application: 404, or 405 with Allow.
	Next fasthttp.RequestHandler

	// Answered is called after an answer that every request for the same path gets, as
	// far as method, Accept-Encoding and the conditions of the request are the same, for as long
	// as from is Current. Nil means that nobody keeps answers.
	Answered func(ctx *fasthttp.RequestCtx, from Source)

	// Logger gets what the operator should know: files that cannot be read, trouble
	// with the file system. Nil means slog.Default().
	Logger *slog.Logger
}

// Defaults of Options.
const (
	DefaultCacheSize       = 256 << 20
	DefaultCacheRevalidate = time.Second
	DefaultCacheEntries    = 32 << 10
)

// Alias serves Target, a file or a directory, below the URL path Path. A trailing
// slash of Path makes no difference.
type Alias struct{ Path, Target string }

// withDefaults checks o and returns a copy with every default filled in.
func (o Options) withDefaults() (Options, error) {
	if o.IndexFiles == nil {
		o.IndexFiles = []string{"index.html"}
	}
	o.IndexFiles = slices.Clone(o.IndexFiles)
	for _, name := range o.IndexFiles {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
			return o, optionError("IndexFiles", "got %q, want a plain file name", name)
		}
	}
	for _, ext := range o.TryExtensions {
		if len(ext) < 2 || ext[0] != '.' || strings.ContainsAny(ext, "/\\\x00") {
			return o, optionError("TryExtensions", "got %q, want a dot and letters", ext)
		}
	}
	if err := o.checkFallbacks(); err != nil {
		return o, err
	}
	if err := o.Peers.check(); err != nil {
		return o, err
	}
	o.Redirects = slices.Clone(o.Redirects)
	for i := range o.Redirects {
		if err := o.Redirects[i].check(); err != nil {
			return o, fmt.Errorf("redirect %s: %w", o.Redirects[i].From, err)
		}
	}
	switch o.FollowSymlinks {
	case FollowInside, FollowNever, FollowAny:
	default:
		return o, fmt.Errorf("follow symlinks: got %v, want never, inside or any", o.FollowSymlinks)
	}
	switch {
	case o.CacheSize == 0:
		o.CacheSize = DefaultCacheSize
	case o.CacheSize < 0:
		o.CacheSize = 0
	}
	switch {
	case o.CacheRevalidate == 0:
		o.CacheRevalidate = DefaultCacheRevalidate
	case o.CacheRevalidate < 0:
		o.CacheRevalidate = 0
	}
	switch {
	case o.CacheEntries == 0:
		o.CacheEntries = DefaultCacheEntries
	case o.CacheEntries < tableShards:
		return o, fmt.Errorf("cache entries: got %d, want at least %d", o.CacheEntries, tableShards)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

// openTrees opens the targets of the aliases, longest path first, and the root.
func (o *Options) openTrees() (trees []*tree, err error) {
	defer func() {
		if err != nil {
			for _, t := range trees {
				t.close()
			}
			trees = nil
		}
	}()
	seen := make(map[string]string)
	for _, a := range o.Aliases {
		t, err := o.openAlias(a)
		if err != nil {
			return trees, fmt.Errorf("alias %s: %w", a.Path, err)
		}
		trees = append(trees, t)
		if other, dup := seen[t.prefix]; dup {
			return trees, fmt.Errorf("alias %s: given twice, for %s and %s", a.Path, other, a.Target)
		}
		seen[t.prefix] = a.Target
	}
	slices.SortStableFunc(trees, func(a, b *tree) int { return len(b.prefix) - len(a.prefix) })
	if o.Root == "" {
		return trees, nil
	}
	t, err := newTree(o.Root, o.FollowSymlinks)
	if err != nil {
		return trees, fmt.Errorf("document root: %w", err)
	}
	return append(trees, t), nil
}

func (o *Options) openAlias(a Alias) (*tree, error) {
	if !strings.HasPrefix(a.Path, "/") {
		return nil, fmt.Errorf("path %q: want a slash first", a.Path)
	}
	var target Target
	if target.parse([]byte(strings.ReplaceAll(a.Path, "%", "%25"))); target.Err != nil || !target.plain {
		return nil, fmt.Errorf("path %q: want a plain URL path without empty or dot segments", a.Path)
	}
	if a.Target == "" {
		return nil, errors.New("the target is empty")
	}
	info, err := os.Stat(a.Target)
	if err != nil {
		return nil, err
	}
	var t *tree
	switch {
	case info.IsDir():
		t, err = newTree(a.Target, o.FollowSymlinks)
	case info.Mode().IsRegular():
		if a.Path == "/" {
			return nil, errors.New("a file cannot be served as the whole site")
		}
		// The file's name is resolved anew for every look-up, so that a new file put
		// in its place by rename is seen.
		t, err = newTree(filepath.Dir(a.Target), FollowAny)
		if err == nil {
			t.file = filepath.Base(a.Target)
		}
	default:
		return nil, fmt.Errorf("%s: neither a file nor a directory", a.Target)
	}
	if err != nil {
		return nil, err
	}
	t.prefix = strings.TrimSuffix(a.Path, "/")
	return t, nil
}
