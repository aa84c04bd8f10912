package e2e

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"overlay/tests/e2e/program"
)

const djangoPassword = "correct horse battery"

// TestDjango drives the Django example as a person does, with every
// interpreter: static files from the document root, login, an object made in
// the admin with a 5 MB file, its download, a session.
func TestDjango(t *testing.T) {
	attachment := make([]byte, 5<<20)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(attachment); err != nil {
		t.Fatal(err)
	}
	eachInterpreter(t, func(t *testing.T, python interpreter) {
		site := newDjangoSite(t, python)
		s := overlay.Start(t, program.Config{Env: site.env, Args: program.Patient(
			"--python", python.file, "--processes", "2", "--document-root", site.documentRoot,
			"--application-type", "module", "--working-directory", site.project, "notebook.wsgi",
		)})
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		b := &browser{t: t, base: s.URL, client: &http.Client{Jar: jar, Timeout: time.Minute}}

		// With DEBUG off, Django has no URL for /static/: a 200 comes from the document root.
		for _, name := range []string{"static/admin/css/base.css", "static/admin/js/vendor/jquery/jquery.js", "static/notes/style.css"} {
			onDisk, err := os.ReadFile(filepath.Join(site.documentRoot, name))
			if err != nil {
				t.Fatal(err)
			}
			page := b.get("/"+name, 200)
			if !bytes.Equal(page.body, onDisk) || page.header.Get("Etag") == "" || page.header.Get("Set-Cookie") != "" {
				t.Errorf("/%s is not the file: %d bytes, want %d; fields %v", name, len(page.body), len(onDisk), page.header)
			}
		}
		if got := b.get("/static/admin/none.css", 404).header.Get("Etag"); got != "" {
			t.Errorf("a static file that does not exist has ETag %q", got)
		}

		// The session, and CSRF: a post without a token is refused.
		b.get("/", 200).wants(t, "Your visits: 1")
		b.get("/", 200).wants(t, "Your visits: 2")
		b.post("/admin/login/", "application/x-www-form-urlencoded", strings.NewReader("username=admin"), 403)

		login := b.get("/admin/", 200)
		login.wants(t, "/admin/login/") // of the redirect
		login.wants(t, `<link rel="stylesheet" href="/static/admin/css/base.css">`)
		wrong := url.Values{"csrfmiddlewaretoken": {login.token(t)}, "username": {"admin"}, "password": {"wrong"}}
		b.post("/admin/login/?next=/admin/", "application/x-www-form-urlencoded", strings.NewReader(wrong.Encode()), 200).
			wants(t, "Please enter the correct username")
		right := url.Values{"csrfmiddlewaretoken": {login.token(t)}, "username": {"admin"}, "password": {djangoPassword}}
		b.post("/admin/login/?next=/admin/", "application/x-www-form-urlencoded", strings.NewReader(right.Encode()), 200).
			wants(t, "Site administration")

		form := b.get("/admin/notes/note/add/", 200)
		kind, body := noteForm(t, form.token(t), "Ätna & Söhne", attachment)
		b.post("/admin/notes/note/add/", kind, body, 200).wants(t, "was added successfully")

		b.get("/", 200).wants(t, "Ätna &amp; Söhne")
		note := b.get("/notes/1/", 200)
		note.wants(t, "5.0\u00a0MB")
		download := b.get("/notes/1/attachment", 200)
		if sha256.Sum256(download.body) != sha256.Sum256(attachment) {
			t.Errorf("the download is not the upload: %d bytes, want %d", len(download.body), len(attachment))
		}
		if got := download.header.Get("Content-Disposition"); got != `attachment; filename="five.bin"` {
			t.Errorf("got Content-Disposition %q", got)
		}

		// A view's own upload, with its redirect after the post.
		form = b.get("/new/", 200)
		kind, body = noteForm(t, form.token(t), "Second", []byte("short"))
		b.post("/new/", kind, body, 200).wants(t, "Saved.")
		if got := b.get("/notes/2/attachment", 200); string(got.body) != "short" {
			t.Errorf("the second attachment is %.40q", got.body)
		}

		out := url.Values{"csrfmiddlewaretoken": {b.get("/", 200).token(t)}}
		b.post("/logout/", "application/x-www-form-urlencoded", strings.NewReader(out.Encode()), 200)
		b.get("/admin/", 200).wants(t, `name="password"`)
		if strings.Contains(s.Log(), "Traceback") {
			t.Error("the log holds a traceback")
		}
	})
}

// djangoSite is the example with a database, uploads and static files of its own.
type djangoSite struct {
	project, documentRoot string
	env                   []string
}

func newDjangoSite(t *testing.T, python interpreter) djangoSite {
	t.Helper()
	dir := t.TempDir()
	site := djangoSite{project: filepath.Join(root, "examples/django"), documentRoot: filepath.Join(dir, "htdocs")}
	site.env = []string{
		"NOTEBOOK_VAR=" + filepath.Join(dir, "var"), "NOTEBOOK_HTDOCS=" + site.documentRoot,
		"DJANGO_SUPERUSER_PASSWORD=" + djangoPassword, "PYTHONDONTWRITEBYTECODE=1",
	}
	for _, args := range [][]string{
		{"migrate", "--verbosity", "0"},
		{"createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.com"},
		{"collectstatic", "--noinput", "--verbosity", "0"},
	} {
		cmd := exec.Command(python.file, append([]string{"manage.py"}, args...)...)
		cmd.Dir, cmd.Env = site.project, append(os.Environ(), site.env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("manage.py %s: %v\n%s", args[0], err, out)
		}
	}
	return site
}

// noteForm returns type and body of a multipart form for a note.
func noteForm(t *testing.T, token, title string, attachment []byte) (kind string, body io.Reader) {
	t.Helper()
	var buffer bytes.Buffer
	w := multipart.NewWriter(&buffer)
	for _, field := range [][2]string{{"csrfmiddlewaretoken", token}, {"title", title}, {"text", "Text.\n\nMore."}} {
		if err := w.WriteField(field[0], field[1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("attachment", "five.bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(attachment); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), &buffer
}

// browser is a client with cookies that follows redirects.
type browser struct {
	t      *testing.T
	base   *url.URL
	client *http.Client
}

// page is a response, after redirects.
type page struct {
	url    string
	header http.Header
	body   []byte
}

func (b *browser) get(target string, status int) page {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodGet, b.base.ResolveReference(&url.URL{Path: target}).String(), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(req, status)
}

func (b *browser) post(target, kind string, body io.Reader, status int) page {
	b.t.Helper()
	at, err := b.base.Parse(target)
	if err != nil {
		b.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, at.String(), body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	return b.do(req, status)
}

func (b *browser) do(req *http.Request, status int) page {
	b.t.Helper()
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatalf("%s %s: read the body: %v", req.Method, req.URL, err)
	}
	if resp.StatusCode != status {
		b.t.Fatalf("%s %s: got %d, want %d: %.500s", req.Method, req.URL, resp.StatusCode, status, body)
	}
	return page{resp.Request.URL.String(), resp.Header, body}
}

// wants checks that text stands in the page or in its URL.
func (p page) wants(t *testing.T, text string) {
	t.Helper()
	if !strings.Contains(string(p.body), text) && !strings.Contains(p.url, text) {
		t.Errorf("%s: %q is not on the page: %.1500s", p.url, text, p.body)
	}
}

var csrfToken = regexp.MustCompile(`name="csrfmiddlewaretoken" value="(\w+)"`)

// token returns the CSRF token of the form on the page.
func (p page) token(t *testing.T) string {
	t.Helper()
	found := csrfToken.FindSubmatch(p.body)
	if found == nil {
		t.Fatalf("%s: no form with a CSRF token: %.500s", p.url, p.body)
	}
	return string(found[1])
}
