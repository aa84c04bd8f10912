package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"overlay/static"
)

// filesConfig is how files are served, beyond which ones; see static.Options.
type filesConfig struct {
	DirectoryDownload bool
	TryExtensions     []string
	SPA               string
	ErrorDocuments    map[int]string
	Redirects         []static.Redirect
	CacheControl      []static.CacheRule
	Headers           []static.Field
	CORS              []string
	MIMETypes         string
	Hide              []string
	FollowSymlinks    static.FollowSymlinks
	NoCompression     bool
	NoPrecompressed   bool
	CacheSize         int64         // bytes; 0 means none
	CacheRevalidate   time.Duration // 0 asks at every request
	CacheEntries      int
	Peers             static.Peers
}

// fileOptions are the options of filesConfig that have no effect where there is
// no file to serve.
var fileOptions = []string{
	"directory-index", "directory-listing", "directory-download", "try-extension", "spa", "redirects-file",
	"cache-control", "header", "cors", "mime-types", "hide", "follow-symlinks", "no-compression", "no-precompressed",
	"cache-size", "cache-revalidate", "cache-entries", "cache-peers", "cache-self", "cache-secret-file",
}

// serving checks how files are served. What only the files can show, static.New
// checks when it opens them.
func (k *checker) serving() error {
	f := &k.cfg.Files
	f.DirectoryDownload, f.TryExtensions, f.SPA, f.CORS, f.Hide = k.DirectoryDownload, k.TryExtension, k.SPA, k.CORS, k.Hide
	f.NoCompression, f.NoPrecompressed = k.NoCompression, k.NoPrecompressed
	f.CacheSize, f.CacheRevalidate, f.CacheEntries = int64(k.CacheSize), k.CacheRevalidate, k.CacheEntries
	for _, rule := range k.CacheControl {
		f.CacheControl = append(f.CacheControl, static.CacheRule{Pattern: rule.Name, Value: rule.Value})
	}
	for _, field := range k.Header {
		f.Headers = append(f.Headers, static.Field{Name: field.Name, Value: strings.TrimSpace(field.Value)})
	}
	for _, pattern := range k.Hide {
		if _, err := filepath.Match(pattern, "name"); err != nil {
			return usagef("for example: --hide '*.bak'", "--hide: got %q, want a pattern of names", pattern)
		}
	}
	switch k.FollowSymlinks {
	case "inside":
		f.FollowSymlinks = static.FollowInside
	case "never":
		f.FollowSymlinks = static.FollowNever
	case "any":
		f.FollowSymlinks = static.FollowAny
	default:
		return oneOf("--follow-symlinks", k.FollowSymlinks, "inside", "never", "any")
	}
	if k.CacheEntries < minCacheEntries {
		return usagef("without --cache-entries 32768 paths are remembered", "--cache-entries: got %d, want %d or more", k.CacheEntries, minCacheEntries)
	}
	if err := k.peers(); err != nil {
		return err
	}
	return k.servedFiles()
}

// peers checks the options of the servers that share coded forms.
func (k *checker) peers() error {
	switch given := [...]bool{len(k.CachePeers) > 0, k.CacheSelf != "", k.CacheSecretFile != ""}; given {
	case [...]bool{false, false, false}:
		return nil
	case [...]bool{true, true, true}:
	default:
		return usagef("for example: --cache-peers http://10.0.0.2:9000 --cache-self http://10.0.0.1:9000 --cache-secret-file peers.secret",
			"--cache-peers, --cache-self and --cache-secret-file go together")
	}
	name := k.abs(k.CacheSecretFile)
	if err := k.readableFile("--cache-secret-file", name, ""); err != nil {
		return err
	}
	secret, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("--cache-secret-file: %w", err)
	}
	self, err := url.Parse(k.CacheSelf)
	if err != nil || self.Scheme != "http" || self.Hostname() == "" || self.Port() == "" {
		return usagef("a proxy in front can add TLS; the peers' URLs may be https", "--cache-self: got %q, want a URL such as http://10.0.0.1:9000", k.CacheSelf)
	}
	k.cfg.Files.Peers = static.Peers{Self: k.CacheSelf, URLs: k.CachePeers, Secret: strings.TrimSpace(string(secret))}
	return nil
}

// minCacheEntries is the least of --cache-entries.
const minCacheEntries = 64

// servedFiles checks the files that options of serving name.
func (k *checker) servedFiles() error {
	f := &k.cfg.Files
	if k.MimeTypes != "" {
		f.MIMETypes = k.abs(k.MimeTypes)
		if err := k.readableFile("--mime-types", f.MIMETypes, ""); err != nil {
			return err
		}
	}
	if k.RedirectsFile != "" {
		if err := k.readableFile("--redirects-file", k.abs(k.RedirectsFile), ""); err != nil {
			return err
		}
		redirects, err := static.ReadRedirects(k.abs(k.RedirectsFile))
		if err != nil {
			return usagef("a line is: from to [status], such as /old /new 301", "--redirects-file: %v", err)
		}
		f.Redirects = redirects
	}
	for _, document := range k.ErrorDocument {
		status, err := strconv.Atoi(document.Name)
		if err != nil || status < 400 || status > 599 {
			return usagef("for example: --error-document 404 /404.html", "--error-document: got status %q, want 400 to 599", document.Name)
		}
		if _, twice := f.ErrorDocuments[status]; twice {
			return usagef("keep one of them", "--error-document: %d is given twice", status)
		}
		if f.ErrorDocuments == nil {
			f.ErrorDocuments = map[int]string{}
		}
		f.ErrorDocuments[status] = document.Value
	}
	return nil
}

// fileOptionsOf gives for a field of static.Options the option it comes from, and an
// example.
var fileOptionsOf = map[string][2]string{
	"IndexFiles": {"directory-index", "index.html"}, "TryExtensions": {"try-extension", ".html"}, "SPA": {"spa", "/index.html"},
	"ErrorDocuments": {"error-document", "404 /404.html"}, "Hide": {"hide", "'*.bak'"}, "CORS": {"cors", "https://example.org"},
	"Headers": {"header", "X-Frame-Options DENY"}, "CacheControl": {"cache-control", "'*.css' max-age=3600"}, "MIMETypes": {"mime-types", "/etc/mime.types"},
}

// servable tries whether static can serve with the options, before anything is
// started.
func (k *checker) servable() error {
	if k.cfg.DocumentRoot == "" && len(k.cfg.URLAliases) == 0 {
		return nil
	}
	err := static.Check(k.cfg.staticOptions())
	var option *static.OptionError
	if errors.As(err, &option) {
		if known, ok := fileOptionsOf[option.Option]; ok {
			return usagef("for example: --"+known[0]+" "+known[1], "--%s: %w", known[0], option.Err)
		}
	}
	if err != nil {
		return usagef("", "%w", err)
	}
	return nil
}

// staticOptions are the options of the handler of files.
func (c *config) staticOptions() static.Options {
	f := &c.Files
	options := static.Options{
		Root:              c.DocumentRoot,
		IndexFiles:        c.DirectoryIndex,
		Listing:           c.DirectoryListing,
		DirectoryDownload: f.DirectoryDownload,
		TryExtensions:     f.TryExtensions,
		SPA:               f.SPA,
		ErrorDocuments:    f.ErrorDocuments,
		Redirects:         f.Redirects,
		CacheControl:      f.CacheControl,
		Headers:           f.Headers,
		CORS:              f.CORS,
		MIMETypes:         f.MIMETypes,
		Hide:              f.Hide,
		HideSource:        c.Application.Type != applicationStatic,
		Private:           sourcesOf(c),
		FollowSymlinks:    f.FollowSymlinks,
		NoCompression:     f.NoCompression,
		NoPrecompressed:   f.NoPrecompressed,
		CacheSize:         noneIfZero(f.CacheSize),
		CacheRevalidate:   noneIfZero(f.CacheRevalidate),
		CacheEntries:      f.CacheEntries,
		Peers:             f.Peers,
	}
	for _, a := range c.URLAliases {
		options.Aliases = append(options.Aliases, static.Alias{Path: a.Path, Target: a.Target})
	}
	return options
}

// noneIfZero turns the 0 of an option into what a package of ours calls none:
// there, zero stands for the default.
func noneIfZero[T int | int64 | time.Duration](n T) T {
	if n == 0 {
		return -1
	}
	return n
}
