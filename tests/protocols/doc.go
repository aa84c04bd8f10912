// Package protocols asks the same of overlay over HTTP/1.1, HTTP/1.1 over TLS and
// HTTP/2, and holds the answers against each other: status, fields and bytes are the
// same, but for the fields of the connection. A request that HTTP/2 has no words for, or for which
// it has other ones, says so in the table.
//
//	requests_test.go    the table
//	protocols_test.go   what is compared, and how
//	client_test.go      clients that send whatever they are told
package protocols
