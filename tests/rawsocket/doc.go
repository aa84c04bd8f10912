// Package rawsocket sends bytes that no HTTP library would send to the built
// program, with an application behind it that records what reaches it: request
// hygiene, pipelining, kept connections, 100-continue.
package rawsocket
