// Package static answers GET and HEAD for files under the document root, and passes
// on ("declines") every request that no file answers.
//
// A request takes these steps, each in a file of its own:
//
//	path.go             the request target, decoded once for the whole program
//	methods.go          GET and HEAD go on; OPTIONS, TRACE and the rest end here or at Next
//	find.go             the table's answer while it is fresh, else a look-up
//	  table.go          URL path to entry, bounded; entry.go: what is known of a path
//	  lookup.go         URL path to file: aliases, document root, index files
//	  hide.go           names that are never served
//	  tree.go           a directory, and what is beneath it; open_linux.go: openat2
//	serve.go            from here on the request has a file
//	  asked.go          which fields of the request matter
//	  coding.go         Accept-Encoding; choose.go: the form that the request gets
//	  preconditions.go  304 and 412, in the order of RFC 9110 section 13.2.2
//	  ranges.go         206 and 416; multipart.go: several ranges
//	  validators.go     entity tag, Last-Modified
//	  mime.go           media type by name; cachecontrol.go, fields.go: other fields
//	cache.go            the bytes of files and coded forms, in memory
//	  compress.go       what is coded, and how hard; encoders.go; peers.go: other servers' encoders
//	send.go             the body, in one write or by sendfile (send_linux.go)
//
// Where there is no file:
//
//	listing.go          a directory, as a page or as JSON; archive.go: as zip or tar (archive_http10.go)
//	redirects.go        a path that moved
//	fallback.go         the page of a single-page application; error documents
//	respond.go          the plain answers
//
// handler.go puts the steps in their order, options.go checks what was asked for.
//
// What a path may name is decided in two places. A malformed target (a broken
// escape, an encoded NUL, a climb above the root) is answered 400 for everybody. A
// target that is well formed but not plain is never looked up, and declined: an
// empty segment ("//"), "." or "..", an encoded slash, a back slash, a control
// character. So one file has one URL path, and what a gate decided about that path
// holds.
//
// What is cached is never wrong for long and never mixed. An entry of the table is
// checked against the file system when it is older than Options.CacheRevalidate. The
// bytes in the cache have keys that name one version of a file (inode, size, mtime,
// ctime), so they need no check. A file that changes while it is sent ends the
// connection before the last byte.
package static
