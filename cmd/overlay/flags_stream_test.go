package main

import (
	"strings"
	"testing"
)

func TestStreamRequestBody(t *testing.T) {
	dir := newTestFolder(t)
	for _, test := range []struct {
		patterns string
		path     string
		want     bool
	}{
		{"", "/upload", false},
		{"*", "/", true},
		{"*", "/upload", true},
		{"*", "/a/b/", true},
		{"upload", "/upload", true},
		{"upload", "/any/Upload/", true},
		{"upload", "/upload/a", false},
		{"/upload", "/upload", true},
		{"/upload", "/upload/", false},
		{"/upload/", "/upload/", true},
		{"/upload", "/any/upload", false},
		{"/upload/*", "/upload/a.bin", true},
		{"/upload/*", "/UPLOAD/a.bin", true},
		{"/upload/*", "/upload/a/b", false},
		{"upload/*", "/upload/a.bin", true},
		{"/", "/", true},
		{"/", "/a", false},
		{"*.bin /put/*/raw", "/put/7/raw", true},
		{"*.bin /put/*/raw", "/x.bin", true},
		{"*.bin /put/*/raw", "/put/raw", false},
		{"/[a-c]/*", "/b/x", true},
		{"/[a-c]/*", "/d/x", false},
	} {
		var args []string
		for _, pattern := range strings.Fields(test.patterns) {
			args = append(args, "--stream-request-body", pattern)
		}
		cfg, err := parseConfig(dir, append(args, "hello.wsgi")...)
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.StreamRequestBody.fit([]byte(test.path)); got != test.want {
			t.Errorf("%q fits %q: %v, want %v", test.patterns, test.path, got, test.want)
		}
	}
	for _, wrong := range []string{"", "/a[", "[b-"} {
		if _, err := parseConfig(dir, "--stream-request-body", wrong, "hello.wsgi"); err == nil {
			t.Errorf("--stream-request-body %q is accepted", wrong)
		}
	}
}
