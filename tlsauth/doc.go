// Package tlsauth says how a TLS connection is made and, in time, which client
// certificates pass and which path asks for whom.
//
// For now it holds the server's side alone: Options names a certificate and its
// key, Config checks both and makes a *tls.Config of them. What needs a person's
// attention without being an error, such as an expired certificate, comes back as
// warnings.
//
//	config.go   Options to *tls.Config
//	tlstest/    short-lived certificates for the tests of any package
package tlsauth
