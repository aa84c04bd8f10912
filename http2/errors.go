package http2

import (
	"errors"
	"fmt"
)

// errorCode says in RST_STREAM and GOAWAY why (RFC 9113 section 7).
type errorCode uint32

const (
	codeNone            errorCode = 0x0
	codeProtocol        errorCode = 0x1
	codeInternal        errorCode = 0x2
	codeFlowControl     errorCode = 0x3
	codeStreamClosed    errorCode = 0x5
	codeFrameSize       errorCode = 0x6
	codeRefused         errorCode = 0x7
	codeCancel          errorCode = 0x8
	codeCompression     errorCode = 0x9
	codeEnhanceYourCalm errorCode = 0xb
)

// connError ends the connection (RFC 9113 section 5.4.1).
type connError struct {
	code errorCode
	text string
}

func (e connError) Error() string { return fmt.Sprintf("http2: %s (error code %d)", e.text, e.code) }

// streamError ends one stream (RFC 9113 section 5.4.2).
type streamError struct {
	stream uint32
	code   errorCode
}

func (e streamError) Error() string {
	return fmt.Sprintf("http2: stream %d ends with error code %d", e.stream, e.code)
}

var (
	// ErrReset: the client has given up on the stream, or broke its rules.
	ErrReset = errors.New("http2: the stream was reset")
	// ErrClosed: the connection has ended.
	ErrClosed = errors.New("http2: the connection has ended")

	errEnded    = errors.New("http2: the response has ended already")
	errNoHead   = errors.New("http2: a body before the head of its response")
	errHeadSent = errors.New("http2: the head of the response was sent already")

	errLost       = errors.New("http2: another goroutine reads the connection")
	errSlow       = errors.New("http2: a head took too long")
	errDone       = errors.New("http2: the connection was given up and its streams are done")
	errSlowClient = errors.New("http2: the client takes nothing")
)
