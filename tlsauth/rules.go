package tlsauth

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Reasons why rules are refused.
var (
	ErrRulePath  = errors.New("tlsauth: path of a rule is not a plain URL path")
	ErrRuleTwice = errors.New("tlsauth: two rules for paths that differ in case alone")
)

// Rule asks for a certificate below a path.
type Rule struct {
	// Path is a decoded URL path: "/" for the whole site, else without a slash at
	// its end. It covers itself and everything below, in any case of letters: a
	// document root on a file system that ignores case is not a way in.
	Path string
	// Allow says who may pass: a client that fits one of the patterns. Empty means
	// everybody with a valid certificate. Rules of one path add up.
	Allow []string
	// AllowFiles are files with a pattern on each line; empty lines and lines that
	// start with # are skipped. They are read again when they change. A file without
	// a pattern lets nobody pass.
	AllowFiles []string
}

// Covers reports whether the rule gates path: endings are those of Options. A rule whose path
// New refuses covers nothing.
func (r Rule) Covers(path string, endings []string) bool {
	compiled, err := newRules([]Rule{{Path: r.Path}}, endings)
	return err == nil && len(compiled.gatesFor([]byte(path))) > 0
}

// gate is a path with everything that the rules say of it.
type gate struct {
	path     string   // "" for the whole site
	index    int      // in rules.gates
	anybody  bool     // a valid certificate is enough
	stems    []string // path without one of Options.Endings, under which it is served as well
	patterns []pattern
}

// rules are the gates, longest path first: the first that covers a path decides,
// so that a rule for /a/b can admit others than the rule for /a.
type rules struct {
	gates []*gate
	each  [][]*gate // each[i] holds gates[i] alone

	endings []string
}

// newRules compiles the rules and reads their files. What is at a path is also to
// be had by the path with one of endings behind it, and without.
func newRules(list []Rule, endings []string) (*rules, error) {
	r := &rules{endings: append(slices.Clone(storedCodings), endings...)}
	for _, rule := range list {
		if !strings.HasPrefix(rule.Path, "/") || !clean([]byte(rule.Path)) || len(rule.Path) > 1 && strings.HasSuffix(rule.Path, "/") {
			return nil, fmt.Errorf("%w: %q", ErrRulePath, rule.Path)
		}
		g, err := r.gate(string(composed([]byte(strings.TrimSuffix(rule.Path, "/")))))
		if err != nil {
			return nil, err
		}
		if len(rule.Allow)+len(rule.AllowFiles) == 0 {
			g.anybody = true
			continue
		}
		texts := slices.Clone(rule.Allow)
		for _, file := range rule.AllowFiles {
			more, err := readPatterns(file)
			if err != nil {
				return nil, err
			}
			texts = append(texts, more...)
		}
		for _, text := range texts {
			p, err := parsePattern(text)
			if err != nil {
				return nil, fmt.Errorf("rule for %s: %w", rule.Path, err)
			}
			g.patterns = append(g.patterns, p)
		}
		if g.patterns == nil {
			g.patterns = []pattern{} // from empty files: nobody
		}
	}
	for _, g := range r.gates {
		if g.patterns != nil {
			g.anybody = false // --ssl-verify-client and --ssl-allow for one path
		}
	}
	slices.SortStableFunc(r.gates, func(a, b *gate) int { return len(b.path) - len(a.path) })
	for i, g := range r.gates {
		g.index = i
		r.each = append(r.each, r.gates[i:i+1:i+1])
		for _, ending := range endings {
			if n := len(g.path) - len(ending); n > 0 && strings.EqualFold(g.path[n:], ending) {
				g.stems = append(g.stems, g.path[:n])
			}
		}
	}
	return r, nil
}

// gate returns the gate of path, which may be new.
func (r *rules) gate(path string) (*gate, error) {
	for _, g := range r.gates {
		if g.path == path {
			return g, nil
		}
		if rest, ok := cutPrefixFold([]byte(path), g.path); ok && len(rest) == 0 {
			return nil, fmt.Errorf("%w: %q and %q", ErrRuleTwice, g.path, path)
		}
	}
	g := &gate{path: path}
	r.gates = append(r.gates, g)
	return g, nil
}

func readPatterns(file string) (texts []string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		if _, err := parsePattern(text); err != nil {
			return nil, fmt.Errorf("load rules %s:%d: %w", file, n, err)
		}
		texts = append(texts, text)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("load rules %s: %w", file, err)
	}
	return texts, nil
}

// gatesFor returns the gates that a client must pass for path: none, the one with
// the longest path, or all of them when path is not clean. Nobody knows what an
// application makes of //private or /a/../private; who passes everywhere may ask.
func (r *rules) gatesFor(path []byte) []*gate {
	if len(r.gates) == 0 {
		return nil
	}
	if !clean(path) {
		return r.gates
	}
	path = composed(path)
	for i, g := range r.gates {
		if r.covers(g, path) {
			return r.each[i]
		}
	}
	return nil
}

// storedCodings are the endings of precompressed siblings: what a file holds can
// be read from them as well.
var storedCodings = []string{".gz", ".br", ".zst"}

// covers reports whether path is the gate's, lies below it, or names the same
// content by one of the endings.
func (r *rules) covers(g *gate, path []byte) bool {
	if below(path, g.path, r.endings) {
		return true
	}
	for _, stem := range g.stems {
		if below(path, stem, r.endings) {
			return true
		}
	}
	return false
}

// below reports whether path is top, any number of endings behind it, or lies below that.
func below(path []byte, top string, endings []string) bool {
	rest, ok := cutPrefixFold(path, top)
	if !ok {
		return false
	}
	for len(rest) > 0 && rest[0] != '/' {
		cut := false
		for _, ending := range endings {
			if more, ok := cutPrefixFold(rest, ending); ok {
				rest, cut = more, true
				break
			}
		}
		if !cut {
			return false
		}
	}
	return true
}

// gatesWithin returns the gates that a client must pass to see everything below
// the folder path: its own, and all below it.
func (r *rules) gatesWithin(path []byte) []*gate {
	gates := r.gatesFor(path)
	folder := string(composed(bytes.TrimRight(path, "/")))
	for _, g := range r.gates {
		if rest, ok := cutPrefixFold([]byte(g.path), folder); ok && (len(rest) == 0 || rest[0] == '/') && !slices.Contains(gates, g) {
			gates = append(slices.Clip(gates), g)
		}
	}
	return gates
}

// clean reports whether path has one meaning: it starts with a slash, and has no
// empty segment but behind the last slash, no dot segments, no backslashes, no
// control characters, and is UTF-8.
func clean(path []byte) bool {
	if len(path) == 0 || path[0] != '/' || !utf8.Valid(path) {
		return false
	}
	for rest := path[1:]; len(rest) > 0; {
		var segment []byte
		segment, rest, _ = bytes.Cut(rest, []byte{'/'})
		if len(segment) == 0 || string(segment) == "." || string(segment) == ".." {
			return false
		}
		for _, c := range segment {
			if c < ' ' || c == '\\' || c == 0x7f {
				return false
			}
		}
	}
	return true
}

// composed returns path in Unicode's normal form C: "é" is one letter or two, and file
// systems, those of macOS for one, take one for the other. It allocates only
// where that changes path.
func composed(path []byte) []byte {
	for _, c := range path {
		if c >= utf8.RuneSelf {
			return norm.NFC.Bytes(path)
		}
	}
	return path
}

// cutPrefixFold returns path without prefix, letters compared without regard to
// case.
func cutPrefixFold(path []byte, prefix string) (rest []byte, ok bool) {
	for len(prefix) > 0 {
		if len(path) == 0 {
			return nil, false
		}
		a, n := rune(path[0]), 1
		if a >= utf8.RuneSelf {
			a, n = utf8.DecodeRune(path)
		}
		b, m := rune(prefix[0]), 1
		if b >= utf8.RuneSelf {
			b, m = utf8.DecodeRuneInString(prefix)
		}
		if a != b && foldRune(a) != foldRune(b) {
			return nil, false
		}
		path, prefix = path[n:], prefix[m:]
	}
	return path, true
}

// foldRune returns the least of the runes that differ from r in case alone.
func foldRune(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

// listed says for each gate whether the client with this chain may pass.
func (r *rules) listed(chain []*x509.Certificate) []bool {
	listed := make([]bool, len(r.gates))
	for i, g := range r.gates {
		listed[i] = g.anybody
		for _, p := range g.patterns {
			listed[i] = listed[i] || p.matches(chain)
		}
	}
	return listed
}
