package tlsauth

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
)

// ticketKeyLife is how long a session ticket key makes tickets; for as long again it
// opens them.
const ticketKeyLife = 12 * time.Hour

// TicketSecret is what session ticket keys are made of, so that several processes
// that share it open each other's tickets. It moves on by itself: every period has a
// secret that follows from the one before and leads back to none, so that whoever
// learns it opens no ticket older than two periods.
type TicketSecret struct {
	older [sha256.Size]byte // of the period before the current one
	since time.Time         // when that period began
}

// NewTicketSecret returns a secret whose first period begins now.
func NewTicketSecret(now time.Time) TicketSecret {
	t := TicketSecret{since: now.Add(-ticketKeyLife)}
	_, _ = rand.Read(t.older[:]) // never fails since Go 1.24
	return t
}

// advance moves on to the period of now, and reports whether that is another one.
func (t *TicketSecret) advance(now time.Time) (moved bool) {
	for now.Sub(t.since) >= 2*ticketKeyLife {
		t.older = derive(t.older[:], "overlay: next period")
		t.since = t.since.Add(ticketKeyLife)
		moved = true
	}
	return moved
}

// keys returns the key that makes tickets and the one that still opens them, for
// the generation of files with this digest.
func (t *TicketSecret) keys(files [sha256.Size]byte) [][32]byte {
	newer := derive(t.older[:], "overlay: next period")
	use := "overlay: session tickets " + string(files[:])
	return [][32]byte{derive(newer[:], use), derive(t.older[:], use)}
}

func derive(secret []byte, use string) (out [sha256.Size]byte) {
	key, err := hkdf.Key(sha256.New, secret, nil, use, len(out))
	if err != nil {
		panic(err) // the length is one that HKDF has
	}
	copy(out[:], key)
	return out
}

// ticketSecretSize is the length of a TicketSecret in bytes.
const ticketSecretSize = sha256.Size + 8

var errTicketSecret = errors.New("tlsauth: not a ticket secret")

// MarshalBinary implements encoding.BinaryMarshaler. Advance comes first.
func (t *TicketSecret) MarshalBinary() ([]byte, error) {
	return binary.BigEndian.AppendUint64(bytes.Clone(t.older[:]), uint64(t.since.UnixNano())), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (t *TicketSecret) UnmarshalBinary(data []byte) error {
	if len(data) != ticketSecretSize {
		return fmt.Errorf("%w: got %d bytes, want %d", errTicketSecret, len(data), ticketSecretSize)
	}
	copy(t.older[:], data)
	t.since = time.Unix(0, int64(binary.BigEndian.Uint64(data[sha256.Size:])))
	return nil
}

// Advance moves t on to the period of now: a process that hands it out does so first.
func (t *TicketSecret) Advance(now time.Time) { t.advance(now) }

// digest returns a digest of the content of files. One that cannot be read counts
// as empty.
func digest(files []string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			text = nil // whoever reads it for its content says so
		}
		one := sha256.Sum256(text)
		h.Write(one[:])
	}
	h.Sum(sum[:0])
	return sum
}
