package main

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestAcceptsHTML(t *testing.T) {
	for _, row := range []struct {
		name, accept string
		want         bool
	}{
		{"no field", "", false},
		{"curl", "*/*", false},
		{"browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},
		{"second in the list", "application/json, Text/HTML;q=0.1", true},
		{"refused by quality", "text/html;q=0, */*", false},
		{"refused by quality in full", "text/html; level=1; Q=0.000", false},
		{"smallest quality", "text/html;q=0.001", true},
		{"only a prefix", "text/html5", false},
		{"a wildcard subtype", "text/*", false},
		{"separators alone", ",;=,;q,", false},
	} {
		if got := acceptsHTML([]byte(row.accept)); got != row.want {
			t.Errorf("%s: acceptsHTML(%q) = %v, want %v", row.name, row.accept, got, row.want)
		}
	}
}

func TestWriteErrorPage(t *testing.T) {
	for _, row := range []struct {
		name, accept string
		status       int
		contentType  string
		body         string
	}{
		{"plain", "*/*", 404, "text/plain; charset=utf-8", "404 Not Found\nThere is nothing at this address.\n"},
		{"HTML", "text/html", 404, "text/html; charset=utf-8", "<h1>404 Not Found</h1>"},
		{"a status without a sentence of its own", "", 418, "text/plain; charset=utf-8", "418 I'm a teapot\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var ctx fasthttp.RequestCtx
			ctx.Request.Header.Set("Accept", row.accept)
			ctx.SetBodyString("what was there before")
			ctx.Response.Header.Set("Content-Encoding", "gzip")
			ctx.Response.Header.Set("Retry-After", "1")
			writeErrorPage(&ctx, row.status)
			header := &ctx.Response.Header
			if header.StatusCode() != row.status || string(header.ContentType()) != row.contentType {
				t.Errorf("status %d, type %q; want %d, %q", header.StatusCode(), header.ContentType(), row.status, row.contentType)
			}
			if !strings.Contains(string(ctx.Response.Body()), row.body) || strings.Contains(string(ctx.Response.Body()), "before") {
				t.Errorf("body %q, want %q in it", ctx.Response.Body(), row.body)
			}
			if got := string(header.Peek("Vary")); got != "Accept" {
				t.Errorf("Vary: %q", got)
			}
			if len(header.Peek("Content-Encoding")) > 0 || string(header.Peek("Retry-After")) != "1" {
				t.Errorf("fields %q: want no Content-Encoding, and Retry-After kept", header.String())
			}
		})
	}
}

// The two forms of a page are told apart for caches, beside what was said before.
func TestErrorPageVary(t *testing.T) {
	for before, want := range map[string]string{"": "Accept", "Origin": "Origin, Accept", "Accept-Encoding, accept": "Accept-Encoding, accept", "*": "*"} {
		var ctx fasthttp.RequestCtx
		if before != "" {
			ctx.Response.Header.Set("Vary", before)
		}
		writeErrorPage(&ctx, 404)
		if got := string(ctx.Response.Header.Peek("Vary")); got != want {
			t.Errorf("Vary %q becomes %q, want %q", before, got, want)
		}
	}
}

// Every status that a refusal has must have its sentence, and every refusal both.
func TestRefusalsAreComplete(t *testing.T) {
	for why := accepted + 1; why < refusalCount; why++ {
		if why.String() == "" || errorSentences[why.status()] == "" {
			t.Errorf("refusal %d: reason %q, status %d", why, why, why.status())
		}
		var header fasthttp.RequestHeader
		markRefused(&header, why)
		if got := refusalOf(&header); got != why {
			t.Errorf("refusalOf after markRefused(%d) = %d", why, got)
		}
	}
}
