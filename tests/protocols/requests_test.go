package protocols

import "strings"

// row is a request, and what it is answered.
type row struct {
	name string
	request
	want string // the status over HTTP/1.1; "closed" for a connection that ends without one

	// What is different over TLS, or over HTTP/2 alone: the status, or names of fields and
	// "body", with commas. why says the reason.
	tls, http2, why string
}

// Reasons that several rows have.
const (
	malformed = "RFC 9113 section 8.1.1: a malformed request is an error of its stream, not one that is answered"
	noCoding  = "RFC 9113 section 8.2.2: HTTP/2 has no fields of a connection, and no transfer coding"
)

// early is for answers in pieces: their length is told if the last one is there before the
// head is sent.
const early = "the length is known if the application is fast enough"

// again is for what is compressed: its bytes change once, at a time of their own.
const again = "it is compressed again, and better, in the background"

func get(target string, fields ...string) request { return request{target: target, fields: fields} }

func head(target string, fields ...string) request {
	return request{method: "HEAD", target: target, fields: fields}
}

func method(name, target string) request { return request{method: name, target: target} }

func post(target, body string, fields ...string) request {
	return request{method: "POST", target: target, body: body, fields: fields}
}

var rows = []row{
	// Files.
	{name: "a file", request: get("/a.txt"), want: "200"},
	{name: "HEAD of a file", request: head("/a.txt"), want: "200"},
	{name: "with a query", request: get("/a.txt?x=1"), want: "200"},
	{name: "empty", request: get("/empty"), want: "200"},
	{name: "HEAD of the empty one", request: head("/empty"), want: "200"},
	{name: "1 MiB", request: get("/big.bin"), want: "200"},
	{name: "HEAD of 1 MiB", request: head("/big.bin"), want: "200"},
	{name: "escapes", request: get("/a%20b.txt"), want: "200"},
	{name: "escapes of others", request: get("/%61.txt"), want: "200"},
	{name: "UTF-8", request: get("/%c3%a4.txt"), want: "200"},
	{name: "hidden", request: get("/.hidden"), want: "404"},

	// Folders.
	{name: "folder without its slash", request: get("/dir"), want: "301"},
	{name: "folder with an index", request: get("/dir/"), want: "200"},
	{name: "HEAD of it", request: head("/dir/"), want: "200"},
	{name: "listing", request: get("/list/", "Accept: text/html"), want: "200"},
	{name: "HEAD of a listing", request: head("/list/"), want: "200"},
	{name: "listing in JSON", request: get("/list/", "Accept: application/json"), want: "200"},
	{name: "zip", request: get("/list/?download=zip"), want: "200"},
	{name: "tar", request: get("/list/?download=tar"), want: "200"},
	{name: "HEAD of a zip", request: head("/list/?download=zip"), want: "200"},

	// Ranges.
	{name: "first bytes", request: get("/a.txt", "Range: bytes=0-3"), want: "206"},
	{name: "last bytes", request: get("/a.txt", "Range: bytes=-4"), want: "206"},
	{name: "from some byte on", request: get("/big.bin", "Range: bytes=1048000-"), want: "206"},
	{name: "HEAD with a range", request: head("/a.txt", "Range: bytes=0-3"), want: "200"},
	{name: "two ranges", request: get("/a.txt", "Range: bytes=0-1,4-5"), want: "206", tls: "content-type,content-length,body", why: "the boundary between the parts is random"},
	{name: "past the end", request: get("/a.txt", "Range: bytes=100-"), want: "416"},
	{name: "no range at all", request: get("/a.txt", "Range: bytes=x"), want: "200"},
	{name: "If-Range that fits", request: get("/a.txt", "Range: bytes=0-3", "If-Range: TAG"), want: "206"},
	{name: "If-Range that does not", request: get("/a.txt", "Range: bytes=0-3", `If-Range: "other"`), want: "200"},

	// Preconditions.
	{name: "If-None-Match", request: get("/a.txt", "If-None-Match: TAG"), want: "304"},
	{name: "HEAD with If-None-Match", request: head("/a.txt", "If-None-Match: TAG"), want: "304"},
	{name: "If-None-Match of another", request: get("/a.txt", `If-None-Match: "other"`), want: "200"},
	{name: "If-None-Match in two fields", request: get("/a.txt", `If-None-Match: "other"`, "If-None-Match: TAG"), want: "304"},
	{name: "If-Modified-Since", request: get("/a.txt", "If-Modified-Since: Fri, 02 Jan 2026 03:04:05 GMT"), want: "304"},
	{name: "If-Modified-Since before", request: get("/a.txt", "If-Modified-Since: Fri, 02 Jan 2026 03:04:04 GMT"), want: "200"},
	{name: "If-Match of another", request: get("/a.txt", `If-Match: "other"`), want: "412"},
	{name: "If-Unmodified-Since before", request: get("/a.txt", "If-Unmodified-Since: Fri, 02 Jan 2026 03:04:04 GMT"), want: "412"},

	// Codings.
	{name: "gzip", request: get("/text.txt", "Accept-Encoding: gzip"), want: "200", tls: "etag,content-length,body", why: again},
	{name: "br", request: get("/text.txt", "Accept-Encoding: br, gzip;q=0.5"), want: "200", tls: "etag,content-length,body", why: again},
	{name: "zstd", request: get("/text.txt", "Accept-Encoding: zstd"), want: "200", tls: "etag,content-length,body", why: again},
	{name: "HEAD with gzip", request: head("/text.txt", "Accept-Encoding: gzip"), want: "200", tls: "etag,content-length,body", why: again},
	{name: "gzip and a range", request: get("/text.txt", "Accept-Encoding: gzip", "Range: bytes=0-9"), want: "206", tls: "etag,content-range,body", why: again},
	{name: "a sibling", request: get("/pre.js", "Accept-Encoding: gzip"), want: "200"},
	{name: "no coding will do", request: get("/text.txt", "Accept-Encoding: identity;q=0"), want: "406"},

	// Methods. What is no GET or HEAD is for the application.
	{name: "POST of a file", request: post("/a.txt", "x"), want: "404"},
	{name: "PUT of a file", request: method("PUT", "/a.txt"), want: "404"},
	{name: "DELETE of a file", request: method("DELETE", "/a.txt"), want: "404"},
	{name: "OPTIONS of a file", request: method("OPTIONS", "/a.txt"), want: "404"},
	{name: "OPTIONS *", request: method("OPTIONS", "*"), want: "204"},
	{name: "TRACE", request: method("TRACE", "/a.txt"), want: "405"},
	{name: "CONNECT", request: request{method: "CONNECT", target: "site.example:443", host: "site.example:443"}, want: "405"},
	{name: "another method", request: method("PROPFIND", "/seen"), want: "200"},
	{name: "lower case", request: method("get", "/seen"), want: "200"},
	{name: "no token", request: method("G(T", "/seen"), want: "400"},
	{name: "underscore in the method", request: method("G_T", "/seen"), want: "200"},

	// Targets.
	{name: "GET *", request: get("*"), want: "400", http2: "reset 1", why: malformed},
	{name: "absolute form", request: get("http://site.example/a.txt"), want: "200", http2: "reset 1", why: malformed + "; :path never has an authority"},
	{name: "no slash", request: get("a.txt"), want: "400", http2: "reset 1", why: malformed},
	{name: "no target", request: get(""), want: "400", http2: "reset 1", why: malformed},
	{name: "NUL", request: get("/%00"), want: "400"},
	{name: "climbs", request: get("/../a.txt"), want: "400"},
	{name: "climbs in escapes", request: get("/list/%2e%2e/%2e%2e/a.txt"), want: "400"},
	{name: "two slashes", request: get("//a.txt"), want: "404"},
	{name: "slash behind a file", request: get("/a.txt/"), want: "404"},
	{name: "escaped slash", request: get("/list%2fone.txt"), want: "404"},
	{name: "half an escape", request: get("/%zz"), want: "400"},
	{name: "space", request: get("/a b.txt"), want: "400"},
	{name: "tab", request: get("/a\tb.txt"), want: "400"},
	{name: "a byte beyond ASCII", request: get("/\xc3\xa4.txt"), want: "400"},
	{name: "fragment", request: get("/a.txt#x"), want: "400"},
	{name: "backslash", request: get(`/list\one.txt`), want: "404"},
	{name: "8000 bytes", request: get("/" + strings.Repeat("x", 8000)), want: "404"},
	{name: "more than that", request: get("/" + strings.Repeat("x", 8200)), want: "414"},
	{name: "more than all", request: get("/" + strings.Repeat("x", 17000)), want: "431"},

	// Heads.
	{name: "fields", request: get("/seen", "X-One: 1", "X-One: 2", "X-Empty:", "X-Latin: \xe4", "X-List: a, b"), want: "200"},
	{name: "cookies", request: get("/seen", "Cookie: a=1; b=2"), want: "200"},
	{name: "cookies in crumbs", request: get("/seen", "Cookie: a=1", "Cookie: b=2"), want: "200"},
	{name: "underscore in a name", request: get("/seen", "X_One: 1", "X-Two: 2"), want: "200"},
	{name: "Proxy", request: get("/seen", "Proxy: http://evil.example"), want: "200"},
	{name: "names of variables", request: get("/seen", "Remote-User: root", "SSL-Client-Verify: SUCCESS", "HTTPS: on", "Content-Type: a/b"), want: "200"},
	{name: "TE: trailers", request: get("/seen", "TE: trailers"), want: "200"},
	{name: "TE: gzip", request: get("/seen", "TE: gzip"), want: "200", http2: "reset 1", why: noCoding},
	{name: "Connection", request: get("/a.txt", "Connection: close"), want: "200", http2: "reset 1", why: noCoding},
	{name: "Upgrade", request: get("/a.txt", "Connection: upgrade", "Upgrade: websocket"), want: "200", http2: "reset 1", why: noCoding},
	{name: "a long field", request: get("/seen", "X-Long: "+strings.Repeat("x", 8000)), want: "200"},
	{name: "too long a field", request: get("/seen", "X-Long: "+strings.Repeat("x", 17000)), want: "431"},
	{name: "too long a field of HEAD", request: head("/seen", "X-Long: "+strings.Repeat("x", 17000)), want: "431"},
	{name: "too long by far", request: get("/seen", "X-Long: "+strings.Repeat("\x01", 70000)), want: "431", http2: "goaway 9", why: "what no request needs is not decoded, and without that the table of fields is lost"},
	{name: "too many fields", request: get("/seen", strings.Split(strings.Repeat("X-A: 1\n", 150)+"X-B: 2", "\n")...), want: "431"},
	{name: "no host", request: request{target: "/a.txt", host: "-"}, want: "400"},
	{name: "two hosts", request: get("/a.txt", "Host: site.example"), want: "400", http2: "200", why: "RFC 9113 section 8.3.1: Host beside :authority is fine if it says the same"},
	{name: "three hosts", request: get("/a.txt", "Host: site.example", "Host: site.example"), want: "400"},
	{name: "two hosts that differ", request: get("/a.txt", "Host: other.example"), want: "400"},
	{name: "host with a port", request: request{target: "/seen", host: "site.example:8443"}, want: "200"},
	{name: "host with a space", request: request{target: "/a.txt", host: "a b"}, want: "400"},
	{name: "host with a user", request: request{target: "/a.txt", host: "user@site.example"}, want: "400"},
	{name: "host with a list", request: request{target: "/a.txt", host: "a,b"}, want: "400"},
	{name: "a name with a space", request: get("/a.txt", "X Y: 1"), want: "400", http2: "reset 1", why: malformed},
	{name: "no name", request: get("/a.txt", ": 1"), want: "400", http2: "reset 1", why: malformed},
	{name: "LF within a field", request: get("/a.txt", "X-A: 1\n2"), want: "400", http2: "reset 1", why: malformed},
	{name: "NUL within a field", request: get("/a.txt", "X-A: 1\x002"), want: "400", http2: "reset 1", why: malformed},
	{name: "a control character within a field", request: get("/a.txt", "X-A: 1\x012"), want: "400"},
	{name: "two content types", request: get("/seen", "Content-Type: a/b", "Content-Type: c/d"), want: "400"},

	// Bodies.
	{name: "a body", request: post("/seen", "body", "Content-Type: text/plain"), want: "200"},
	{name: "a body of unknown length", request: request{method: "POST", target: "/seen", body: "body", unknown: true}, want: "200"},
	{name: "no body of unknown length", request: request{method: "POST", target: "/seen", unknown: true}, want: "200"},
	{name: "a body of GET", request: request{target: "/seen", body: "body"}, want: "200"},
	{name: "a body of DELETE", request: request{method: "DELETE", target: "/seen", body: "body"}, want: "200"},
	{name: "200 KB back", request: post("/echo", strings.Repeat("0123456789", 20000)), want: "200"},
	{name: "200 KB of unknown length back", request: request{method: "POST", target: "/echo", body: strings.Repeat("0123456789", 20000), unknown: true}, want: "200"},
	{name: "too much", request: post("/echo", strings.Repeat("x", 300001)), want: "413"},
	{name: "too much of unknown length", request: request{method: "POST", target: "/seen", body: strings.Repeat("x", 300001), unknown: true}, want: "413"},
	{name: "too much, and waits", request: request{method: "POST", target: "/seen", body: strings.Repeat("x", 300001), waits: true, fields: []string{"Expect: 100-continue"}}, want: "413"},
	{name: "nobody reads it", request: post("/refuses", strings.Repeat("x", 1000)), want: "403"},
	{name: "for a file, and waits", request: request{method: "POST", target: "/a.txt", body: "x", waits: true, fields: []string{"Expect: 100-continue"}}, want: "404"},
	{name: "waits", request: request{method: "POST", target: "/seen", body: "body", waits: true, fields: []string{"Expect: 100-continue"}}, want: "200"},
	{name: "another expectation", request: post("/seen", "x", "Expect: wonders"), want: "417"},
	{name: "a length twice", request: post("/seen", "body", "Content-Length: 4", "Content-Length: 4"), want: "400", http2: "reset 1", why: malformed},
	{name: "two lengths", request: post("/seen", "body", "Content-Length: 4", "Content-Length: 3"), want: "400", http2: "reset 1", why: malformed},
	{name: "a length with a sign", request: post("/seen", "body", "Content-Length: +4"), want: "400", http2: "reset 1", why: malformed},
	{name: "a length and a coding", request: post("/seen", "body", "Content-Length: 4", "Transfer-Encoding: chunked"), want: "400", http2: "reset 1", why: noCoding},
	{name: "an unknown coding", request: post("/seen", "body", "Transfer-Encoding: gzip"), want: "501", http2: "reset 1", why: noCoding},

	// The application.
	{name: "hello", request: get("/hello"), want: "200"},
	{name: "HEAD of hello", request: head("/hello"), want: "200"},
	{name: "query with a byte beyond ASCII", request: get("/seen?a=ä"), want: "400"},
	{name: "query", request: get("/seen?a=%20&b=+"), want: "200"},
	{name: "fields of the application", request: get("/fields"), want: "299"},
	{name: "pieces", request: get("/generator"), want: "200", tls: "content-length", why: early},
	{name: "HEAD of pieces", request: head("/generator"), want: "200", tls: "content-length", why: early},
	{name: "a late start", request: get("/late-start"), want: "200", tls: "content-length", why: early},
	{name: "write", request: get("/write"), want: "200", tls: "content-length", why: early},
	{name: "2 MiB", request: get("/big?mib=2"), want: "200", tls: "content-length", why: early},
	{name: "2 MiB and their length", request: get("/big?mib=2&length=1"), want: "200"},
	{name: "a file of the application", request: get("/file-wrapper"), want: "200", tls: "content-length", why: early},
	{name: "a file of it, and its length", request: get("/file-wrapper?content-length=1"), want: "200"},
	{name: "204", request: get("/204"), want: "204"},
	{name: "304", request: get("/304"), want: "304"},
	{name: "303", request: get("/redirect"), want: "303"},
	{name: "not found", request: get("/missing"), want: "404"},
	{name: "raises", request: get("/faulty/raise"), want: "500"},
	{name: "more than its length", request: get("/faulty/too-long"), want: "200"},
	{name: "splits a response", request: get("/faulty/split"), want: "500"},
	{name: "fields of the connection", request: get("/faulty/hop-by-hop"), want: "500"},
	{name: "what the connection is", request: get("/secure"), want: "200", tls: "body,content-length", why: "this is what it tells"},
}
