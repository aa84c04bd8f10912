package main

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"overlay/fallthrough"
	"overlay/pybridge"
)

// reloadInterval is how often files are looked at.
const reloadInterval = time.Second

// maxWatched bounds the files found by pattern that are looked at.
const maxWatched = 10_000

// reloader replaces the worker processes when the application's code changes or
// SIGHUP asks for it. Files are looked at, not watched by inotify: that works on
// network file systems and in containers as well, and a thousand files cost a
// thousandth of a core.
type reloader struct {
	app     *fallthru.Handler
	log     *slog.Logger
	workers *workerSet

	scripts  []string // looked at always, unless reloading is disabled
	modules  bool     // look at every file that the application has imported
	patterns []string // names of further files below dir, such as *.html
	dir      string

	known map[string]time.Time // file to its time of change; zero when it is not there
}

// run reloads until ctx ends.
func (r *reloader) run(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ticker := time.NewTicker(reloadInterval)
	defer ticker.Stop()
	r.known = map[string]time.Time{}
	r.changed(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			r.reload(ctx, "SIGHUP")
		case <-ticker.C:
			if name := r.changed(ctx); name != "" {
				r.reload(ctx, name+" has changed")
			}
		}
	}
}

func (r *reloader) reload(ctx context.Context, why string) {
	start := time.Now()
	r.log.Info("reloading the application", "reason", why)
	err := r.app.Reload(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		r.log.Error("not reloaded; the code from before goes on serving", "error", err)
	case err == nil:
		r.log.Info("the application is reloaded", "took", time.Since(start).Round(time.Millisecond))
	}
}

// changed looks at the files and returns one that has changed since the last
// time, or "". A file seen for the first time has not changed.
func (r *reloader) changed(ctx context.Context) string {
	if r.modules {
		for _, name := range r.workers.files(ctx) {
			r.look(name)
		}
		r.find()
	}
	for _, name := range r.scripts {
		r.look(name)
	}
	first := ""
	for name, before := range r.known {
		now := changeTime(name)
		if now.Equal(before) {
			continue
		}
		r.known[name] = now
		// A file that is being written anew is missing for a moment: what counts
		// is when it is there again.
		if first == "" && !now.IsZero() {
			first = name
		}
	}
	return first
}

func (r *reloader) look(name string) {
	if _, known := r.known[name]; !known {
		r.known[name] = changeTime(name)
	}
}

func changeTime(name string) time.Time {
	info, err := os.Stat(name)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// find looks for files below dir that fit the patterns. Folders that begin with
// a dot, virtual environments and node_modules are left out.
func (r *reloader) find() {
	if len(r.patterns) == 0 {
		return
	}
	count := 0
	_ = filepath.WalkDir(r.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be read cannot be the application's
		}
		name := entry.Name()
		if entry.IsDir() {
			_, venv := os.Stat(filepath.Join(path, "pyvenv.cfg"))
			if path != r.dir && (strings.HasPrefix(name, ".") || name == "node_modules" || venv == nil) {
				return filepath.SkipDir
			}
			return nil
		}
		for _, pattern := range r.patterns {
			if ok, _ := filepath.Match(pattern, name); ok { // checked at start-up
				if count++; count > maxWatched {
					return filepath.SkipAll
				}
				r.look(path)
			}
		}
		return nil
	})
}

// workerSet knows the worker processes that run, for what is asked of any of them.
type workerSet struct {
	mu  sync.Mutex // guards set
	set map[*pybridge.Worker]bool
}

func newWorkerSet() *workerSet { return &workerSet{set: map[*pybridge.Worker]bool{}} }

// add keeps w as long as it lives.
func (s *workerSet) add(w *pybridge.Worker) {
	s.mu.Lock()
	s.set[w] = true
	s.mu.Unlock()
	go func() {
		<-w.Done()
		s.mu.Lock()
		delete(s.set, w)
		s.mu.Unlock()
	}()
}

// files returns the files that worker processes have imported since the last call.
func (s *workerSet) files(ctx context.Context) (files []string) {
	s.mu.Lock()
	workers := make([]*pybridge.Worker, 0, len(s.set))
	for w := range s.set {
		workers = append(workers, w)
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, reloadInterval)
	defer cancel()
	for _, w := range workers {
		more, err := w.Files(ctx)
		if err == nil {
			files = append(files, more...)
		}
	}
	return files
}
