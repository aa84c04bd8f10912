package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"slices"
	"strings"
	"testing"

	"overlay/tests/e2e/load"
	"overlay/tests/e2e/program"
)

// TestValidatedPlain runs the plain application inside wsgiref.validate, which
// turns a breach of PEP 3333 by the server into a 500 and a traceback.
func TestValidatedPlain(t *testing.T) {
	megabyte := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	eachInterpreter(t, func(t *testing.T, python interpreter) {
		s := overlay.Start(t, program.Config{Args: program.Patient(
			"--python", python.file, "--application-type", "module",
			"--python-path", app(""), "--processes", "2", "--setenv", "E2E", "yes", "plain:validated",
		)})
		for _, row := range []struct {
			name, method, target, fields string
			body                         []byte
			status                       int
			check                        func(load.Outcome) error
		}{
			{"hello", "GET", "/hello", "", nil, 200, text("hello world\n")},
			{"HEAD has the length and no body", "HEAD", "/hello", "", nil, 200, both(text(""), field("Content-Length", "12"))},
			{"unknown view", "GET", "/nowhere", "", nil, 404, text("no such view\n")},
			{"environ", "GET", "/environ?q=%20a&b", "X-Custom: one\r\n", nil, 200, environIs(map[string]any{
				"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/environ", "QUERY_STRING": "q=%20a&b",
				"SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "REQUEST_URI": "/environ?q=%20a&b",
				"REQUEST_SCHEME": "http", "wsgi.url_scheme": "http", "HTTP_X_CUSTOM": "one", "E2E": "yes",
				"wsgi.multithread": true, "wsgi.multiprocess": true, "wsgi.run_once": false, "wsgi.input_terminated": true,
			})},
			{"echo of a small body", "POST", "/echo", "Content-Type: text/x\r\n", []byte("small"), 200, both(text("small"), field("Content-Type", "text/x"))},
			{"echo of a body that is spooled", "POST", "/echo", "", megabyte, 200, text(string(megabyte))},
			{"digest of a body that is spooled", "PUT", "/digest", "", megabyte, 200, digestOf(megabyte)},
			{"body by readline", "POST", "/lines?how=readline", "", []byte("a\nb\r\n\nc"), 200, text(`["a\n", "b\r\n", "\n", "c"]`)},
			{"body by readlines", "POST", "/lines?how=readlines", "", []byte("a\nb"), 200, text(`["a\n", "b"]`)},
			{"body by iteration", "POST", "/lines", "", []byte("a\nb\n"), 200, text(`["a\n", "b\n"]`)},
			{"no body by iteration", "GET", "/lines", "", nil, 200, text(`[]`)},
			{"repeated fields, reason phrase", "GET", "/fields", "", nil, 299, func(o load.Outcome) error {
				if got := o.Header.Values("Set-Cookie"); !slices.Equal(got, []string{"a=1", "b=2"}) {
					return fmt.Errorf("got Set-Cookie %q", got)
				}
				return both(field("X-Latin", "caf\xe9"), text("fields\n"))(o)
			}},
			{"generator", "GET", "/generator?n=3", "", nil, 200, text("line 0\nline 1\nline 2\n")},
			{"start_response on first iteration", "GET", "/late-start", "", nil, 200, text("late\n")},
			{"write", "GET", "/write", "", nil, 200, text("written, twice, and returned\n")},
			{"8 MiB without a length", "GET", "/big?mib=8", "", nil, 200, bigIs(8)},
			{"8 MiB with a length", "GET", "/big?mib=8&length=1", "", nil, 200, both(bigIs(8), field("Content-Length", "8388608"))},
			{"file wrapper", "GET", "/file-wrapper?length=300000", "", nil, 200, fileIs(300000, 0)},
			{"file wrapper from the middle on", "GET", "/file-wrapper?length=300000&offset=1234", "", nil, 200, fileIs(300000, 1234)},
			{"file wrapper, HEAD", "HEAD", "/file-wrapper?length=300000&content-length=1", "", nil, 200, both(text(""), field("Content-Length", "300000"))},
			{"204", "GET", "/204", "", nil, 204, both(text(""), field("Content-Length", ""))},
			{"304", "GET", "/304", "", nil, 304, both(text(""), field("Etag", `"tag"`))},
			{"redirect", "GET", "/redirect", "", nil, 303, field("Location", "/hello")},
			{"exc_info before anything is sent", "GET", "/exc-info", "", nil, 503, both(text("replaced\n"), field("X-First", ""))},
			{"chunked request", "POST", "/echo", "Transfer-Encoding: chunked\r\n", nil, 200, text("chunk and more")},
		} {
			t.Run(row.name, func(t *testing.T) {
				client := load.Client{Addr: s.Addr}
				defer client.Close()
				fields := row.fields
				if strings.HasPrefix(fields, "Transfer-Encoding") {
					// The chunks follow the empty line that ends the head; the empty line that the
					// client adds ends the trailer section (RFC 9112 §7.1).
					fields += "\r\n5\r\nchunk\r\n9\r\n and more\r\n0\r\n"
				}
				o := client.Do(row.method, row.target, fields, row.body)
				if o.Fate != load.Answered || o.Status != row.status {
					t.Fatalf("%s %s: got %v, status %d (%v), want %d: %.300s", row.method, row.target, o.Fate, o.Status, o.Err, row.status, o.Body)
				}
				if err := row.check(o); err != nil {
					t.Errorf("%s %s: %v", row.method, row.target, err)
				}
			})
		}
		noComplaint(t, s)
	})
}

// TestValidatedFlask runs the Flask example inside wsgiref.validate.
func TestValidatedFlask(t *testing.T) {
	upload := bytes.Repeat([]byte("upload \xff\x00"), 200000)
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	part, err := parts.CreateFormFile("file", "ü b.bin")
	if err == nil {
		_, err = part.Write(upload)
	}
	if err != nil || parts.Close() != nil {
		t.Fatal(err)
	}
	eachInterpreter(t, func(t *testing.T, python interpreter) {
		s := overlay.Start(t, program.Config{Args: program.Patient(
			"--python", python.file, "--application-type", "module", "--callable-object", "validated",
			"--python-path", app(""), "--python-path", root+"/examples/flask", "guestbook",
		)})
		client := load.Client{Addr: s.Addr}
		defer client.Close()
		for _, step := range []struct {
			name, method, target, fields string
			body                         []byte
			status                       int
			check                        func(load.Outcome) error
		}{
			{"empty book", "GET", "/", "", nil, 200, contains("Nobody yet.")},
			{"form", "POST", "/entries", "Content-Type: application/x-www-form-urlencoded\r\n", []byte("name=Zo%C3%AB&text=%3Cb%3E+hi"), 303, field("Location", "/")},
			{"page shows the entry", "GET", "/", "", nil, 200, contains("<b>Zoë</b>: &lt;b&gt; hi")},
			{"form without a name", "POST", "/entries", "Content-Type: application/x-www-form-urlencoded\r\n", []byte("text=x"), 400, contains("needs a name")},
			{"JSON in", "POST", "/api/entries", "Content-Type: application/json\r\n", []byte(`{"name":"a","text":"b"}`), 201, contains(`"count":2`)},
			{"JSON out", "GET", "/api/entries", "", nil, 200, contains(`{"name":"a","text":"b"}`)},
			{"JSON that is none", "POST", "/api/entries", "Content-Type: application/json\r\n", []byte(`{`), 400, contains("Bad Request")},
			{"upload", "POST", "/upload", "Content-Type: " + parts.FormDataContentType() + "\r\n", form.Bytes(), 200, both(digestOf(upload), contains(`"name":"`))},
			{"streamed", "GET", "/countdown/3?pause=0", "", nil, 200, text("3\n2\n1\n0\n")},
			{"HEAD", "HEAD", "/", "", nil, 200, text("")},
			{"method not allowed", "DELETE", "/", "", nil, 405, contains("Method Not Allowed")},
			{"no such page", "GET", "/nothing/here", "", nil, 404, contains("Not Found")},
		} {
			o := client.Do(step.method, step.target, step.fields, step.body)
			if o.Fate != load.Answered || o.Status != step.status {
				t.Fatalf("%s: %s %s: got %v, status %d (%v), want %d: %.300s", step.name, step.method, step.target, o.Fate, o.Status, o.Err, step.status, o.Body)
			}
			if err := step.check(o); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
		}
		noComplaint(t, s)
	})
}

// noComplaint looks for what wsgiref.validate, or an exception, leaves in the log.
func noComplaint(t *testing.T, s *program.Server) {
	t.Helper()
	for _, complaint := range []string{"Traceback", "AssertionError", "without being closed", "Exception ignored"} {
		if strings.Contains(s.Log(), complaint) {
			t.Errorf("the log holds %q", complaint)
		}
	}
}

// The checks below look at one thing of an outcome each.

func text(want string) func(load.Outcome) error {
	return func(o load.Outcome) error {
		if string(o.Body) != want {
			return fmt.Errorf("got body %.200q of %d bytes, want %.200q of %d", o.Body, len(o.Body), want, len(want))
		}
		return nil
	}
}

func contains(want string) func(load.Outcome) error {
	return func(o load.Outcome) error {
		if !strings.Contains(string(o.Body), want) {
			return fmt.Errorf("got body %.500q, want %q in it", o.Body, want)
		}
		return nil
	}
}

// field checks the value of a field; "" means that there is none.
func field(name, want string) func(load.Outcome) error {
	return func(o load.Outcome) error {
		if got := o.Header.Get(name); got != want {
			return fmt.Errorf("got %s %q, want %q", name, got, want)
		}
		return nil
	}
}

func both(checks ...func(load.Outcome) error) func(load.Outcome) error {
	return func(o load.Outcome) error {
		for _, check := range checks {
			if err := check(o); err != nil {
				return err
			}
		}
		return nil
	}
}

func environIs(want map[string]any) func(load.Outcome) error {
	return func(o load.Outcome) error {
		var got map[string]any
		if err := json.Unmarshal(o.Body, &got); err != nil {
			return err
		}
		for key, value := range want {
			if got[key] != value {
				return fmt.Errorf("environ[%q] is %#v, want %#v", key, got[key], value)
			}
		}
		return nil
	}
}

func digestOf(data []byte) func(load.Outcome) error {
	sum := sha256.Sum256(data)
	return func(o load.Outcome) error {
		var got struct {
			Length int
			SHA256 string
		}
		if err := json.Unmarshal(o.Body, &got); err != nil {
			return err
		}
		if got.Length != len(data) || got.SHA256 != hex.EncodeToString(sum[:]) {
			return fmt.Errorf("the application got %d bytes with SHA-256 %s, want %d with %x", got.Length, got.SHA256, len(data), sum)
		}
		return nil
	}
}

// bigIs checks the body of the view big.
func bigIs(mib int) func(load.Outcome) error {
	return func(o load.Outcome) error {
		if len(o.Body) != mib<<20 {
			return fmt.Errorf("got %d bytes, want %d", len(o.Body), mib<<20)
		}
		for i, b := range o.Body {
			if want := byte(i >> 16 % 251); b != want {
				return fmt.Errorf("byte %d is %d, want %d", i, b, want)
			}
		}
		return nil
	}
}

// fileIs checks the body of the view file_wrapper.
func fileIs(length, offset int) func(load.Outcome) error {
	return func(o load.Outcome) error {
		if len(o.Body) != length-offset {
			return fmt.Errorf("got %d bytes, want %d", len(o.Body), length-offset)
		}
		for i, b := range o.Body {
			if want := byte((i + offset) % 251); b != want {
				return fmt.Errorf("byte %d is %d, want %d", i, b, want)
			}
		}
		return nil
	}
}
