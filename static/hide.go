package static

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"unsafe"
)

// hider knows which names are never served and never listed. Matching ignores
// case: on a file system that does, "APP.PYC" is the same file as "app.pyc".
type hider struct {
	source   bool     // hide *.py and *.wsgi
	segments []string // lower-case patterns for one path segment
	paths    []string // lower-case patterns for a path from the tree's top, without leading slash
}

// newHider checks the patterns and takes them apart. A pattern without a slash is
// for a name at any depth, one with a slash for a path from the top.
func newHider(patterns []string, source bool) (*hider, error) {
	h := &hider{source: source}
	for _, p := range patterns {
		lower := strings.ToLower(strings.TrimSuffix(p, "/"))
		if lower == "" {
			return nil, fmt.Errorf("pattern %q is empty", p)
		}
		if _, err := path.Match(lower, ""); err != nil {
			return nil, fmt.Errorf("pattern %q: %w", p, err)
		}
		if strings.Contains(lower, "/") {
			h.paths = append(h.paths, strings.TrimPrefix(lower, "/"))
		} else {
			h.segments = append(h.segments, lower)
		}
	}
	return h, nil
}

// hidden reports whether name, or a directory on the way to it, is hidden. name is
// relative to its tree and has no slash at either end.
func (h *hider) hidden(name []byte) bool {
	for start, first := 0, true; start <= len(name); first = false {
		end := len(name)
		if i := bytes.IndexByte(name[start:], '/'); i >= 0 {
			end = start + i
		}
		if h.segment(name[start:end], first) {
			return true
		}
		if len(h.paths) > 0 && h.path(name[:end]) {
			return true
		}
		start = end + 1
	}
	return false
}

// segment judges one segment; first tells that it is the first of its path.
func (h *hider) segment(seg []byte, first bool) bool {
	if len(seg) == 0 {
		return false
	}
	if seg[0] == '.' {
		// RFC 8615: the one dot name that is made for strangers.
		return len(seg) > 1 && !(first && string(seg) == ".well-known")
	}
	if equalFold(seg, "__pycache__") || hasSuffixFold(seg, ".pyc") || hasSuffixFold(seg, ".pyo") {
		return true
	}
	if h.source && (hasSuffixFold(seg, ".py") || hasSuffixFold(seg, ".wsgi")) {
		return true
	}
	if len(h.segments) == 0 {
		return false
	}
	lower := lowered(seg)
	for _, p := range h.segments {
		if ok, _ := path.Match(p, lower); ok {
			return true
		}
	}
	return false
}

func (h *hider) path(name []byte) bool {
	lower := lowered(name)
	for _, p := range h.paths {
		if ok, _ := path.Match(p, lower); ok {
			return true
		}
	}
	return false
}

// lowered returns b as a lower-case string, without copying when it is one already.
// The string must not outlive b.
func lowered(b []byte) string {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' || c >= 0x80 {
			return strings.ToLower(string(b))
		}
	}
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// hasSuffixFold reports whether b ends in the lower-case ASCII suffix, in any case.
func hasSuffixFold(b []byte, suffix string) bool {
	return len(b) >= len(suffix) && equalFold(b[len(b)-len(suffix):], suffix)
}
