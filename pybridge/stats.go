package pybridge

import "sync/atomic"

// Backlogs counts what responses hold for clients that read slowly, of all worker
// processes whose Options name it. The zero value is ready for use.
type Backlogs struct{ memory, files, fileBytes atomic.Int64 }

// Memory returns the bytes that wait in memory now.
func (b *Backlogs) Memory() int64 { return b.memory.Load() }

// Files returns the number of temporary files that there are now.
func (b *Backlogs) Files() int64 { return b.files.Load() }

// FileBytes returns the bytes that wait in those files now.
func (b *Backlogs) FileBytes() int64 { return b.fileBytes.Load() }

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
