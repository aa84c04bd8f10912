// Package pybridge carries a request to Python and the answer back.
//
// # Hosts
//
// A host is what runs the application. The usual one is a worker process, the
// user's own interpreter running the worker program (worker/*.py), which
// is carried inside this package and sent to it over a socket. Nothing is
// compiled against a Python, and no file of overlay has to lie anywhere.
//
//	Start        starts a worker process and waits until the application is loaded
//	Worker.Serve hands one request over; the response may still be streaming when it returns
//	Worker.Stop  lets the exit handlers run; Kill does not
//
// The other is an interpreter inside the server process, one at most, in a build
// with cgo. StartEmbedded loads its libpython; Embedded has the methods of Worker,
// and keeps requests in flight with the same code. In C is the quick way alone: a
// request whose start_response is in order and whose response is a list
// of bytes. Everything else goes on in worker/wsgi.py, so that the
// rules and the words in the log are the same. A frame is a function call then.
//
// Requests take turns (turns.c): as long as the application only computes, one thread runs one
// after the other, and keeps the GIL meanwhile. Python has as many threads of its own as requests
// may run at once, each for as long as the process lives, and tells Go what comes of a request
// without calling it (notes.c): such a call would wait, with the GIL, for a processor of Go's.
//
// Waking a thread takes longer than an application of a few lines does. So while requests take
// some microseconds (slowRequest), they run on threads of Go, as function calls. Python
// has a thread for each thread of Go that has done so, too, for as long as that lives. Then there
// are more of them than requests at once, by as many as Go has processors at most
// (raiseProcessors), and so more values of a threading.local, such as database
// connections. GOMAXPROCS in the environment keeps them fewer.
//
// # Sockets
//
// A worker process has two socket pairs. On the data socket (descriptor 4) many
// requests are in flight at once, as frames (frame.go, worker/frames.py). The
// control socket (descriptor 3) is read by its main thread, which runs no
// application, so orders arrive while every other thread is busy.
//
//	to the worker    request: names, values, body, or the descriptor of a file with the body
//	                 window: how much of a response body has been taken; cancel: the client is gone
//	to the server    response: head and first bytes; body: more bytes; file: a descriptor for the rest
//	                 error, note: text for the log
//
// A body that the application reads as it arrives has a socket pair of its own
// (input.go, worker/bodies.py), whose other end goes with the request.
//
// flagLast ends a body, flagEnd says that the thread is free: an application
// can be busy after its last byte, in close() for example.
//
// # Threads
//
// What a request costs is mostly waking threads. The server process collects
// frames and writes them together (io.go). The worker program reads several
// requests with one thread and answers them together, as long as the
// application is quick (worker/threads.py).
//
// # Ownership
//
//	bytes of a RequestCtx and of Request    copied before Serve waits
//	Request.File                            the caller's; duplicated
//	Request.Input                           the caller's; read by a goroutine of the exchange's until the
//	                                        handler lets that go
//	a descriptor from a worker process      the exchange's, closed with it
//	an exchange                             held by the frame reader until flagEnd, and by the
//	                                        handler until the response is sent; then used again
package pybridge
