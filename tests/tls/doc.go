// Package tls runs overlay with client certificates against the programs that
// people use: curl, openssl, Python's ssl, Go's client, and Chromium; and h2spec
// against its HTTP/2. What a machine lacks is skipped and named; with
// OVERLAY_TEST_REQUIRED set it is an error, but for the browser.
//
// The certificates are those of `overlay cert`, so the tests are of that as well.
package tls
