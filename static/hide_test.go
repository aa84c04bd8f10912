package static

import "testing"

func TestHidden(t *testing.T) {
	for _, tt := range []struct {
		name     string
		patterns []string
		source   bool
		file     string
		want     bool
	}{
		{"plain file", nil, false, "a/b.txt", false},
		{"the tree itself", nil, false, "", false},
		{"dotfile", nil, false, ".env", true},
		{"dotfile in a directory", nil, false, "a/.env", true},
		{"below a dot directory", nil, false, ".git/config", true},
		{"well-known", nil, false, ".well-known/acme-challenge/x", false},
		{"well-known is not first", nil, false, "a/.well-known/x", true},
		{"dotfile below well-known", nil, false, ".well-known/.env", true},
		{"well-known with more letters", nil, false, ".well-known2/x", true},
		{"compiled Python", nil, false, "a/m.pyc", true},
		{"compiled Python, capitals", nil, false, "a/M.PYC", true},
		{"optimised Python", nil, false, "m.pyo", true},
		{"cache directory", nil, false, "a/__pycache__/m.txt", true},
		{"Python source without an application", nil, false, "m.py", false},
		{"Python source with an application", nil, true, "m.py", true},
		{"WSGI script with an application", nil, true, "app.WSGI", true},
		{"directory named like source", nil, true, "m.py/x.txt", true},
		{"pattern for a name", []string{"*.bak"}, false, "a/b.bak", true},
		{"pattern for a name, capitals", []string{"*.BAK"}, false, "a/b.Bak", true},
		{"pattern for a directory name", []string{"private"}, false, "a/private/b.txt", true},
		{"pattern does not match part of a name", []string{"private"}, false, "a/privateer", false},
		{"pattern for a path", []string{"/a/*.txt"}, false, "a/b.txt", true},
		{"pattern for a path is anchored", []string{"/a/*.txt"}, false, "x/a/b.txt", false},
		{"pattern for a directory by path", []string{"a/b/"}, false, "a/b/c/d", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := newHider(tt.patterns, tt.source)
			if err != nil {
				t.Fatal(err)
			}
			if got := h.hidden([]byte(tt.file)); got != tt.want {
				t.Errorf("hidden(%q) with %q = %t, want %t", tt.file, tt.patterns, got, tt.want)
			}
		})
	}
}

func TestHidePatternErrors(t *testing.T) {
	for _, p := range []string{"", "/", "[a"} {
		if _, err := newHider([]string{p}, false); err == nil {
			t.Errorf("newHider(%q) = nil error, want one", p)
		}
	}
}
