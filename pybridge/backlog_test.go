package pybridge

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
)

// TestBacklogBound: what fits in the bound stays in memory, one byte more goes
// to a file.
func TestBacklogBound(t *testing.T) {
	for _, tt := range []struct {
		name string
		adds []int
		file bool
	}{
		{"empty", nil, false},
		{"at the bound", []int{600, 400}, false},
		{"a byte past it", []int{600, 401}, true},
		{"one large piece", []int{1001}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b backlog
			b.reset(1000)
			defer b.reset(0)
			total := int64(0)
			for _, n := range tt.adds {
				if err := b.add(make([]byte, n)); err != nil {
					t.Fatal(err)
				}
				total += int64(n)
			}
			if b.size() != total || (b.file != nil) != tt.file {
				t.Errorf("size %d, file %v; want %d, %v", b.size(), b.file != nil, total, tt.file)
			}
		})
	}
}

// TestBacklogOrder: whatever is added and taken in whatever order, the bytes
// come out as they went in.
func TestBacklogOrder(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var b backlog
		b.reset(1 << 10)
		var in, out bytes.Buffer
		for range 200 {
			if r.IntN(3) > 0 {
				p := fmt.Appendf(nil, "%d,", r.Uint64())
				p = bytes.Repeat(p, 1+r.IntN(20))
				in.Write(p)
				if err := b.add(p); err != nil {
					t.Fatal(err)
				}
				continue
			}
			p, err := b.take()
			if err != nil {
				t.Fatal(err)
			}
			out.Write(p)
		}
		for b.size() > 0 {
			p, err := b.take()
			if err != nil {
				t.Fatal(err)
			}
			if len(p) == 0 {
				t.Fatalf("seed %d: nothing to take of %d bytes", seed, b.size())
			}
			out.Write(p)
		}
		if !bytes.Equal(in.Bytes(), out.Bytes()) {
			t.Fatalf("seed %d: %d bytes in, %d other bytes out", seed, in.Len(), out.Len())
		}
		if p, err := b.take(); p != nil || err != nil {
			t.Fatalf("take of an empty backlog: %d bytes, %v", len(p), err)
		}
		b.reset(0)
	}
}

// TestBacklogNoSpace: a full disk is an error, not a hole in the body.
func TestBacklogNoSpace(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()+"/missing")
	var b backlog
	b.reset(10)
	if err := b.add(make([]byte, 11)); err == nil {
		t.Fatal("add without a place for the file succeeded")
	}
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	b.file = full
	if err := b.add(make([]byte, 11)); err == nil {
		t.Error("add to a full disk succeeded")
	}
	b.reset(0)
}

// TestBacklogFileIsBounded: a client that never catches up does not make the
// file grow beyond what is held at one time.
func TestBacklogFileIsBounded(t *testing.T) {
	const limit = 3*spoolBlock + 17 // so that pieces lie across the end
	var b backlog
	b.reset(100)
	b.limit = limit
	defer b.reset(0)
	var in, out bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2))
	for in.Len() < 20*limit {
		p := bytes.Repeat([]byte{byte(r.Uint64())}, 1+r.IntN(1000))
		for b.size()+int64(len(p)) > limit {
			taken, err := b.take()
			if err != nil {
				t.Fatal(err)
			}
			out.Write(taken)
		}
		in.Write(p)
		if err := b.add(p); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := b.file.Stat(); err != nil || info.Size() > limit {
		t.Errorf("the file has %d bytes (%v), want at most %d", info.Size(), err, limit)
	}
	for b.size() > 0 {
		taken, err := b.take()
		if err != nil {
			t.Fatal(err)
		}
		out.Write(taken)
	}
	if !bytes.Equal(in.Bytes(), out.Bytes()) {
		t.Errorf("%d bytes in, %d other bytes out", in.Len(), out.Len())
	}
}
