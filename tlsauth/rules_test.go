package tlsauth_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"path"
	"strings"
	"testing"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"
)

// gatedServer has gates for /private, /private/deep and /ärger, three in all.
func gatedServer(t testing.TB) *tlsauth.Server {
	f := newFixture(t)
	options := f.options(t)
	options.Rules = []tlsauth.Rule{{Path: "/private"}, {Path: "/private/deep", Allow: []string{"cn=alice"}}, {Path: "/ärger"}}
	return newServer(t, options)
}

func TestGates(t *testing.T) {
	s := gatedServer(t)
	const all = 3
	for _, row := range []struct {
		name, path string
		want       int // gates to pass
	}{
		{"the site's root", "/", 0},
		{"elsewhere", "/public/file", 0},
		{"elsewhere, trailing slash", "/public/", 0},
		{"a longer name", "/privateer", 0},
		{"below another folder", "/public/private", 0},
		{"itself", "/private", 1},
		{"itself with a slash", "/private/", 1},
		{"below", "/private/file", 1},
		{"deep itself", "/private/deep", 1},
		{"below deep", "/private/deep/er/file", 1},
		{"upper case", "/PRIVATE/file", 1},
		{"mixed case", "/pRivate", 1},
		{"Kelvin is no letter of it", "/\u212aprivate", 0},
		{"another letter that folds to one of it", "/pr\u0130vate", 0},
		{"non-ASCII", "/ärger/x", 1},
		{"non-ASCII in upper case", "/ÄRGER/x", 1},
		{"stored coding", "/private.gz", 1},
		{"stored coding in upper case", "/private.GZ", 1},
		{"brotli", "/private.br", 1},
		{"zstd", "/private.zst", 1},
		{"another ending", "/private.gzip", 0},
		{"doubled slash in front", "//private/file", all},
		{"doubled slash", "/public//private", all},
		{"doubled slash at the end", "/public//", all},
		{"dot", "/./private", all},
		{"dots", "/public/../private", all},
		{"dots at the end", "/private/..", all},
		{"backslash", "/public\\..\\private", all},
		{"control character", "/public\x01", all},
		{"NUL", "/public\x00", all},
		{"not UTF-8", "/public\xff", all},
		{"overlong slash", "/public\xc0\xafprivate", all},
		{"no slash", "private", all},
		{"asterisk", "*", all},
		{"empty", "", all},
		{"three dots are a name", "/public/.../x", 0},
		{"semicolon is a byte", "/private;x/y", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := s.Gates([]byte(row.path)); got != row.want {
				t.Errorf("%q: %d gates, want %d", row.path, got, row.want)
			}
		})
	}
}

// The longest path decides, so that a rule below can admit others.
func TestLongestRuleDecides(t *testing.T) {
	f := newFixture(t)
	options := f.options(t)
	options.Rules = []tlsauth.Rule{
		{Path: "/", Allow: []string{"cn=alice", "cn=bob"}},
		{Path: "/bob", Allow: []string{"cn=bob"}},
		{Path: "/guest"}, // anybody
		{Path: "/bob"},   // adds nothing to a list
	}
	s := newServer(t, options)
	want := map[string]map[string]bool{
		"alice": {"/": true, "/x": true, "/bob": false, "/bob/x": false, "/guest/": true, "//x": false},
		"bob":   {"/": true, "/x": true, "/bob": true, "/bob/x": true, "/guest/": true, "//x": true},
		"carol": {"/": false, "/x": false, "/bob": false, "/bob/x": false, "/guest/": true, "//x": false},
	}
	for name, paths := range want {
		client := f.clientOf(t, s, f.clientConfig(f.ca.Issue(t, named(name)).TLS(t)))
		for path, passes := range paths {
			got := s.Decide(client, []byte(path))
			if passes && got != tlsauth.Passed || !passes && got != tlsauth.NotListed {
				t.Errorf("%s at %s: %v, want passed: %v", name, path, got, passes)
			}
		}
	}
}

// With endings, no name of the same content is open.
func TestEndings(t *testing.T) {
	f := newFixture(t)
	options := f.options(t)
	options.Rules = []tlsauth.Rule{{Path: "/page"}, {Path: "/other.html"}}
	options.Endings = []string{".html", ".htm"}
	s := newServer(t, options)
	for path, want := range map[string]int{
		"/page": 1, "/page.html": 1, "/page.HTM": 1, "/page.html.gz": 1, "/page.txt": 0, "/pages": 0, "/page.htmlx": 0,
		"/other.html": 1, "/other": 1, "/other.html.br": 1, "/other.htm": 1, "/others": 0,
	} {
		if got := s.Gates([]byte(path)); got != want {
			t.Errorf("%q: %d gates, want %d", path, got, want)
		}
	}
}

// A letter with an accent is one letter or two, and the same name to some file systems.
func TestNormalForms(t *testing.T) {
	const composed, decomposed = "/caf\u00e9", "/cafe\u0301"
	for _, rule := range []string{composed, decomposed} {
		f := newFixture(t)
		options := f.options(t)
		options.Rules = []tlsauth.Rule{{Path: rule}}
		s := newServer(t, options)
		for path, want := range map[string]int{
			composed: 1, decomposed: 1, decomposed + "/x": 1, "/CAFE\u0301/x": 1, composed + ".gz": 1,
			"/cafe": 0, "/cafe/x": 0, "/caf": 0, "/cafe\u0302": 0,
		} {
			if got := s.Gates([]byte(path)); got != want {
				t.Errorf("rule %+q, path %+q: %d gates, want %d", rule, path, got, want)
			}
		}
		if got := s.DecideWithin(nil, []byte("/")); got != tlsauth.NoneSent {
			t.Errorf("everything below /: %v", got)
		}
	}
	f := newFixture(t)
	options := f.options(t)
	options.Rules = []tlsauth.Rule{{Path: composed, Allow: []string{"cn=alice"}}, {Path: decomposed, Allow: []string{"cn=bob"}}}
	s := newServer(t, options)
	if got := s.Gates([]byte(composed)); got != 1 {
		t.Errorf("two rules for one path: %d gates, want one that both have added to", got)
	}
}

// What shows everything below a folder has to pass every gate in it.
func TestDecideWithin(t *testing.T) {
	f := newFixture(t)
	options := f.options(t)
	options.Rules = []tlsauth.Rule{{Path: "/a/private"}, {Path: "/a/private/alice", Allow: []string{"cn=alice"}}}
	s := newServer(t, options)
	alice := f.clientOf(t, s, f.clientConfig(f.ca.Issue(t, named("alice")).TLS(t)))
	bob := f.clientOf(t, s, f.clientConfig(f.ca.Issue(t, named("bob")).TLS(t)))
	for _, row := range []struct {
		path             string
		alice, bob, none tlsauth.Verdict
	}{
		{"/", tlsauth.Passed, tlsauth.NotListed, tlsauth.NoneSent},
		{"/a/", tlsauth.Passed, tlsauth.NotListed, tlsauth.NoneSent},
		{"/A/Private/", tlsauth.Passed, tlsauth.NotListed, tlsauth.NoneSent},
		{"/a/private/bob/", tlsauth.Passed, tlsauth.Passed, tlsauth.NoneSent},
		{"/b/", tlsauth.Passed, tlsauth.Passed, tlsauth.Passed},
		{"/a/pri/", tlsauth.Passed, tlsauth.Passed, tlsauth.Passed},
		{"//", tlsauth.Passed, tlsauth.NotListed, tlsauth.NoneSent},
	} {
		for client, want := range map[*tlsauth.Client]tlsauth.Verdict{alice: row.alice, bob: row.bob, nil: row.none} {
			if got := s.DecideWithin(client, []byte(row.path)); got != want {
				t.Errorf("%s: %v, want %v", row.path, got, want)
			}
		}
	}
}

// Without rules the whole site is gated.
func TestNoRulesGateEverything(t *testing.T) {
	f := newFixture(t)
	s := newServer(t, f.options(t))
	for _, path := range []string{"/", "/x", "", "*", "//"} {
		if s.Gates([]byte(path)) != 1 {
			t.Errorf("%q is open", path)
		}
	}
}

// Whatever a reader of paths might make of it (slashes merged, dots resolved,
// backslashes taken for slashes, case ignored, endings of stored codings), what it
// would find behind a gate is gated.
func FuzzGates(f *testing.F) {
	for _, seed := range []string{"/", "/private", "//private", "/a/../private", "/PRIVATE/x", "/private.gz", "/public/./x", "/ÄRGER", "/p\\..\\private", "/private/deep/x"} {
		f.Add(seed)
	}
	s := gatedServer(f)
	gated := []string{"/private", "/private/deep", "/ärger"}
	f.Fuzz(func(t *testing.T, text string) {
		readings := []string{text, path.Clean("/" + text), path.Clean("/" + strings.ReplaceAll(text, "\\", "/"))}
		for _, reading := range readings {
			for _, gate := range gated {
				if s.Gates([]byte(text)) == 0 && behind(reading, gate) {
					t.Fatalf("%q is open, and may be read as %q", text, reading)
				}
			}
		}
	})
}

// behind reports whether path leads to gate or below, letters taken without case.
func behind(path, gate string) bool {
	segments, want := strings.Split(path, "/"), strings.Split(gate, "/")
	if len(segments) < len(want) {
		return false
	}
	for i := range want {
		name := segments[i]
		if i == len(want)-1 {
			for _, ending := range []string{".gz", ".br", ".zst"} {
				name = strings.TrimSuffix(name, ending)
			}
		}
		if !strings.EqualFold(name, want[i]) {
			return false
		}
	}
	return true
}

func TestPatterns(t *testing.T) {
	ca := tlstest.NewCA(t)
	certificate := ca.Issue(t, richName)
	fingerprint := tlsauth.Fingerprint(certificate.Certificate)
	serial := certificate.Certificate.SerialNumber.Text(16)
	for _, row := range []struct {
		pattern string
		want    bool
	}{
		{"cn=Alice Example", true},
		{"CN = Alice Example", true},
		{"cn=alice example", false},
		{"cn=Alice", false},
		{"cn=Alice*", true},
		{"cn=*Example", true},
		{"cn=*Exam", false},
		{"cn=A*e*e", true},
		{"cn=A*Alice*", false},
		{"cn=*", true},
		{"ou=Staff", true},
		{"ou=Night", true},
		{"ou=Day", false},
		{"o=Example, Ltd", true},
		{"email=alice@example.org", true},
		{"email=ALICE@Example.ORG", true},
		{"email=*@example.org", true},
		{"email=*@example.com", false},
		{"dns=laptop.example.org", true},
		{"uri=urn:example:alice", true},
		{"issuer=overlay test authority", true},
		{"issuer=CN=overlay test authority", true},
		{"issuer=another", false},
		{"serial=" + serial, true},
		{"serial=00:" + strings.ToUpper(serial), true},
		{"serial=1" + serial, false},
		{"sha256=" + fingerprint, true},
		{"sha256=" + strings.ToUpper(colons(fingerprint)), true},
		{"sha256=" + strings.Repeat("0", 64), false},
		{"ou=Staff and email=*@example.org", true},
		{"ou=Staff and email=*@example.com", false},
	} {
		t.Run(row.pattern, func(t *testing.T) {
			f := newFixture(t)
			f.write(t, f.anchors, ca.PEM())
			options := f.options(t)
			options.RevocationFiles = nil
			options.Rules = []tlsauth.Rule{{Path: "/", Allow: []string{row.pattern}}}
			s := newServer(t, options)
			got := s.Decide(f.clientOf(t, s, f.clientConfig(certificate.TLS(t))), []byte("/"))
			if (got == tlsauth.Passed) != row.want {
				t.Errorf("%v, want passed: %v", got, row.want)
			}
		})
	}
	for _, bad := range []string{"", "alice", "cn=", "cn= ", "name=x", "serial=xyz", "sha256=abcd", "cn=a\nb", "cn=a and ", "serial=*"} {
		if tlsauth.ValidPattern(bad) == nil {
			t.Errorf("pattern %q is accepted", bad)
		}
	}
}

// An attribute that is there and empty names nobody.
func TestEmptyNameFitsNothing(t *testing.T) {
	f := newFixture(t)
	options := f.options(t)
	options.Rules = []tlsauth.Rule{{Path: "/", Allow: []string{"cn=*"}}}
	s := newServer(t, options)
	for want, name := range map[tlsauth.Verdict]string{tlsauth.NotListed: "", tlsauth.Passed: "x"} {
		certificate := f.ca.Issue(t, func(c *x509.Certificate) {
			c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: name}}}
		})
		if got := s.Decide(f.clientOf(t, s, f.clientConfig(certificate.TLS(t))), []byte("/")); got != want {
			t.Errorf("cn=* for %q: %v, want %v", name, got, want)
		}
	}
}

func colons(digits string) string {
	var out bytes.Buffer
	for i := 0; i < len(digits); i += 2 {
		if i > 0 {
			out.WriteByte(':')
		}
		out.WriteString(digits[i : i+2])
	}
	return out.String()
}

// A pattern names nobody by accident: what is accepted matches no certificate that
// lacks the value, and the text between stars stands in the value in order.
func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"cn=a*b", "sha256=00", "cn=x and ou=*", "serial=0", "email=*@*"} {
		f.Add(seed, "value")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		err := tlsauth.ValidPattern("cn=" + text)
		if err != nil || strings.Contains(text, " and ") {
			return
		}
		text = strings.TrimSpace(text)
		if !tlsauth.Glob(text, value) {
			return
		}
		rest := value
		for _, part := range strings.Split(text, "*") {
			i := strings.Index(rest, part)
			if i < 0 {
				t.Fatalf("%q fits %q without %q", value, text, part)
			}
			rest = rest[i+len(part):]
		}
		if !strings.Contains(text, "*") && text != value {
			t.Fatalf("%q fits %q", value, text)
		}
	})
}
