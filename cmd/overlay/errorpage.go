package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"
)

// errorSentences holds one fixed sentence for each status that overlay itself
// answers with. Nothing of a request or of an error is ever put into an answer: a
// page that echoes is a page that can be made to say what an attacker wants.
var errorSentences = map[int]string{
	400: "The request is malformed.",
	401: "This resource asks for credentials.",
	403: "Access to this resource is refused.",
	404: "There is nothing at this address.",
	405: "The method is not allowed here.",
	406: "No representation of this resource suits the Accept fields of the request.",
	408: "The request did not arrive in time.",
	411: "The request needs a Content-Length.",
	412: "A precondition of the request does not hold.",
	413: "The body of the request is too large.",
	414: "The address is too long.",
	416: "None of the ranges asked for lies within the resource.",
	417: "The expectation of the request cannot be met.",
	421: "This server does not answer for that host.",
	431: "The request has too many or too long header fields.",
	500: "The server met an unexpected condition.",
	501: "The server does not support what the request needs.",
	502: "The application did not answer properly.",
	503: "The server is too busy to answer now. Try again soon.",
	504: "The application did not answer in time.",
	505: "The server speaks HTTP/1.0 and HTTP/1.1.",
}

// errorPage is the answer for one status in both of its forms.
type errorPage struct{ plain, html []byte }

// errorPages is made once and never changed.
var errorPages = func() map[int]errorPage {
	pages := make(map[int]errorPage, len(errorSentences))
	for status, sentence := range errorSentences {
		pages[status] = makeErrorPage(status, sentence)
	}
	return pages
}()

func makeErrorPage(status int, sentence string) errorPage {
	title := fmt.Sprintf("%d %s", status, fasthttp.StatusMessage(status))
	return makePage(title, sentence)
}

// pageStyle is that of the listing: the same colours, and dark where the rest is.
const pageStyle = `:root { color-scheme: light dark; --ink: #1d2733; --soft: #5c6773; --paper: #fbfaf7 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #97a1ad; --paper: #14181d } }
body { margin: 0 auto; max-width: 36rem; padding: 15vh 1.25rem 3rem; color: var(--ink); background: var(--paper); font: 1rem/1.5 system-ui, sans-serif }
h1 { margin: 0 0 1rem; font-size: 1.15rem; font-weight: 500; color: var(--soft) }`

// makePage makes a page of fixed text, which needs no escaping.
func makePage(title string, sentences ...string) errorPage {
	return errorPage{
		plain: fmt.Appendf(nil, "%s\n%s\n", title, strings.Join(sentences, "\n")),
		html: fmt.Appendf(nil, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"+
			"<title>%s</title>\n<style>\n%s\n</style>\n</head>\n<body>\n<h1>%s</h1>\n<p>%s</p>\n</body>\n</html>\n",
			title, pageStyle, title, strings.Join(sentences, "</p>\n<p>")),
	}
}

// writeErrorPage answers with the fixed page of status: HTML for a client whose
// Accept field names text/html, as browsers do, and plain text for all others. It
// replaces status, body and Content-Type of the response and leaves its other
// fields alone, so that the caller can add Allow or Retry-After before or after.
//
// It has the form of the option by which static and fallthrough are given their
// error answers.
func writeErrorPage(ctx *fasthttp.RequestCtx, status int) {
	page, ok := errorPages[status]
	if !ok {
		page = makeErrorPage(status, "The request could not be answered.")
	}
	ctx.Response.ResetBody()
	ctx.Response.Header.Del(fasthttp.HeaderContentEncoding)
	ctx.SetStatusCode(status)
	addVaryAccept(&ctx.Response.Header)
	if acceptsHTML(ctx.Request.Header.Peek(fasthttp.HeaderAccept)) {
		ctx.Response.Header.SetContentType("text/html; charset=utf-8")
		ctx.Response.SetBodyRaw(page.html)
		return
	}
	ctx.Response.Header.SetContentType("text/plain; charset=utf-8")
	ctx.Response.SetBodyRaw(page.plain)
}

// addVaryAccept tells caches that another Accept gets another form of the page (RFC
// 9110 section 12.5.5).
func addVaryAccept(header *fasthttp.ResponseHeader) {
	old := header.Peek(fasthttp.HeaderVary)
	if len(old) == 0 {
		header.SetCanonical(varyField, acceptField)
		return
	}
	for rest := old; len(rest) > 0; {
		var name []byte
		name, rest, _ = bytes.Cut(rest, comma)
		if name = trimSpace(name); string(name) == "*" || equalFold(name, "accept") {
			return
		}
	}
	header.SetBytesV(fasthttp.HeaderVary, append(append([]byte(nil), old...), ", Accept"...))
}

// acceptsHTML reports whether the Accept field value accept names text/html with a
// quality above zero (RFC 9110 section 12.5.1). Wildcards do not count: curl and
// most libraries send "*/*" and show the answer to a person in a terminal.
func acceptsHTML(accept []byte) bool {
	for len(accept) > 0 {
		var mediaRange []byte
		mediaRange, accept, _ = bytes.Cut(accept, comma)
		name, parameters, _ := bytes.Cut(mediaRange, semicolon)
		if equalFold(trimSpace(name), "text/html") {
			return !qualityIsZero(parameters)
		}
	}
	return false
}

// qualityIsZero reports whether the parameters of a media range hold q=0, 0.0 and so on.
func qualityIsZero(parameters []byte) bool {
	for len(parameters) > 0 {
		var parameter []byte
		parameter, parameters, _ = bytes.Cut(parameters, semicolon)
		name, value, _ := bytes.Cut(parameter, equalSign)
		if equalFold(trimSpace(name), "q") {
			return len(bytes.Trim(trimSpace(value), "0.")) == 0
		}
	}
	return false
}

var (
	comma     = []byte(",")
	semicolon = []byte(";")
	equalSign = []byte("=")

	varyField   = []byte(fasthttp.HeaderVary)
	acceptField = []byte(fasthttp.HeaderAccept)
)
