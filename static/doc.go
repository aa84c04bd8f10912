// Package static answers GET and HEAD for files under the document root, and passes
// on ("declines") every request that no file answers.
//
// A request takes these steps, each in a file of its own:
//
//	path.go           the request target, decoded once for the whole program
//	methods.go        GET and HEAD go on; OPTIONS, TRACE and the rest end here or at Next
//	lookup.go         URL path to file: aliases, document root, index files
//	  hide.go         names that are never served
//	  tree.go         a directory, and what is beneath it; open_linux.go: openat2
//	serve.go          from here on the request has a file
//	  mime.go         media type by name
//	  validators.go   entity tag, Last-Modified
//	  preconditions.go  304 and 412, in the order of RFC 9110 section 13.2.2
//	  ranges.go       206 and 416
//	send.go           the body; send_linux.go: sendfile
//	listing.go        a directory without an index file
//	respond.go        answers without a file
//
// handler.go puts the steps in their order, options.go checks what was asked for.
//
// What a path may name is decided in two places. A malformed target (a broken
// escape, an encoded NUL, a climb above the root) is answered 400 for everybody. A
// target that is well formed but not plain is never looked up, and declined: an
// empty segment ("//"), "." or "..", an encoded slash, a back slash, a control
// character. So one file has one URL path, and what a gate decided about that path
// holds.
package static
