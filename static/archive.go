package static

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/valyala/fasthttp"
)

const (
	// maxArchived bounds the files of one archive, maxDepth the directories on the
	// way to one of them.
	maxArchived = 100000
	maxDepth    = 64
)

var errArchive = errors.New("static: folder has too many files for an archive")

// archiveFormat reads "download=zip" or "download=tar" from a query.
func archiveFormat(query []byte) string {
	for pair := range strings.SplitSeq(string(query), "&") {
		if pair == "download=zip" || pair == "download=tar" {
			return pair[len("download="):]
		}
	}
	return ""
}

// download answers a request for a whole folder, and reports whether it was one.
func (h *Handler) download(ctx *fasthttp.RequestCtx, t *Target, now time.Time) bool {
	if !h.opts.DirectoryDownload || len(t.Query) == 0 || t.Path[len(t.Path)-1] != '/' {
		return false
	}
	format := archiveFormat(t.Query)
	if format == "" {
		return false
	}
	e := h.directoryAt(t.Path)
	if e == nil {
		return false
	}
	h.common(ctx)
	base := path.Base(strings.TrimSuffix(string(t.Path), "/"))
	if base == "/" || base == "." || base == "" {
		base = "files"
	}
	header := &ctx.Response.Header
	header.SetContentType(map[string]string{"zip": "application/zip", "tar": "application/x-tar"}[format])
	header.SetCanonical(nameNosniff, valueNosniff)
	header.SetCanonical(nameCacheControl, valueNoCache)
	header.Set("Content-Disposition", disposition(base+"."+format))
	if ctx.IsHead() {
		ctx.Response.SkipBody = true
		return true
	}
	r, w := io.Pipe()
	h.running.Go(func() {
		// The reader learns of an error, and the connection is closed without the
		// last chunk: half an archive must not look like one.
		w.CloseWithError(h.archive(w, e, base, format))
	})
	body := &archiveBody{r: r}
	if ctx.Request.Header.IsHTTP11() {
		ctx.Response.SetBodyStream(body, -1)
	} else {
		h.untilClose(ctx, body)
	}
	return true
}

// archiveBody is a pipe whose end closes when the client is gone.
type archiveBody struct {
	r    *io.PipeReader
	sent *int64
}

// CountInto has the bytes that are sent added to n, for the access log.
func (b *archiveBody) CountInto(n *int64) { b.sent = n }

func (b *archiveBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.sent != nil {
		*b.sent += int64(n)
	}
	return n, err
}

func (b *archiveBody) Close() error { return b.r.CloseWithError(io.ErrClosedPipe) }

// directoryAt returns the directory that a path with a slash at its end names,
// whether it has an index file or not, and nil if there is none.
func (h *Handler) directoryAt(urlPath []byte) *entry {
	for _, t := range h.trees {
		rel, ok := t.below(urlPath)
		if !ok || t.file != "" {
			continue
		}
		name := strings.TrimSuffix(string(rel), "/")
		if h.hider.hidden([]byte(name)) {
			continue
		}
		if name == "" {
			name = "."
		}
		b := withRoom([]byte(name), "")
		if v, err := t.stat(b); err == nil && v.kind == kindDirectory {
			return &entry{tree: t, name: b, version: v}
		}
	}
	return nil
}

// disposition names the file that the client is to save (RFC 6266).
func disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' || r == '%' {
			return '_'
		}
		return r
	}, name)
	return fmt.Sprintf("attachment; filename=\"%s\"; filename*=UTF-8''%s", plain, url.PathEscape(name))
}

// archiver writes files into an archive.
type archiver interface {
	add(name string, v version, body io.Reader) error
	addFolder(name string, v version) error
	Close() error
}

// archive writes the folder e, under the name base, to w.
func (h *Handler) archive(w io.Writer, e *entry, base, format string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("static: write archive: %v", p)
			h.opts.Logger.Error("static: write archive", "panic", p)
		}
	}()
	var a archiver
	if format == "zip" {
		z := zip.NewWriter(w)
		z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, 4) })
		a = &zipArchive{z, h.types}
	} else {
		a = &tarArchive{tar.NewWriter(w)}
	}
	left := h.maxArchived
	if err := h.archiveDir(a, e, base, 0, &left); err != nil {
		if !errors.Is(err, io.ErrClosedPipe) {
			h.opts.Logger.Warn("static: write archive", "folder", base, "error", err)
		}
		return err
	}
	return a.Close()
}

// archiveDir adds what is below a directory and would be served. A link to a
// directory is left out: it could lead in a circle.
func (h *Handler) archiveDir(a archiver, e *entry, prefix string, depth int, left *int) error {
	if depth > h.maxDepth {
		return errArchive
	}
	dir, _, err := e.tree.open(e.name)
	if err != nil {
		return err
	}
	children, err := dir.readDir(h.maxArchived + 1)
	dir.release()
	if err != nil {
		return err
	}
	slices.SortFunc(children, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	empty := true
	for _, d := range children {
		select {
		case <-h.stop:
			return io.ErrClosedPipe
		default:
		}
		name, v, err := h.child(e, d.Name())
		switch {
		case errors.Is(err, errAbsent):
			continue
		case err != nil:
			return err
		}
		if *left--; *left < 0 {
			return errArchive
		}
		empty = false
		switch {
		case d.IsDir():
			sub := &entry{tree: e.tree, name: withRoom([]byte(name), ""), version: v}
			err = h.archiveDir(a, sub, prefix+"/"+d.Name(), depth+1, left)
		case v.kind == kindRegular:
			err = h.archiveFile(a, e.tree, name, prefix+"/"+d.Name())
		}
		if err != nil && !errors.Is(err, errAbsent) {
			return err
		}
	}
	if empty { // the others come with the names of their files
		return a.addFolder(prefix, e.version)
	}
	return nil
}

func (h *Handler) archiveFile(a archiver, t *tree, name, as string) error {
	f, v, err := t.open(withRoom([]byte(name), ""))
	if err != nil {
		return err
	}
	defer f.release()
	if v.kind != kindRegular || h.private(v) {
		return errAbsent
	}
	return a.add(as, v, &fileBody{file: f, version: v, left: v.size})
}

type zipArchive struct {
	*zip.Writer
	types *mediaTypes
}

func (z *zipArchive) add(name string, v version, body io.Reader) error {
	header := &zip.FileHeader{Name: name, Modified: time.Unix(0, v.mtime), Method: zip.Store}
	if compressible(string(z.types.of(name))) {
		header.Method = zip.Deflate
	}
	w, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, readerOnly{body})
	return err
}

func (z *zipArchive) addFolder(name string, v version) error {
	_, err := z.CreateHeader(&zip.FileHeader{Name: name + "/", Modified: time.Unix(0, v.mtime)})
	return err
}

type tarArchive struct{ *tar.Writer }

func (t *tarArchive) add(name string, v version, body io.Reader) error {
	err := t.WriteHeader(&tar.Header{Name: name, Size: v.size, Mode: 0o644, ModTime: time.Unix(0, v.mtime), Format: tar.FormatPAX})
	if err != nil {
		return err
	}
	_, err = io.Copy(t.Writer, readerOnly{body})
	return err
}

func (t *tarArchive) addFolder(name string, v version) error {
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: time.Unix(0, v.mtime), Format: tar.FormatPAX})
}

// readerOnly hides WriteTo, which is for sockets.
type readerOnly struct{ io.Reader }
