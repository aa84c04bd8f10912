package main

import (
	"overlay/tlsauth"

	"github.com/valyala/fasthttp"
)

// gateReasons holds for each verdict why the client was refused and what to do.
// The texts are fixed: nothing of a certificate is shown.
var gateReasons = map[tlsauth.Verdict][2]string{
	tlsauth.NoneSent: {"This page asks for a client certificate, and none was sent.",
		"Ask whoever runs this site for one, a file that ends in .p12 with its password. Import it into your browser or device, then open this page again; if you have imported it already, restart the browser and choose it when asked."},
	tlsauth.Expired: {"Your client certificate has expired.",
		"Ask whoever runs this site for a new one."},
	tlsauth.NotYetValid: {"Your client certificate is not valid yet.",
		"Look whether the clock of your device is right; if it is, try again later."},
	tlsauth.UnknownAuthority: {"Your client certificate is from an authority that this site does not know.",
		"Choose the certificate that you were given for this site, or ask whoever runs it for one."},
	tlsauth.Revoked: {"Your client certificate has been revoked.",
		"Ask whoever runs this site for a new one."},
	tlsauth.RevocationUnknown: {"It cannot be told at the moment whether your client certificate is still good.",
		"Tell whoever runs this site that its revocation list is out of date."},
	tlsauth.WrongPurpose: {"Your certificate is not one for clients.",
		"Choose another one, or ask whoever runs this site for a client certificate."},
	tlsauth.Invalid: {"Your client certificate is not valid.",
		"Ask whoever runs this site for a new one."},
	tlsauth.NotListed: {"Your client certificate is good, but this page is for others.",
		"If you should be able to see it, ask whoever runs this site to put your certificate on the list."},
}

// gatePages is made once and never changed.
var gatePages = func() map[tlsauth.Verdict]errorPage {
	pages := make(map[tlsauth.Verdict]errorPage, len(gateReasons))
	for verdict, text := range gateReasons {
		pages[verdict] = makeGatePage(text[0], text[1])
	}
	return pages
}()

// plainGatePage is for a client that has not come over TLS, where no certificate
// can be shown.
var plainGatePage = makeGatePage("This page asks for a client certificate, which plain HTTP cannot carry.",
	"Open it at its https:// address.")

func makeGatePage(why, remedy string) errorPage {
	return makePage("403 Forbidden", why, remedy)
}

// writeGatePage answers 403 and says why, in HTML or plain text.
func writeGatePage(ctx *fasthttp.RequestCtx, verdict tlsauth.Verdict, secure bool) {
	page := gatePages[verdict]
	if !secure {
		page = plainGatePage
	}
	ctx.SetStatusCode(fasthttp.StatusForbidden)
	// The same address has another answer once a certificate is there.
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	if acceptsHTML(ctx.Request.Header.Peek(fasthttp.HeaderAccept)) {
		ctx.SetContentType("text/html; charset=utf-8")
		ctx.Response.SetBodyRaw(page.html)
		return
	}
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.Response.SetBodyRaw(page.plain)
}
