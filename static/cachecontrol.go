package static

import (
	"fmt"
	"path"
	"strings"
)

// CacheRule sets the Cache-Control of the files that Pattern fits: path.Match syntax,
// case ignored, without a slash for a name at any depth and with one for a URL path
// from the root. Value is the field value; empty sends none.
type CacheRule struct{ Pattern, Value string }

const (
	// cacheHashed is for files whose name changes with their content.
	cacheHashed = "public, max-age=31536000, immutable"
	// cacheOther has every cache ask before it uses its copy: the answer is a 304 of
	// some hundred bytes, and nobody ever sees yesterday's style sheet.
	cacheOther = "no-cache"
)

var valueNoCache = []byte(cacheOther)

// cacheRules finds the Cache-Control of a file.
type cacheRules struct{ rules []CacheRule }

func newCacheRules(rules []CacheRule) (*cacheRules, error) {
	c := &cacheRules{}
	for _, r := range rules {
		r.Pattern = strings.ToLower(strings.TrimPrefix(r.Pattern, "/"))
		if _, err := path.Match(r.Pattern, ""); err != nil || r.Pattern == "" {
			return nil, fmt.Errorf("got the pattern %q, want a name or path with *, ? and [a-z]", r.Pattern)
		}
		if !validFieldValue(r.Value) {
			return nil, fmt.Errorf("got the value %q, want one without control characters", r.Value)
		}
		c.rules = append(c.rules, r)
	}
	return c, nil
}

// of returns the field value for the file at a URL path; nil means none. The first
// rule that fits decides, then the built-in ones.
func (c *cacheRules) of(urlPath, fileName string) []byte {
	lower := strings.ToLower(strings.TrimPrefix(urlPath, "/"))
	base := strings.ToLower(path.Base(fileName))
	for _, r := range c.rules {
		subject := base
		if strings.Contains(r.Pattern, "/") {
			subject = lower
		}
		if ok, _ := path.Match(r.Pattern, subject); ok {
			if r.Value == "" {
				return nil
			}
			return []byte(r.Value)
		}
	}
	if hashedName(path.Base(fileName)) {
		return []byte(cacheHashed)
	}
	return valueNoCache
}

// hashedName reports whether a file name carries a hash of its content, as build
// tools and Django's ManifestStaticFilesStorage put there: app.55e7cbb9ba48.css,
// main-4f3e2d1c.js, index-BxT9Zk3a.js. A name that only looks so would be kept for a
// year by browsers, so dates, numbers, words and UUIDs must not pass.
func hashedName(name string) bool {
	stem, ext, ok := cutExt(name)
	if !ok {
		return false
	}
	switch strings.ToLower(ext) {
	case "js", "mjs", "css", "map", "woff", "woff2", "ttf", "otf", "svg", "png", "jpg", "jpeg", "gif", "webp", "avif", "ico", "wasm", "json", "webmanifest":
	default:
		return false
	}
	for inner, e, ok := cutExt(stem); ok && (e == "min" || e == "js" || e == "css"); inner, e, ok = cutExt(stem) {
		stem = inner // app.55e7cbb9ba48.min.css, app.55e7cbb9ba48.css.map
	}
	i := strings.LastIndexAny(stem, ".-_")
	if i <= 0 {
		return false
	}
	hash, sep := stem[i+1:], stem[i]
	var digits, lower, upper, hex, other int
	for _, c := range []byte(hash) {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'f':
			hex++
			lower++
		case 'g' <= c && c <= 'z':
			lower++
		case 'A' <= c && c <= 'Z':
			upper++
		default:
			other++
		}
	}
	switch {
	case other > 0 || digits == 0:
		return false
	case len(hash) >= 8 && digits+hex == len(hash) && hex > 0 && digits > 1:
		return sep != '-' || !isUUID(stem)
	case len(hash) == 8 && sep == '-':
		return upper > 1 && lower > 0
	}
	return false
}

// cutExt splits a name at its last dot.
func cutExt(name string) (stem, ext string, ok bool) {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return name[:i], name[i+1:], true
	}
	return name, "", false
}

// isUUID reports whether a name ends in a UUID (RFC 9562 section 4): those name a
// thing, not its content.
func isUUID(s string) bool {
	groups := strings.Split(s, "-")
	if len(groups) < 5 {
		return false
	}
	groups = groups[len(groups)-5:]
	for i, n := range [...]int{8, 4, 4, 4, 12} {
		if i > 0 && len(groups[i]) != n || len(groups[i]) < n {
			return false
		}
	}
	return true
}
