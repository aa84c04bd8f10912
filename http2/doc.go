// Package http2 is the server's side of HTTP/2 (RFC 9113) over connections that somebody
// else has accepted. It knows frames, streams and flow control; what a request means is
// the business of Options.Handler.
//
// # Who reads, who answers
//
// A request that comes over a connection is usually answered at once, from memory, and
// then the client is waited for. So one goroutine does all of it: it reads, decodes the
// head, calls the handler, and writes what has gathered when no complete frame is left to look
// at. A small response costs one read, one write and no switch of goroutines.
//
// That goroutine has the reader's role. Nothing may keep it from reading for long, since
// everything on the connection waits for that, windows above all. So while it runs a handler
// or writes, it lends the role (watch.go), and another goroutine takes it over when
//
//   - the handler says that it is about to wait (Stream.Detach), or
//   - it takes longer than watchInterval, which the watch of the server notices.
//
// Then the first goroutine ends with its stream. A handler that waits for a window takes the
// role back and reads by itself until the window opens: a download needs no second goroutine
// either. Requests with a body, and those that come while a handler reads, get a goroutine
// of their own.
//
//	         lend                      reclaim
//	reads ──────────▶ answers, writes ──────────▶ reads
//	                        │
//	                        │ Detach, or too long
//	                        ▼
//	              another goroutine reads
//
// # What a client can make the server do
//
//	requests under way          Options.MaxStreams; twice as many handlers, if the client resets them
//	head of a request           Options.MaxHeaderBytes decoded (431), maxBlock encoded, Options.HeaderTimeout
//	body that nobody reads      streamWindow, connWindow for all of a connection
//	response nobody takes       outputLimit for a connection; Stream.SetSilence without a window, and whoever
//	                            made the connection watches its writes
//	frames that ask for nothing a purse (floods.go)
//	nothing                     Options.IdleTimeout
//
// # Files
//
//   - server.go: options, all connections, the end of all
//   - conn.go: one connection, the reader's loop; fill.go: reading and its deadlines, the end of one
//   - watch.go: the reader's role
//   - frame.go, settings.go, window.go, errors.go: what RFC 9113 says of them; process.go: one frame
//   - headers.go: the head of a request; encode.go: that of a response (RFC 7541)
//   - stream.go: a request from head to end; body.go: its body; response.go: the answer
//   - input.go, output.go: buffers; floods.go: bounds of what is cheap for a client alone
package http2
