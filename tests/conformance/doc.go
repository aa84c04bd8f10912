// Package conformance holds a WSGI server to PEP 3333, sentence by sentence.
//
// The applications in apps are one WSGI application, suite:application, with a
// view for each thing that a case needs. The cases (cases_*_test.go) talk to it
// over plain sockets, because what matters here is what goes over the wire:
// where a body ends, and whether a response that was cut looks like it.
//
// go test runs overlay with every interpreter that tests/python-envs prepared.
// Any other server can take its place: README.md says how.
package conformance
