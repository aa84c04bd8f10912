package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptRequest is what the arguments of get say.
type scriptRequest struct {
	method, path, output string
	later                string // name under which answer finds the response
	until                string // start of the status to wait for
	fields               []string
	body                 *string
	tls, metrics         bool
	certificate          *tls.Certificate // of the client
}

// scriptResponse is what came back, or why nothing did.
type scriptResponse struct {
	*http.Response
	body []byte
	err  error
}

func parseGet(ts *testscript.TestScript, args []string) scriptRequest {
	r := scriptRequest{method: "GET"}
	for len(args) > 1 {
		option, value := args[0], args[1]
		switch option {
		case "-tls", "-metrics":
			r.tls, r.metrics = option == "-tls", option == "-metrics"
			args = args[1:]
			continue
		case "-X":
			r.method = value
		case "-H":
			r.fields = append(r.fields, value)
		case "-cert":
			certificate, err := tls.X509KeyPair([]byte(ts.ReadFile(value+".crt")), []byte(ts.ReadFile(value+".key")))
			ts.Check(err)
			r.certificate = &certificate
		case "-until":
			r.until = value
		case "-later":
			r.later = value
		case "-o":
			r.output = value
		case "-d":
			if file, ok := strings.CutPrefix(value, "@"); ok {
				value = ts.ReadFile(file)
			}
			r.body = &value
		default:
			ts.Fatalf("get: unknown option %q", option)
		}
		args = args[2:]
	}
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		ts.Fatalf("usage: get [-X METHOD] [-H FIELD]... [-d BODY] [-o FILE] [-tls|-metrics] [-cert NAME] [-later NAME] [-until STATUS] PATH")
	}
	r.path = args[0]
	return r
}

func scriptGet(ts *testscript.TestScript, neg bool, args []string) {
	r := parseGet(ts, args)
	response := make(chan scriptResponse, 1)
	url, httpsURL := ts.Getenv("URL"), ts.Getenv("HTTPS_URL")
	if r.metrics {
		url = ts.Getenv("METRICS_URL")
	}
	go func() { response <- r.send(url, httpsURL) }()
	if r.later != "" {
		ts.Value(scriptAnswers{}).(map[string]chan scriptResponse)[r.later] = response
		return
	}
	answer := <-response
	for deadline := time.Now().Add(scriptTimeout); r.until != "" && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if answer.err == nil && strings.HasPrefix(answer.Status, r.until) {
			break
		}
		answer = r.send(url, httpsURL)
	}
	if neg {
		if answer.err == nil {
			ts.Fatalf("get: got %s and %d bytes, want a response that is cut short", answer.Status, len(answer.body))
		}
		return
	}
	printResponse(ts, answer)
	if r.output != "" {
		ts.Check(os.WriteFile(ts.MkAbs(r.output), answer.body, 0o644))
	}
}

// scriptAnswers is the key of the responses to come, by name.
type scriptAnswers struct{}

func scriptAnswer(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: answer NAME")
	}
	response := ts.Value(scriptAnswers{}).(map[string]chan scriptResponse)[args[0]]
	if response == nil {
		ts.Fatalf("answer: there was no get -later %s", args[0])
	}
	printResponse(ts, <-response)
}

func printResponse(ts *testscript.TestScript, r scriptResponse) {
	if r.err != nil {
		ts.Fatalf("get: %v", r.err)
	}
	out := ts.Stdout()
	fmt.Fprintln(out, r.Status)
	_ = r.Header.Write(&crlfRemover{out}) // sorted by name
	fmt.Fprintf(out, "\n%s", r.body)
	ts.Setenv("ETAG", r.Header.Get("ETag"))
	ts.Setenv("LAST_MODIFIED", r.Header.Get("Last-Modified"))
}

// send writes the request on a connection of its own, its path as it stands.
func (r *scriptRequest) send(httpURL, httpsURL string) scriptResponse {
	resp, body, err := r.exchange(httpURL, httpsURL)
	return scriptResponse{resp, body, err}
}

func (r *scriptRequest) exchange(httpURL, httpsURL string) (*http.Response, []byte, error) {
	base := httpURL
	if r.tls {
		base = httpsURL
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, nil, errors.New("no server: serve comes first")
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(scriptTimeout)); err != nil {
		return nil, nil, err
	}
	if r.tls {
		config := &tls.Config{InsecureSkipVerify: true} // the certificate is a test's
		if r.certificate != nil {
			config.Certificates = []tls.Certificate{*r.certificate}
		}
		conn = tls.Client(conn, config)
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\n", r.method, r.path)
	if !slices.ContainsFunc(r.fields, func(f string) bool { return strings.HasPrefix(f, "Host:") }) {
		fmt.Fprintf(&head, "Host: %s\r\n", u.Host)
	}
	for _, f := range r.fields {
		head.WriteString(f + "\r\n")
	}
	body := ""
	if r.body != nil {
		body = *r.body
		fmt.Fprintf(&head, "Content-Length: %d\r\n", len(body))
	}
	if _, err := io.WriteString(conn, head.String()+"Connection: close\r\n\r\n"+body); err != nil {
		return nil, nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.method})
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("read the body: %w", err)
	}
	return resp, data, nil
}

// crlfRemover writes lines as scripts compare them.
type crlfRemover struct{ w io.Writer }

func (c *crlfRemover) Write(p []byte) (int, error) {
	_, err := c.w.Write(bytes.ReplaceAll(p, []byte("\r\n"), []byte("\n")))
	return len(p), err
}
