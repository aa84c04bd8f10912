package static

import "github.com/golang/groupcache"

// Stats is what a Handler has and has counted, at one moment.
type Stats struct {
	Entries, EntryLimit int    // URL paths that are remembered, and how many may be
	Hits, Misses        uint64 // requests whose path was remembered, and those whose was not

	Bytes, ByteLimit     int64 // of files and their coded forms in memory, and how many may be
	Items                int64 // how many files and forms those are
	Evictions            int64 // files and forms dropped to make room
	OpenFiles, OpenLimit int64 // descriptors of large files kept open, and how many may be
}

// Stats returns what there is at this moment.
func (h *Handler) Stats() Stats {
	s := Stats{
		Entries: h.table.len(), EntryLimit: h.opts.CacheEntries,
		ByteLimit: h.opts.CacheSize,
		OpenFiles: h.openFiles.Load(), OpenLimit: h.maxOpen,
	}
	for i := range h.table.shards {
		shard := &h.table.shards[i]
		s.Hits += shard.hits.Load()
		s.Misses += shard.misses.Load()
	}
	for _, which := range []groupcache.CacheType{groupcache.MainCache, groupcache.HotCache} {
		c := h.store.group.CacheStats(which)
		s.Bytes, s.Items, s.Evictions = s.Bytes+c.Bytes, s.Items+c.Items, s.Evictions+c.Evictions
	}
	return s
}
