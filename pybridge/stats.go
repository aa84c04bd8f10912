package pybridge

import "sync/atomic"

// Backlogs counts what responses hold for clients that read slowly, and request bodies that
// applications read as they arrive, of all worker processes whose Options name it. The zero
// value is ready for use.
type Backlogs struct{ memory, files, fileBytes, inputs atomic.Int64 }

// Memory returns the bytes that wait in memory now.
func (b *Backlogs) Memory() int64 { return b.memory.Load() }

// Files returns the number of temporary files that there are now.
func (b *Backlogs) Files() int64 { return b.files.Load() }

// FileBytes returns the bytes that wait in those files now.
func (b *Backlogs) FileBytes() int64 { return b.fileBytes.Load() }

// Inputs returns how many request bodies are on their way now, whose applications read them
// as they arrive. Each takes MaxInput bytes at most.
func (b *Backlogs) Inputs() int64 { return b.inputs.Load() }

// The methods below do nothing on nil, for Options that name no Backlogs.

func (b *Backlogs) addMemory(n int) {
	if b != nil && n != 0 {
		b.memory.Add(int64(n))
	}
}

func (b *Backlogs) addFile(files, n int64) {
	if b == nil {
		return
	}
	if files != 0 {
		b.files.Add(files)
	}
	if n != 0 {
		b.fileBytes.Add(n)
	}
}

func (b *Backlogs) addInput(n int64) {
	if b != nil {
		b.inputs.Add(n)
	}
}
