package pybridge

import (
	"fmt"
	"math"
	"os"
)

// spoolBlock is how much of the file of a backlog is taken at once.
const spoolBlock = 128 << 10

// backlog holds the bytes of a response body that have come and have not been
// taken, in order: in memory up to a bound, then in a temporary file, so that
// a slow client does not hold a thread of the application. The zero value is
// an empty backlog that keeps nothing in memory.
type backlog struct {
	bound  int    // bytes of memory
	memory []byte // the first bytes
	spare  []byte // the block taken last; memory changes places with it

	// file has the bytes after those in memory. They are counted from read to
	// written and lie there modulo limit, so that what has been taken makes room
	// for what comes, however long a client stays behind.
	file          *os.File
	read, written int64
	limit         int64 // of size(), kept by the caller; 0 means none

	count *Backlogs // nil for none
}

// size returns how many bytes are held.
func (b *backlog) size() int64 { return int64(len(b.memory)) + b.written - b.read }

// add appends p. The error is one of the temporary file.
func (b *backlog) add(p []byte) error {
	if b.written == b.read && len(b.memory)+len(p) <= b.bound {
		b.memory = append(b.memory, p...)
		b.count.addMemory(len(p))
		return nil
	}
	if b.file == nil {
		file, err := os.CreateTemp("", "overlay-response-*")
		if err != nil {
			return fmt.Errorf("store a response for a slow client: %w", err)
		}
		b.file = file
		b.count.addFile(1, 0)
		// Without a name, nothing is left behind whatever happens.
		if err := os.Remove(file.Name()); err != nil {
			return fmt.Errorf("store a response for a slow client: %w", err)
		}
	}
	for len(p) > 0 {
		at, room := b.place(b.written)
		n, err := b.file.WriteAt(p[:min(int64(len(p)), room)], at)
		b.written += int64(n)
		b.count.addFile(0, int64(n))
		if err != nil {
			return fmt.Errorf("store a response for a slow client: %w", err)
		}
		p = p[n:]
	}
	return nil
}

// place returns where in the file the byte with that count lies, and how many
// lie there in one piece.
func (b *backlog) place(count int64) (at, room int64) {
	if b.limit <= 0 {
		return count, math.MaxInt64
	}
	at = count % b.limit
	return at, b.limit - at
}

// take removes the first bytes and returns them, none when there are none. They
// are valid until the next take.
func (b *backlog) take() ([]byte, error) {
	if len(b.memory) > 0 {
		b.memory, b.spare = b.spare[:0], b.memory
		b.count.addMemory(-len(b.spare))
		return b.spare, nil
	}
	if b.read == b.written {
		return nil, nil
	}
	at, room := b.place(b.read)
	n := int(min(spoolBlock, b.written-b.read, room))
	if cap(b.spare) < n {
		b.spare = make([]byte, n)
	}
	b.spare = b.spare[:n]
	if _, err := b.file.ReadAt(b.spare, at); err != nil {
		return nil, fmt.Errorf("read back a response for a slow client: %w", err)
	}
	b.read += int64(n)
	b.count.addFile(0, -int64(n))
	if b.read == b.written {
		b.read, b.written = 0, 0
		if err := b.file.Truncate(0); err != nil {
			return nil, fmt.Errorf("read back a response for a slow client: %w", err)
		}
	}
	return b.spare, nil
}

// reset drops what is held, and keeps small buffers for the next body.
func (b *backlog) reset(bound int) {
	b.count.addMemory(-len(b.memory))
	if b.file != nil {
		b.count.addFile(-1, b.read-b.written)
		closeFile(b.file)
	}
	*b = backlog{bound: bound, memory: shrink(b.memory), spare: shrink(b.spare), count: b.count}
}
