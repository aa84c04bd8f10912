package static

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang/groupcache"
)

// Peers let several servers on one document root share the work of coding: each best
// form is made by one of them, and fetched by the others. Contents are never fetched,
// reading them is faster; and no request ever waits for a peer, since best forms are
// made in the background.
type Peers struct {
	// Self is the URL under which the others reach this server's PeerHandler, such as
	// http://10.0.0.1:9000. Empty turns peers off.
	Self string
	// URLs are those of all servers, with or without Self; the same everywhere.
	URLs []string
	// Secret is what peers prove to each other that they are; at least 16 bytes. It
	// travels with each request, so use https where others can listen.
	Secret string
	// Transport makes the requests: with client certificates, say. Nil means a plain
	// one with short timeouts.
	Transport http.RoundTripper
}

const (
	// sharedGroup is the name of the group of coded forms: the same on all servers.
	sharedGroup = "overlay-static-shared"
	peerPath    = "/_overlay/peer/"

	peerTimeout = 5 * time.Second  // of one request to a peer
	peerPause   = 10 * time.Second // for which a peer that failed is left alone
)

// peersTaken is set by the first handler of the process with peers: groupcache has
// one pool of peers per process.
var peersTaken atomic.Bool

func (p *Peers) check() error {
	if p.Self == "" {
		if len(p.URLs) > 0 {
			return errors.New("cache peers: want the URL of this server too (cache-self)")
		}
		return nil
	}
	for _, s := range append([]string{p.Self}, p.URLs...) {
		u, err := url.Parse(s)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return fmt.Errorf("cache peer %q: want a URL such as http://10.0.0.1:9000", s)
		}
	}
	if len(p.Secret) < 16 {
		return fmt.Errorf("cache peers: the shared secret has %d bytes, want at least 16", len(p.Secret))
	}
	return nil
}

// sharedForms is the group of best forms that peers make for each other.
type sharedForms struct {
	h      *Handler
	group  *groupcache.Group
	pool   *groupcache.HTTPPool
	secret [sha256.Size]byte
}

// newSharedForms joins the peers. The handler's own group must have been asked
// before: groupcache gives every group that is not the same peers.
func newSharedForms(h *Handler, bytes int64) (*sharedForms, error) {
	p := h.opts.Peers
	if !peersTaken.CompareAndSwap(false, true) {
		return nil, errors.New("cache peers: one process can have them only once")
	}
	s := &sharedForms{h: h, secret: sha256.Sum256([]byte(p.Secret))}
	transport := &peerTransport{next: p.Transport, secret: p.Secret, failed: make(map[string]time.Time)}
	if transport.next == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy = nil
		t.DialContext = (&net.Dialer{Timeout: time.Second}).DialContext
		transport.next = t
	}
	s.pool = groupcache.NewHTTPPoolOpts(strings.TrimSuffix(p.Self, "/"), &groupcache.HTTPPoolOptions{BasePath: peerPath})
	s.pool.Transport = func(context.Context) http.RoundTripper { return transport }
	var all []string
	for _, u := range append([]string{p.Self}, p.URLs...) {
		if u = strings.TrimSuffix(u, "/"); !slices.Contains(all, u) {
			all = append(all, u)
		}
	}
	slices.Sort(all)
	s.pool.Set(all...)
	s.group = groupcache.NewGroup(sharedGroup, bytes, groupcache.GetterFunc(s.fill))
	return s, nil
}

// fill makes a form for this server or, when it owns the key, for a peer. A key from
// a peer is input: it gets what a client could get, in a coding, and nothing else.
func (s *sharedForms) fill(_ context.Context, key string, dest groupcache.Sink) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("static: make shared form: %v", p)
		}
	}()
	k, err := parseStoreKey(key)
	if err != nil {
		return err
	}
	if err := s.h.mayShare(&k); err != nil {
		return err
	}
	b, err := s.h.encodeFile(&k)
	if err != nil {
		return err
	}
	return dest.SetString(stringOf(b))
}

// mayShare says why a key is none that a peer may ask for.
func (h *Handler) mayShare(k *storeKey) error {
	switch {
	case k.coding == codingIdentity || k.level != levelBest || k.fresh != 0 || k.version.size > h.encodeMax:
		return errors.New("static: peer asks for what is not shared")
	case k.tree >= len(h.trees) || !fs.ValidPath(k.name) || h.private(k.version):
		return errAbsent
	}
	if t := h.trees[k.tree]; t.file != "" {
		if k.name != t.file {
			return errAbsent
		}
	} else if h.hider.hidden([]byte(k.name)) {
		return errAbsent
	}
	return nil
}

// get returns a form, made here or by the peer that owns its key.
func (s *sharedForms) get(key string) ([]byte, error) {
	var view groupcache.ByteView
	if err := s.group.Get(context.Background(), key, groupcache.ByteViewSink(&view)); err != nil {
		return nil, err
	}
	return bytesOf(view)
}

// PeerHandler answers the other servers; nil without peers. It is to be served on a
// listener of its own, which no client reaches.
func (h *Handler) PeerHandler() http.Handler {
	if h.shared == nil {
		return nil
	}
	return http.HandlerFunc(h.shared.serve)
}

func (s *sharedForms) serve(w http.ResponseWriter, r *http.Request) {
	got := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
	if subtle.ConstantTimeCompare(got[:], s.secret[:]) != 1 {
		http.Error(w, "403 Forbidden", http.StatusForbidden)
		return
	}
	// The pool panics for other paths. It would pass on to a third server, whose options
	// may be others, what that one has to make.
	group, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, peerPath), "/")
	k, err := parseStoreKey(key)
	if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, peerPath) || group != sharedGroup || err != nil || s.h.mayShare(&k) != nil {
		http.NotFound(w, r)
		return
	}
	// The pool answers an error with its text; a peer needs no more than the status.
	s.pool.ServeHTTP(&errorHider{ResponseWriter: w}, r)
}

// errorHider keeps the text of an error from going out.
type errorHider struct {
	http.ResponseWriter
	failed bool
}

func (w *errorHider) WriteHeader(code int) {
	w.failed = code >= 400
	w.ResponseWriter.WriteHeader(code)
}

func (w *errorHider) Write(p []byte) (int, error) {
	if w.failed {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// peerTransport proves who we are, bounds what a peer may take and send, and leaves
// one that does not answer alone for a while: a dead peer costs one fallback.
type peerTransport struct {
	next   http.RoundTripper
	secret string

	mu     sync.Mutex // guards failed
	failed map[string]time.Time
}

var errPeerPaused = errors.New("static: peer did not answer lately")

func (t *peerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Host
	t.mu.Lock()
	at, bad := t.failed[host]
	t.mu.Unlock()
	if bad && time.Since(at) < peerPause {
		return nil, errPeerPaused
	}
	ctx, cancel := context.WithTimeout(r.Context(), peerTimeout)
	r = r.Clone(ctx)
	r.Header.Set("Authorization", "Bearer "+t.secret)
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		cancel()
		t.mu.Lock()
		t.failed[host] = time.Now()
		t.mu.Unlock()
		return nil, err
	}
	// A coded form that would be used is smaller than its file.
	resp.Body = &peerBody{io.LimitReader(resp.Body, encodeMax+1<<10), resp.Body, cancel}
	return resp, nil
}

type peerBody struct {
	io.Reader
	body   io.Closer
	cancel context.CancelFunc
}

func (b *peerBody) Close() error {
	defer b.cancel()
	return b.body.Close()
}
