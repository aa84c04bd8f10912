package static

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
)

// Redirect sends requests for a path that no file answers somewhere else.
type Redirect struct {
	// From is a URL path, decoded. A "*" at its end fits any rest.
	From string
	// To is a path or an http or https URL, percent-encoded as it is to be sent.
	// ":splat" in it stands for what the "*" fitted. The query of the request is
	// added unless To has one.
	To string
	// Status is 301, 302, 303, 307 or 308; zero means 301.
	Status int
}

// ReadRedirects reads a redirects file: one redirect per line, "from to [status]",
// separated by white space. Blank lines and what follows a "#" at the beginning of a
// line or after white space are ignored. An error names the file and the line.
func ReadRedirects(name string) ([]Redirect, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("redirects file: %w", err)
	}
	var out []Redirect
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		r, ok, err := parseRedirect(line)
		if err != nil {
			return nil, fmt.Errorf("redirects file %s, line %d: %w", name, number, err)
		}
		if ok {
			out = append(out, r)
		}
	}
	return out, nil
}

func parseRedirect(line string) (r Redirect, ok bool, err error) {
	fields := strings.Fields(line)
	for i, f := range fields {
		if strings.HasPrefix(f, "#") {
			fields = fields[:i]
			break
		}
	}
	switch len(fields) {
	case 0:
		return r, false, nil
	case 2, 3:
	default:
		return r, false, fmt.Errorf("got %d words, want a path, a target and perhaps a status", len(fields))
	}
	r = Redirect{From: fields[0], To: fields[1]}
	if len(fields) == 3 {
		if r.Status, err = strconv.Atoi(fields[2]); err != nil {
			return r, false, fmt.Errorf("status %q: want a number", fields[2])
		}
	}
	return r, true, r.check()
}

// check fills in the default and says what is wrong with a redirect.
func (r *Redirect) check() error {
	if r.Status == 0 {
		r.Status = fasthttp.StatusMovedPermanently
	}
	switch r.Status {
	case 301, 302, 303, 307, 308:
	default:
		return fmt.Errorf("status %d: want 301, 302, 303, 307 or 308", r.Status)
	}
	if !strings.HasPrefix(r.From, "/") || strings.Contains(strings.TrimSuffix(r.From, "*"), "*") {
		return fmt.Errorf("path %q: want a slash first, and a star at the end alone", r.From)
	}
	if !validFieldValue(r.To) || strings.ContainsAny(r.To, " \t\\") {
		return fmt.Errorf("target %q: want it percent-encoded", r.To)
	}
	rest, isURL := strings.CutPrefix(r.To, "https://")
	if !isURL {
		rest, isURL = strings.CutPrefix(r.To, "http://")
	}
	switch {
	case isURL && (rest == "" || strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, ":splat")):
		return fmt.Errorf("target %q: want a host that the client does not choose", r.To)
	case isURL:
		if host, _, _ := strings.Cut(rest, "/"); strings.Contains(host, ":splat") {
			return fmt.Errorf("target %q: want a host that the client does not choose", r.To)
		}
	case !strings.HasPrefix(r.To, "/") || strings.HasPrefix(r.To, "//"):
		return fmt.Errorf("target %q: want a path, or a URL with http:// or https://", r.To)
	case strings.HasPrefix(r.To, "/:splat"):
		// "/*" to "/:splat" with a path of "//evil.example" would name a host; splat
		// below is cleaned of leading slashes, but such a rule also never ends.
		if r.From == "/*" {
			return fmt.Errorf("target %q: redirects to itself", r.To)
		}
	}
	if strings.Contains(r.To, ":splat") && !strings.HasSuffix(r.From, "*") {
		return fmt.Errorf("target %q: :splat without a star in %q", r.To, r.From)
	}
	return nil
}

// location returns where r sends a request, and false if r is not for it.
func (r *Redirect) location(t *Target) ([]byte, bool) {
	prefix, star := strings.CutSuffix(r.From, "*")
	if !bytes.HasPrefix(t.Path, []byte(prefix)) || (!star && len(t.Path) != len(prefix)) {
		return nil, false
	}
	splat := appendEscaped(nil, bytes.TrimLeft(t.Path[len(prefix):], "/"))
	to := bytes.ReplaceAll([]byte(r.To), []byte(":splat"), splat)
	if len(t.Query) > 0 && bytes.IndexByte(to, '?') < 0 {
		fragment := []byte(nil)
		if i := bytes.IndexByte(to, '#'); i >= 0 {
			to, fragment = to[:i], bytes.Clone(to[i:])
		}
		to = append(append(append(to, '?'), t.Query...), fragment...)
	}
	return to, true
}

// ruled answers a declined request by the first redirect that fits.
func (h *Handler) ruled(ctx *fasthttp.RequestCtx, t *Target) bool {
	for i := range h.opts.Redirects {
		r := &h.opts.Redirects[i]
		if to, ok := r.location(t); ok {
			ctx.Response.Header.SetBytesV("Location", to)
			h.status(ctx, r.Status)
			return true
		}
	}
	return false
}
