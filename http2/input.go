package http2

import "sync"

// Sizes of the buffers for what is received. A request of a browser or a tool fits the
// small one, which belongs to the connection; a large one is there while it is needed.
const (
	smallInput = 512
	largeInput = 32 << 10 // more than the longest frame
)

var largeInputs = sync.Pool{New: func() any { return new([largeInput]byte) }}

// input is what was read and not looked at yet. It belongs to whoever reads.
type input struct {
	small [smallInput]byte
	large *[largeInput]byte // nil unless it is in use
	r, w  int               // what is there lies between
}

func (in *input) buffer() []byte {
	if in.large != nil {
		return in.large[:]
	}
	return in.small[:]
}

func (in *input) bytes() []byte { return in.buffer()[in.r:in.w] }

// room makes room for need bytes beginning with those that are there, and returns where
// the next ones go. keep says that a large buffer will be needed again soon.
func (in *input) room(need int, keep bool) []byte {
	if in.r == in.w {
		in.r, in.w = 0, 0
		if in.large != nil && need <= smallInput && !keep {
			in.release()
		}
	}
	if in.large == nil && need > smallInput {
		in.large = largeInputs.Get().(*[largeInput]byte)
		in.w = copy(in.large[:], in.small[in.r:in.w])
		in.r = 0
	}
	b := in.buffer()
	if in.r > 0 && len(b)-in.r < need {
		in.w = copy(b, b[in.r:in.w])
		in.r = 0
	}
	return b[in.w:]
}

func (in *input) release() {
	if in.large != nil {
		largeInputs.Put(in.large)
		in.large, in.r, in.w = nil, 0, 0
	}
}
