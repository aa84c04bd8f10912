// Package certs is a small certificate authority for sharing files: what `overlay
// cert` and `overlay share` do. It lives in one folder:
//
//	ca.crt              trust anchor, for --ssl-ca-certificate-file and browsers
//	ca.key              its private key
//	ca.crl              revocation list, for --ssl-crl-file
//	index.json          every certificate issued, with what became of it
//	NAME.crt, NAME.key  a certificate and its private key
//	NAME.p12            both for browsers and phones (clients alone)
//	NAME.password       the password of NAME.p12
//	.gitignore          keeps all of it out of git
//
// Keys are ECDSA P-256, readable by their owner alone. The authority is constrained
// to this machine, local names and private addresses (RFC 5280 section 4.2.1.10):
// who steals its key cannot pass for a bank. Nothing that exists is changed by
// running a command twice.
//
//	authority.go   Init, Open
//	issue.go       certificates of servers and clients
//	constraints.go names that the authority may sign
//	index.go       what was issued
//	revoke.go      revocation
//	pkcs12.go      files for browsers
//	files.go       reading and writing of files
package certs
