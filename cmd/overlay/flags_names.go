package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"unicode"
)

// pathError words an error of package os without the name of the system call.
func pathError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}

// shellHint explains why there may be no file of that name, above all when the
// shell left something in it for others to replace.
func shellHint(name string) string {
	if strings.Contains(name, "~/") {
		return "a shell replaces ~ only at the start of a word: --option ~/name, not --option=~/name"
	}
	if strings.ContainsRune(name, '$') {
		return "overlay does not replace $NAME; a shell does, outside of single quotes"
	}
	return "a name that does not start with / is looked up in the folder where overlay is started"
}

// shellWord quotes name for a hint, so that it can be pasted into a shell.
func shellWord(name string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("./_-+:@%,", r)
	}
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// urlPath checks a URL path given with option, and returns it decoded, without
// a trailing slash; "/" stays.
func urlPath(option, path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", usagef("a URL path starts with a slash: /"+strings.TrimPrefix(path, "./"), "%s: got %q, want a URL path", option, path)
	}
	if decoded, err := url.PathUnescape(path); err == nil && decoded != path {
		return "", usagef("write it decoded: "+shellWord(decoded), "%s: %q is percent-encoded", option, path)
	}
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		return "", usagef("", "%s: got %q, want a URL path without %q", option, path, path[i])
	}
	if strings.IndexFunc(path, unicode.IsControl) >= 0 {
		return "", usagef("", "%s: %q holds a control character", option, path)
	}
	clean := strings.TrimSuffix(path, "/")
	for _, segment := range strings.Split(strings.TrimPrefix(clean, "/"), "/") {
		if clean != "" && (segment == "" || segment == "." || segment == "..") {
			return "", usagef("", "%s: %q has an empty segment, . or .. in it, which no request has", option, path)
		}
	}
	if clean == "" {
		return "/", nil
	}
	return clean, nil
}

// isModuleName reports whether name is one or more Python identifiers with dots
// between them.
func isModuleName(name string) bool {
	for _, part := range strings.Split(name, ".") {
		if !isIdentifier(part) {
			return false
		}
	}
	return true
}

// isIdentifier reports whether name can be a Python name. It lets a few
// characters pass that Python does not: the import says so.
func isIdentifier(name string) bool {
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return name != ""
}
