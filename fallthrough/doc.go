// Package fallthru decides which worker process gets a declined request, and
// when. It lies in the folder fallthrough, which is a keyword of Go.
//
// # A request
//
// Handler.Handle finds the mount (handler.go), receives the body whole, in
// memory or in a temporary file (spool.go), or leaves it to the application to read as
// it arrives (stream.go), waits for a free thread in the
// bounded queue of the mount's process group (queue.go, group.go), and hands
// the request to the worker process of that thread (worker.go). Errors become
// a status in errors.go, and nothing else of them reaches the client. What is
// counted on the way is in stats.go.
//
// # A worker process
//
// Each place in a process group has a keeper (keeper.go), a goroutine that
// leads one worker process after the other through these states:
//
//	state     takes requests  becomes                   when
//	starting  no              ready                     its application is loaded
//	                          ended, then a pause       it is not, or the startup timeout is over
//	ready     yes             leaving                   it asks to be replaced, or the group ends
//	                          ended                     it crashes: what it holds is answered 502
//	leaving   no, finishes    stopping                  it holds no request
//	stopping  no              ended                     its exit handlers are done, or the shutdown timeout is over
//	ended     no              a new one is starting     at once, or after a pause when they end too soon
//
// A request handed to a worker process is never handed to another one: the
// application may have acted on it.
package fallthru
