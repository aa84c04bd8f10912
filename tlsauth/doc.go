// Package tlsauth says how a TLS connection is made, which client certificates
// pass, and which path asks for whom.
//
// New reads the files that Options names and returns a Server. Its Config serves
// connections; Client is who is at the other end of one, Decide whether a path is
// theirs, and Environ what an application is told of them. The steps of a connection:
//
//	handshake   the client is asked for a certificate when there are trust anchors.
//	            None, or one that does not pass, ends the handshake with Required
//	            alone; else the reason is kept for the requests.
//	request     Decide: the rule of the path, then the verdict on the certificate.
//	            A verdict holds for one generation of the files, and not beyond a
//	            date of the certificate or of a revocation list.
//	reload      a file changed: everything is read again into a new generation,
//	            with session ticket keys of its own. A broken file changes nothing.
//
// So neither a resumed session nor a connection kept open outlives a revocation.
// There is no renegotiation and no authentication after the handshake: browsers,
// HTTP/2 and Go have neither.
//
//	config.go       Options, checked and read into a generation
//	server.go       Server: generations, reload
//	tickets.go      session ticket keys, alike in several processes
//	certificate.go  certificates of the server
//	protocol.go     versions and cipher suites by name
//	anchors.go      trust anchors
//	revocation.go   revocation lists
//	verify.go       verdicts on client certificates
//	rules.go        paths and who may pass there
//	pattern.go      rules about one certificate
//	identity.go     the client as environ variables
//	names.go        distinguished names as text
//	othernames.go   alternative names that crypto/x509 leaves out
//	session.go      an identifier for a session
//	misdirected.go  requests on a connection that was made for another name
//	dates.go        when certificates and lists end
//	tlstest/        short-lived certificates for the tests of any package
package tlsauth
