package static

import (
	"bytes"
	"errors"
	"os"

	"github.com/valyala/fasthttp"
)

// outcome is what a look-up found for a path.
type outcome uint8

const (
	outcomeDeclined  outcome = iota // nothing here: the request goes to Options.Next
	outcomeFile                     // a regular file
	outcomeDirectory                // a directory to list
	outcomeRedirect                 // a directory, asked for without its trailing slash
)

// found is the answer of a look-up. name is relative to tree and lives in the
// scratch of the request: it is good until the next look-up.
type found struct {
	outcome outcome
	tree    *tree
	name    []byte
	version version
}

// scratch is the memory of one look-up, kept from request to request.
type scratch struct{ name []byte }

// lookup finds what path means: the steps are tree by tree, name by name, and
// everything that is absent, hidden, private, or not a regular file or directory is
// passed over. An error is trouble that says nothing about whether the file exists.
func (h *Handler) lookup(s *scratch, path []byte) (found, error) {
	for _, t := range h.trees {
		rel, ok := t.below(path)
		if !ok {
			continue
		}
		f, err := h.lookupIn(s, t, rel)
		if err != nil || f.outcome != outcomeDeclined {
			return f, err
		}
	}
	return found{}, nil
}

// below returns the part of path below the tree's prefix, without leading slash.
func (t *tree) below(path []byte) (rel []byte, ok bool) {
	n := len(t.prefix)
	if len(path) < n || string(path[:n]) != t.prefix {
		return nil, false
	}
	if rel = path[n:]; t.file != "" {
		return rel, len(rel) == 0
	}
	if len(rel) > 0 {
		if rel[0] != '/' {
			return nil, false // "/static" is not on the way to "/statics"
		}
		rel = rel[1:]
		return rel, true
	}
	return nil, true // "/static" itself: nil, to be told from "/static/"
}

func (h *Handler) lookupIn(s *scratch, t *tree, rel []byte) (found, error) {
	if t.file != "" {
		s.name = append(s.name[:0], t.file...)
		return h.regular(s, t)
	}
	name, slash := rel, rel != nil && len(rel) == 0
	if n := len(rel); n > 0 && rel[n-1] == '/' {
		name, slash = rel[:n-1], true
	}
	if h.hider.hidden(name) {
		return found{}, nil
	}
	if len(name) == 0 {
		s.name = append(s.name[:0], '.')
	} else {
		s.name = append(s.name[:0], name...)
	}
	v, err := t.stat(s.room())
	if err != nil && !errors.Is(err, errAbsent) {
		return found{}, err
	}
	if v.kind != kindRegular && !slash && len(name) > 0 && len(h.opts.TryExtensions) > 0 {
		if f, err := h.tryExtensions(s, t); err != nil || f.outcome == outcomeFile {
			return f, err
		}
	}
	switch {
	case v.kind == kindRegular && !slash && !h.private(v):
		return found{outcomeFile, t, s.name, v}, nil
	case v.kind == kindDirectory:
		return h.directory(s, t, v, slash)
	}
	return found{}, nil
}

// directory looks for an index file in the directory that s.name is. Without the
// trailing slash a directory redirects, but only where there is something to
// redirect to: else an application's route of the same name would be hidden.
func (h *Handler) directory(s *scratch, t *tree, v version, slash bool) (found, error) {
	n := len(s.name)
	for _, index := range h.opts.IndexFiles {
		s.name = append(append(s.name[:n], '/'), index...)
		f, err := h.regular(s, t)
		if err != nil {
			return found{}, err
		}
		if f.outcome == outcomeFile {
			if !slash {
				return found{outcome: outcomeRedirect, tree: t, version: v}, nil
			}
			return f, nil
		}
	}
	s.name = s.name[:n]
	switch {
	case !h.opts.Listing:
		return found{}, nil
	case !slash:
		return found{outcome: outcomeRedirect, tree: t, version: v}, nil
	}
	return found{outcomeDirectory, t, s.name, v}, nil
}

// tryExtensions looks for s.name with one of Options.TryExtensions behind it. A file
// goes before a directory of the same name without.
func (h *Handler) tryExtensions(s *scratch, t *tree) (found, error) {
	n := len(s.name)
	for _, ext := range h.opts.TryExtensions {
		s.name = append(s.name[:n], ext...)
		if h.hider.hidden(s.name) {
			continue
		}
		if f, err := h.regular(s, t); err != nil || f.outcome == outcomeFile {
			return f, err
		}
	}
	s.name = s.name[:n]
	return found{}, nil
}

// regular answers with the file s.name if it is one that may be served.
func (h *Handler) regular(s *scratch, t *tree) (found, error) {
	v, err := t.stat(s.room())
	switch {
	case errors.Is(err, errAbsent):
		return found{}, nil
	case err != nil:
		return found{}, err
	case v.kind != kindRegular || h.private(v):
		return found{}, nil
	}
	return found{outcomeFile, t, s.name, v}, nil
}

// room makes place for the NUL byte that openat2 puts behind the name.
func (s *scratch) room() []byte {
	if len(s.name) == cap(s.name) {
		s.name = append(s.name, 0)[:len(s.name)]
	}
	return s.name
}

// private reports whether v is one of Options.Private. They are looked up each time,
// since an editor that saves by renaming gives a script a new inode; and compared
// as files, not by name, so that neither link nor alias leads round it.
func (h *Handler) private(v version) bool {
	for _, name := range h.opts.Private {
		info, err := os.Stat(name)
		if err != nil {
			continue
		}
		if p := versionOf(info); p.ino == v.ino && p.dev == v.dev && p.size == v.size && p.mtime == v.mtime {
			return true
		}
	}
	return false
}

// appendLocation appends the path-only target of a directory's redirect: path,
// percent-encoded anew, with the missing slash and the query. path is plain, so that
// it cannot begin with two slashes and name another host.
func appendLocation(dst, path, query []byte) []byte {
	dst = appendEscaped(dst, bytes.TrimRight(path, "/"))
	dst = append(dst, '/')
	if query != nil {
		dst = append(append(dst, '?'), query...)
	}
	return dst
}

// appendEscaped appends path with every byte percent-encoded that is not allowed in
// a path as it stands (RFC 3986 section 3.3) or that HTML would mind.
func appendEscaped(dst, path []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range path {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			dst = append(dst, c)
		case bytes.IndexByte([]byte("/-._~!$()*+,;=:@"), c) >= 0:
			dst = append(dst, c)
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// redirect sends the client to the directory with its trailing slash (301, as nginx
// and Apache do). The answer may not outlive the directory in a browser's cache.
func (h *Handler) redirect(ctx *fasthttp.RequestCtx, t *Target) {
	location := appendLocation(make([]byte, 0, len(t.Raw)+len(t.Query)+16), t.Path, t.Query)
	ctx.Response.Header.SetBytesV("Location", location)
	ctx.Response.Header.Set("Cache-Control", "no-cache")
	h.status(ctx, fasthttp.StatusMovedPermanently)
}
