package pybridge

import (
	"context"
	"fmt"
	"strings"
)

// maxFileNames bounds the bytes of names in one answer to frameAskFiles; a large
// application has a few megabytes of them.
const maxFileNames = 64 << 20

// fileNames collects one answer to frameAskFiles, which comes in as many frames
// as it takes: the last has flagLast. No name is in two of them.
type fileNames struct {
	names []string
	size  int
}

// add takes in a frame. It reports whether that was the last one of the answer.
// The error is a fault of the worker process.
func (f *fileNames) add(h frameHeader, payload []byte) (whole bool, err error) {
	if f.size += len(payload); f.size > maxFileNames {
		return false, fmt.Errorf("%w: more than %d bytes of file names", errFrame, maxFileNames)
	}
	f.names = append(f.names, strings.FieldsFunc(string(payload), func(r rune) bool { return r == 0 })...)
	return h.flags&flagLast != 0, nil
}

// Files returns the files that the application has imported since the last
// call: its own and those of installed packages, not the standard library's.
// A worker process that does not answer, for it runs no Python just now, is
// not waited for longer than ctx allows.
func (w *Worker) Files(ctx context.Context) ([]string, error) {
	w.order(frameHeader{kind: frameAskFiles})
	select {
	case files := <-w.files:
		return files, nil
	case <-w.done:
		return nil, ErrGone
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// tellFiles passes an answer on to Files, or keeps it for the next call.
func (w *Worker) tellFiles(names []string) {
	select {
	case w.files <- names:
	default: // nobody has waited for the one before it either
	}
}
