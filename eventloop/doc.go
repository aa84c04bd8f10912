// Package eventloop keeps the connections of an HTTP/1.1 server while they
// wait for a request, and answers from memory the requests whose answer is known.
// Everything else it hands over, with what it has read, to the server proper.
//
// A goroutine that waits for its connection costs a parked stack, the buffers of its
// reader, and at each request a read that finds nothing, a wake-up and a switch. For
// a small file in the cache that is more than the answer itself. Here one goroutine
// for each processor waits for all connections at once (epoll(7)), and a request that is
// answered costs one read and one write.
//
//	accepted ──▶ loop ── known answer ──▶ loop
//	              │ ▲
//	     handover │ │ Return, between two requests
//	              ▼ │
//	            Options.Serve: the server, one goroutine for the connection
//
// What is known is decided narrowly. A request is looked up only if its head is one
// that nobody could read in two ways, has no body, and consists of fields that
// cannot change the answer, or of the few that can and are part of the key (head.go). The
// answer is what the server itself sent the last time it was asked, byte for byte but for
// Date (answer.go), as long as its Source says that it still holds. So this package
// knows nothing of files, and no rule is written down twice.
//
//   - head.go: which requests are looked up
//   - answer.go: one kept answer: what may be kept, and how it is sent again
//   - answers.go: the bounded table of kept answers
//   - recorder.go: takes down what the server sends
//   - keeper_linux.go: the loops, what they hand over, their end
//   - handover_linux.go: a connection on its way to the server and back
//   - layer_linux.go: TLS, between the socket and the requests
//   - listener_linux.go: accepts
//   - reserve_linux.go: leaves descriptors for what is served
//   - loop_linux.go: one goroutine and its connections
//   - linger_linux.go: looks again before it sleeps
//   - other.go: systems without epoll have no loop
package eventloop
