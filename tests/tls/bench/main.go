// Command bench measures overlay's TLS beside nginx's, in turns: handshakes, small
// requests over kept connections, and large downloads, each per second of CPU time
// of the server, which a busy machine changes least.
//
//	go run ./tests/tls/bench              # needs nginx on PATH
//	go run ./tests/tls/bench -rounds 5 -seconds 3
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 3, "how often each measurement is made")
	seconds := flag.Float64("seconds", 2, "time of one measurement")
	only := flag.String("only", "", "measure only what has this in its name")
	flag.Parse()
	loads = slices.DeleteFunc(loads, func(l load) bool { return !strings.Contains(l.name, *only) })
	if err := run(*rounds, time.Duration(*seconds*float64(time.Second))); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const clients = 16

// load is one kind of work, done by clients goroutines until ctx ends; each call
// counts in done.
type load struct {
	name string
	mtls bool // of the site that asks for client certificates
	work func(b *bench, ctx context.Context, url string, done *atomic.Int64)
}

var loads = []load{
	{"full handshakes", false, handshakes()},
	{"full handshakes with X25519 alone", false, handshakes(tls.X25519)},
	{"full handshakes with client certificates", true, handshakes()},
	{"1 KiB, HTTP/1.1", false, requests("/1k.bin", false)},
	{"1 KiB, HTTP/2", false, requests("/1k.bin", true)},
	{"1 KiB with client certificates, HTTP/2", true, requests("/1k.bin", true)},
	{"10 MiB, HTTP/1.1", false, requests("/10m.bin", false)},
	{"10 MiB, HTTP/2", false, requests("/10m.bin", true)},
}

type bench struct {
	dir    string
	config *tls.Config
}

// server is a program that is measured, with two sites: one that asks for client
// certificates and one that does not.
type server struct {
	name        string
	cmds        []*exec.Cmd
	plain, mtls string // URLs
}

func run(rounds int, length time.Duration) error {
	dir, err := os.MkdirTemp("", "overlay-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir}
	if err := b.prepare(); err != nil {
		return err
	}
	overlay, err := b.startOverlay()
	if err != nil {
		return err
	}
	defer overlay.stop()
	nginx, err := b.startNginx()
	if err != nil {
		return err
	}
	defer nginx.stop()
	fmt.Printf("%-42s %14s %14s %8s   (median of %d, per CPU second of the server)\n", "", "overlay", "nginx", "ratio", rounds)
	for _, l := range loads {
		rates := map[*server][]float64{}
		for range rounds {
			for _, s := range []*server{overlay, nginx} {
				rate, err := b.measure(s, l, length)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, l.name, err)
				}
				rates[s] = append(rates[s], rate)
			}
		}
		ours, theirs := median(rates[overlay]), median(rates[nginx])
		fmt.Printf("%-42s %14.1f %14.1f %8.2f\n", l.name, ours, theirs, ours/theirs)
	}
	return nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// measure returns how much of l the server does in a second of its CPU time.
func (b *bench) measure(s *server, l load, length time.Duration) (float64, error) {
	url := s.plain
	if l.mtls {
		url = s.mtls
	}
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	var done atomic.Int64
	var running sync.WaitGroup
	for range clients {
		running.Go(func() { l.work(b, ctx, url, &done) })
	}
	running.Wait()
	after, err := s.cpu()
	if err != nil {
		return 0, err
	}
	if done.Load() == 0 || after <= before {
		return 0, fmt.Errorf("%d times in %v of CPU time", done.Load(), after-before)
	}
	return float64(done.Load()) / (after - before).Seconds(), nil
}

// handshakes makes connections without resumption, one after the other. Without curves, the client
// offers X25519MLKEM768, which overlay takes and OpenSSL before 3.5 does not have: the work is not
// the same then.
func handshakes(curves ...tls.CurveID) func(*bench, context.Context, string, *atomic.Int64) {
	return func(b *bench, ctx context.Context, url string, done *atomic.Int64) {
		dialer := &tls.Dialer{Config: b.config.Clone()}
		dialer.Config.CurvePreferences = curves
		for ctx.Err() == nil {
			c, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(url, "https://"))
			if err != nil {
				continue
			}
			// The request tells that the server has finished its part as well.
			fmt.Fprint(c, "GET /1k.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			answer, err := io.ReadAll(c)
			if err == nil && strings.HasPrefix(string(answer), "HTTP/1.1 200") {
				done.Add(1)
			}
			_ = c.Close()
		}
	}
}

// requests gets path over one kept connection.
func requests(path string, http2 bool) func(*bench, context.Context, string, *atomic.Int64) {
	return func(b *bench, ctx context.Context, url string, done *atomic.Int64) {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!http2)
		protocols.SetHTTP2(http2)
		transport := &http.Transport{TLSClientConfig: b.config.Clone(), Protocols: protocols, DisableCompression: true}
		defer transport.CloseIdleConnections()
		for ctx.Err() == nil {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
			if err != nil {
				return
			}
			response, err := transport.RoundTrip(r)
			if err != nil {
				continue
			}
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if err == nil && response.StatusCode == http.StatusOK {
				done.Add(1)
			}
		}
	}
}

// prepare builds overlay, and makes files and certificates with it.
func (b *bench) prepare() error {
	if err := os.Mkdir(filepath.Join(b.dir, "docs"), 0o755); err != nil {
		return err
	}
	for name, size := range map[string]int{"1k.bin": 1 << 10, "10m.bin": 10 << 20} {
		if err := os.WriteFile(filepath.Join(b.dir, "docs", name), make([]byte, size), 0o644); err != nil {
			return err
		}
	}
	build := exec.Command("go", "build", "-o", filepath.Join(b.dir, "overlay"), "./cmd/overlay")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build overlay, from the repository's folder: %w\n%s", err, out)
	}
	for _, args := range [][]string{{"init"}, {"server", "localhost", "127.0.0.1"}, {"client", "laptop"}} {
		cmd := exec.Command("./overlay", append([]string{"cert", "--dir", "certs"}, args...)...)
		cmd.Dir = b.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("overlay cert %s: %w\n%s", args[0], err, out)
		}
	}
	text, err := os.ReadFile(filepath.Join(b.dir, "certs/ca.crt"))
	if err != nil {
		return err
	}
	certificate, err := tls.LoadX509KeyPair(filepath.Join(b.dir, "certs/laptop.crt"), filepath.Join(b.dir, "certs/laptop.key"))
	if err != nil {
		return err
	}
	b.config = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", Certificates: []tls.Certificate{certificate}}
	b.config.RootCAs.AppendCertsFromPEM(text)
	return nil
}

func (b *bench) startOverlay() (*server, error) {
	s := &server{name: "overlay"}
	for _, url := range []*string{&s.plain, &s.mtls} {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		args := []string{"--document-root", "docs", "--disable-http", "--https-port", port, "--ssl-certificate", "certs/localhost"}
		if url == &s.mtls {
			args = append(args, "--ssl-ca-certificate-file", "certs/ca.crt", "--ssl-crl-file", "certs/ca.crl")
		}
		*url = "https://127.0.0.1:" + port
		if err := s.start(b.dir, *url, "./overlay", args...); err != nil {
			s.stop()
			return nil, err
		}
	}
	return s, nil
}

// nginxConfig is nginx as a careful operator sets it up for the same.
const nginxConfig = `daemon off; worker_processes auto; pid DIR/nginx.pid; error_log DIR/nginx.log;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; types { } default_type application/octet-stream;
  ssl_certificate DIR/certs/localhost.crt; ssl_certificate_key DIR/certs/localhost.key; ssl_protocols TLSv1.2 TLSv1.3;
  open_file_cache max=1000; root DIR/docs;
  client_body_temp_path DIR/tmp; proxy_temp_path DIR/tmp; fastcgi_temp_path DIR/tmp; uwsgi_temp_path DIR/tmp; scgi_temp_path DIR/tmp;
  server { listen 127.0.0.1:PLAIN ssl http2; }
  server { listen 127.0.0.1:MTLS ssl http2; ssl_client_certificate DIR/certs/ca.crt; ssl_crl DIR/certs/ca.crl; ssl_verify_client optional;
    if ($ssl_client_verify != SUCCESS) { return 403; } }
}
`

func (b *bench) startNginx() (*server, error) {
	s := &server{name: "nginx"}
	ports := [2]string{}
	for i := range ports {
		var err error
		if ports[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	s.plain, s.mtls = "https://127.0.0.1:"+ports[0], "https://127.0.0.1:"+ports[1]
	file := filepath.Join(b.dir, "nginx.conf")
	text := strings.NewReplacer("DIR", b.dir, "PLAIN", ports[0], "MTLS", ports[1]).Replace(nginxConfig)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	// Its workers run as nobody, and the files belong to whoever runs this.
	for _, dir := range []string{b.dir, filepath.Join(b.dir, "certs")} {
		if err := os.Chmod(dir, 0o755); err != nil {
			return nil, err
		}
	}
	return s, s.start(b.dir, s.mtls, "nginx", "-c", file)
}

// start starts a process of s, and waits until url is served.
func (s *server) start(dir, url, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	log, err := os.Create(filepath.Join(dir, s.name+".err"))
	if err != nil {
		return err
	}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmds = append(s.cmds, cmd)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", strings.TrimPrefix(url, "https://")); err == nil {
			return c.Close()
		}
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("%s does not serve: %s", s.name, text)
}

func (s *server) stop() {
	for _, cmd := range s.cmds {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
}

// cpu returns the CPU time of the processes of s, children included.
func (s *server) cpu() (total time.Duration, err error) {
	for _, cmd := range s.cmds {
		pids := []string{strconv.Itoa(cmd.Process.Pid)}
		children, err := os.ReadFile(fmt.Sprintf("/proc/%s/task/%s/children", pids[0], pids[0]))
		if err != nil {
			return 0, err
		}
		for _, pid := range append(pids, strings.Fields(string(children))...) {
			text, err := os.ReadFile("/proc/" + pid + "/stat")
			if err != nil {
				return 0, err
			}
			_, rest, _ := strings.Cut(string(text), ") ")
			fields := strings.Fields(rest) // from the third field on: utime is the 14th, stime the 15th
			user, err1 := strconv.ParseInt(fields[11], 10, 64)
			system, err2 := strconv.ParseInt(fields[12], 10, 64)
			if err := cmp.Or(err1, err2); err != nil {
				return 0, err
			}
			total += time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
		}
	}
	return total, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}
