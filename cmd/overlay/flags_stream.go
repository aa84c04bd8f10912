package main

import (
	"path"
	"strings"
)

// pathPatterns are patterns of URL paths as --cache-control has them: path.Match syntax,
// case ignored; without a slash for the last part of a path of any depth, and with one
// for the whole path from the root.
type pathPatterns []string

// streaming checks --stream-request-body.
func (k *checker) streaming() error {
	for _, pattern := range k.StreamRequestBody {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return usagef("for example: --stream-request-body '/upload/*', or '*' for all", "--stream-request-body: got %q, want a pattern of paths", pattern)
		}
		k.cfg.StreamRequestBody = append(k.cfg.StreamRequestBody, strings.ToLower(pattern))
	}
	return nil
}

// fit reports whether one of the patterns fits the decoded path of a URL.
func (p pathPatterns) fit(urlPath []byte) bool {
	if len(p) == 0 {
		return false
	}
	whole := strings.TrimPrefix(strings.ToLower(string(urlPath)), "/")
	last := strings.TrimSuffix(whole, "/")
	last = last[strings.LastIndexByte(last, '/')+1:]
	for _, pattern := range p {
		subject := last
		if strings.Contains(pattern, "/") {
			pattern, subject = strings.TrimPrefix(pattern, "/"), whole
		}
		if ok, _ := path.Match(pattern, subject); ok {
			return true
		}
	}
	return false
}
