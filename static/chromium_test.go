package static

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// screenshots is where what the browser shows is kept, to be looked at:
// go test ./static -run Chromium -screenshots DIR
var screenshots = flag.String("screenshots", "", "keep screenshots of the listing page in `DIR`")

// browserPatience bounds each answer of the browser; reaching it is a failure.
const browserPatience = time.Minute

// chromium is a tab of a headless Chromium that is told what to do through a pipe
// (its option --remote-debugging-pipe): JSON messages with a NUL byte behind each.
type chromium struct {
	t       *testing.T
	orders  *os.File
	answers chan chromiumMessage
	session string
	last    int
	loaded  int // pages so far
}

type chromiumMessage struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// newChromium starts the browser; the test is skipped where there is none.
func newChromium(t *testing.T) *chromium {
	t.Helper()
	var file string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			file = path
			break
		}
	}
	switch {
	case testing.Short():
		t.Skip("a browser takes its time")
	case file == "":
		t.Skip("chromium is missing; Debian's package is chromium")
	}
	ordersOut, orders, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, answersIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command(file, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--remote-debugging-pipe", "--user-data-dir="+filepath.Join(home, "profile"))
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.ExtraFiles = []*os.File{ordersOut, answersIn} // 3 and 4 in the browser
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ordersOut.Close()
	answersIn.Close()
	c := &chromium{t: t, orders: orders, answers: make(chan chromiumMessage, 1000)}
	go c.read(answers)
	t.Cleanup(func() {
		c.session = ""
		c.do("Browser.close", nil, nil)
		orders.Close()
		for range c.answers { // until its end closes the pipe: it writes to home no more
		}
		cmd.Wait()
	})
	var target struct{ TargetID, SessionID string }
	c.do("Target.createTarget", object{"url": "about:blank"}, &target)
	c.do("Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &target)
	c.session = target.SessionID
	c.do("Page.enable", nil, nil)
	return c
}

type object map[string]any

func (c *chromium) read(pipe *os.File) {
	defer close(c.answers)
	defer pipe.Close()
	for r := bufio.NewReader(pipe); ; {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m chromiumMessage
		if json.Unmarshal(line[:len(line)-1], &m) == nil {
			c.answers <- m
		}
	}
}

// do calls a method of the Chrome DevTools Protocol and stores its result.
func (c *chromium) do(method string, params object, result any) {
	c.t.Helper()
	c.last++
	order := object{"id": c.last, "method": method}
	if params != nil {
		order["params"] = params
	}
	if c.session != "" {
		order["sessionId"] = c.session
	}
	b, err := json.Marshal(order)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.orders.Write(append(b, 0)); err != nil {
		c.t.Fatalf("chromium: %s: %v", method, err)
	}
	m := c.await(method, func(m *chromiumMessage) bool { return m.ID == c.last })
	if m.Error != nil {
		c.t.Fatalf("chromium: %s: %s", method, m.Error)
	}
	if result != nil {
		if err := json.Unmarshal(m.Result, result); err != nil {
			c.t.Fatalf("chromium: %s: %v", method, err)
		}
	}
}

// await returns the first message that is the one asked for.
func (c *chromium) await(what string, is func(*chromiumMessage) bool) chromiumMessage {
	c.t.Helper()
	for deadline := time.After(browserPatience); ; {
		select {
		case m, ok := <-c.answers:
			if !ok {
				c.t.Fatalf("chromium ended before %s", what)
			}
			if m.Method == "Page.loadEventFired" {
				c.loaded++
			}
			if is(&m) {
				return m
			}
		case <-deadline:
			c.t.Fatalf("chromium: no %s within %v", what, browserPatience)
		}
	}
}

// window sets the size of the window in CSS pixels, and light or dark.
func (c *chromium) window(width, height int, scheme string) {
	c.t.Helper()
	c.do("Emulation.setDeviceMetricsOverride", object{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	c.do("Emulation.setEmulatedMedia", object{"features": []object{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// open shows a page. fn, when not nil, is called instead of asking for url.
func (c *chromium) open(url string) {
	c.t.Helper()
	c.loading(func() { c.do("Page.navigate", object{"url": url}, nil) })
}

// loading calls fn, which makes the browser go to another page, and waits for it.
func (c *chromium) loading(fn func()) {
	c.t.Helper()
	before := c.loaded
	fn()
	if c.loaded == before {
		c.await("load event", func(*chromiumMessage) bool { return c.loaded > before })
	}
}

// press types a key: Tab, Enter.
func (c *chromium) press(key string) {
	c.t.Helper()
	code, text := map[string]int{"Tab": 9, "Enter": 13}[key], map[string]string{"Enter": "\r"}[key]
	for _, kind := range []string{"keyDown", "keyUp"} {
		c.do("Input.dispatchKeyEvent", object{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}, nil)
		text = ""
	}
}

// eval stores the value of a JavaScript expression.
func (c *chromium) eval(expression string, value any) {
	c.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	c.do("Runtime.evaluate", object{"expression": expression, "returnByValue": true}, &answer)
	if answer.ExceptionDetails != nil {
		c.t.Fatalf("chromium: %s: %s", expression, answer.ExceptionDetails)
	}
	if err := json.Unmarshal(answer.Result.Value, value); err != nil {
		c.t.Fatalf("chromium: %s = %s: %v", expression, answer.Result.Value, err)
	}
}

// screenshot keeps what the window shows, when that was asked for.
func (c *chromium) screenshot(name string) {
	c.t.Helper()
	if *screenshots == "" {
		return
	}
	var shot struct{ Data string }
	c.do("Page.captureScreenshot", nil, &shot)
	b, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.MkdirAll(*screenshots, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(*screenshots, fmt.Sprintf("listing-%s.png", name)), b, 0o644)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}
