package main

import "github.com/valyala/fasthttp"

// refusal says why a request goes no further; its zero value means that it does.
type refusal uint8

const (
	accepted refusal = iota
	refusedVersion
	refusedTraceMethod
	refusedConnectMethod
	refusedTargetLength
	refusedTargetByte
	refusedTargetForm
	refusedTargetFragment
	refusedTargetEscape
	refusedBareLineFeed
	refusedFolding
	refusedName
	refusedFieldCount
	refusedHostMissing
	refusedHostRepeated
	refusedHostSyntax
	refusedLengthRepeated
	refusedLengthSyntax
	refusedLengthWithCoding
	refusedCodingRepeated
	refusedCodingUnknown
	refusedCodingVersion
	refusedContentTypeRepeated
	refusedExpectation
	refusedBodySize
	refusalCount // of the constants above
)

// refusals gives status and reason. The reason goes to the log; the client gets
// the fixed page of the status.
var refusals = [refusalCount]struct {
	status int
	reason string
}{
	refusedVersion:             {505, "version is neither HTTP/1.0 nor HTTP/1.1"},
	refusedTraceMethod:         {405, "method TRACE"},
	refusedConnectMethod:       {405, "method CONNECT"},
	refusedTargetLength:        {414, "request target is too long"},
	refusedTargetByte:          {400, "control, space or non-ASCII byte in the request target"},
	refusedTargetForm:          {400, "request target has no form that suits the method"},
	refusedTargetFragment:      {400, "fragment in the request target"},
	refusedTargetEscape:        {400, "request target cannot be decoded"},
	refusedBareLineFeed:        {400, "line end without CR in the fields"},
	refusedFolding:             {400, "field line continued on the next line"},
	refusedName:                {400, "field name is not a token"},
	refusedFieldCount:          {431, "too many fields"},
	refusedHostMissing:         {400, "no Host field"},
	refusedHostRepeated:        {400, "repeated Host field"},
	refusedHostSyntax:          {400, "malformed host"},
	refusedLengthRepeated:      {400, "repeated Content-Length field"},
	refusedLengthSyntax:        {400, "malformed Content-Length"},
	refusedLengthWithCoding:    {400, "Content-Length together with Transfer-Encoding"},
	refusedCodingRepeated:      {400, "repeated Transfer-Encoding field"},
	refusedCodingUnknown:       {501, "transfer coding other than chunked"},
	refusedCodingVersion:       {400, "Transfer-Encoding in HTTP/1.0"},
	refusedContentTypeRepeated: {400, "repeated Content-Type field"},
	refusedExpectation:         {417, "expectation other than 100-continue"},
	refusedBodySize:            {413, "Content-Length over the limit"},
}

func (r refusal) status() int    { return refusals[r].status }
func (r refusal) String() string { return refusals[r].reason }

// refusalField carries a refusal from headerReceived, which is given the fields
// alone, to the handler, which has the whole request. No client can send it: a
// field name is never empty, and this line would have an empty one.
var refusalField = []byte(":refused")

// markRefused makes h harmless and notes why: fasthttp must neither wait for a
// body that nobody will read nor answer an expectation, and must close the
// connection after the response, since what follows may be anything.
func markRefused(h *fasthttp.RequestHeader, why refusal) {
	h.SetContentLength(0) // removes Transfer-Encoding as well
	h.Del(fasthttp.HeaderExpect)
	h.SetConnectionClose()
	var value [1]byte
	value[0] = '0' + byte(why)
	h.SetCanonical(refusalField, value[:])
}

// refusalOf returns what markRefused noted in h, accepted when nothing.
func refusalOf(h *fasthttp.RequestHeader) refusal {
	value := h.PeekCanonical(refusalField)
	if len(value) != 1 {
		return accepted
	}
	return refusal(value[0] - '0')
}
