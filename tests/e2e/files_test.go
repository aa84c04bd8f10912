package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"overlay/tests/e2e/load"
	"overlay/tests/e2e/program"
)

const secret = "secret outside of the document root\n"

// TestManyFiles serves a document root of 20,000 files with names and kinds that
// a server can get wrong: each is fetched whole, or refused as it should.
func TestManyFiles(t *testing.T) {
	tree := makeTree(t, 200, 100)
	for _, row := range []struct {
		name string
		args []string
		// What a request gets that no file answers: from overlay, or from the application.
		declined string
	}{
		{"alone", nil, ""},
		{"in front of an application", []string{"--python", anInterpreter(t).file, app("plain.py")}, "no such view\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := overlay.Start(t, program.Config{Args: append([]string{"--document-root", tree.dir}, row.args...)})
			client := load.Client{Addr: s.Addr}
			defer client.Close()
			for name, want := range tree.served {
				o := client.Get(urlPath(name))
				if o.Fate != load.Answered || o.Status != 200 || string(o.Body) != want {
					t.Errorf("file %q at %s: got %v, status %d, body %.80q, want %.80q", name, urlPath(name), o.Fate, o.Status, o.Body, want)
				}
			}
			for name, why := range tree.refused {
				o := client.Get(urlPath(name))
				if o.Fate != load.Answered || o.Status != 404 {
					t.Errorf("%s, %q: got %v, status %d, want 404", why, name, o.Fate, o.Status)
				}
				if strings.Contains(string(o.Body), "secret") {
					t.Errorf("%s, %q: the body is %q", why, name, o.Body)
				}
				if row.declined != "" && string(o.Body) != row.declined {
					t.Errorf("%s, %q: the application was not asked; the body is %q", why, name, o.Body)
				}
			}
			// Ways out of the document root, spelled in the request: whatever the status, no secret.
			for _, target := range []string{
				"/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/d000/../../secret.txt", "/d000/%2e%2e/%2e%2e/secret.txt",
				"/..%5csecret.txt", "/%252e%252e/secret.txt", "//secret.txt", "/./../secret.txt", "/out-dir/../secret.txt",
				"/out-dir/secret.txt", "/out-dir%2fsecret.txt", tree.outside + "/secret.txt", "/%00/../secret.txt", "/.%00./secret.txt",
			} {
				o := client.Get(target)
				if o.Fate != load.Answered || o.Status < 400 || strings.Contains(string(o.Body), "secret") {
					t.Errorf("%s: got %v, status %d, body %.80q; want an error", target, o.Fate, o.Status, o.Body)
				}
			}
		})
	}
}

// fileTree is a document root: what is to be had from it and what is not.
type fileTree struct {
	dir, outside string
	served       map[string]string // name below dir to content
	refused      map[string]string // name below dir to the reason
}

// makeTree makes dirs times files plain files, and the odd ones.
func makeTree(t *testing.T, dirs, files int) fileTree {
	t.Helper()
	base := t.TempDir()
	tree := fileTree{
		dir: filepath.Join(base, "htdocs"), outside: filepath.Join(base, "outside"),
		served: map[string]string{}, refused: map[string]string{},
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, content string) {
		t.Helper()
		file := filepath.Join(tree.dir, name)
		must(os.MkdirAll(filepath.Dir(file), 0o755))
		must(os.WriteFile(file, []byte(content), 0o644))
	}
	serve := func(name string) {
		t.Helper()
		content := fmt.Sprintf("content of %q\n", name)
		write(name, content)
		tree.served[name] = content
	}

	for d := range dirs {
		for f := range files {
			serve(fmt.Sprintf("d%03d/file %04d-100%%-ä.txt", d, f))
		}
	}
	for _, name := range []string{
		"with space.txt", " leading and trailing ", "100%.txt", "100%25.txt", "%41.txt", "A.txt", "%2e%2e.txt", "%2F.txt",
		"q?x=1.txt", "h#ash.txt", "semi;colon.txt", "plus+plus.txt", "quo'te\".txt", "<angle>.txt", "amp&er=sand.txt", "colon:.txt",
		"ümläut.txt", "u\u0308 decomposed.txt", "日本語/ファイル.txt", "😀.txt", "latin-\xe9.txt", "-rf", "~tilde", "trailing.dot.", "three...",
		"[brackets]{braces}|^`.txt", "@at,comma!star*dollar$().txt", strings.Repeat("l", 251) + ".txt", "no extension", "deep/er/and/deeper/still/file.txt",
	} {
		serve(name)
	}

	must(os.MkdirAll(tree.outside, 0o755))
	must(os.WriteFile(filepath.Join(tree.outside, "secret.txt"), []byte(secret), 0o644))
	must(os.WriteFile(filepath.Join(base, "secret.txt"), []byte(secret), 0o644))
	link := func(target, name string) { t.Helper(); must(os.Symlink(target, filepath.Join(tree.dir, name))) }
	refuse := func(name, why string) { tree.refused[name] = why }
	link(filepath.Join(tree.outside, "secret.txt"), "out.txt")
	refuse("out.txt", "absolute symbolic link out of the document root")
	link("../outside/secret.txt", "out-relative.txt")
	refuse("out-relative.txt", "relative symbolic link out of the document root")
	link(tree.outside, "out-dir")
	refuse("out-dir/secret.txt", "file below a symbolic link out of the document root")
	link("out.txt", "out-twice.txt")
	refuse("out-twice.txt", "symbolic link to one that leads out")
	link("nowhere", "dangling")
	refuse("dangling", "dangling symbolic link")
	link("loop", "loop")
	refuse("loop", "symbolic link to itself")
	link("A.txt", "inside.txt")
	tree.served["inside.txt"] = tree.served["A.txt"]
	link("d000", "inside-dir")
	tree.served["inside-dir/file 0000-100%-ä.txt"] = tree.served["d000/file 0000-100%-ä.txt"]

	must(syscall.Mkfifo(filepath.Join(tree.dir, "fifo"), 0o644))
	refuse("fifo", "FIFO")
	for _, name := range []string{".env", ".git/config", ".hidden/file.txt", "..two", "code.pyc", "__pycache__/m.cpython-311.pyc"} {
		write(name, secret)
		refuse(name, "file that is not to be served")
	}
	write(".well-known/acme", "token\n")
	tree.served[".well-known/acme"] = "token\n"
	refuse("missing.txt", "missing file")
	refuse("A.txt/extra", "path below a file")
	return tree
}

// urlPath returns the path of a file, with every byte escaped that may be.
func urlPath(name string) string {
	segments := strings.Split(name, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return "/" + strings.Join(segments, "/")
}
