package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestDigest(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		want []string
	}{
		{"nothing failed", "ok  \toverlay/static\t1.2s\n", []string{"ok  \toverlay/static\t1.2s"}},
		{"a section without tests", "# overlay/static\nstatic/a.go:3:1: it is wrong\n", []string{"static/a.go:3:1: it is wrong"}},
		{"no more than a last word", "apt-get: no network\n", []string{"apt-get: no network"}},
		{"a test", `
--- FAIL: TestA (0.10s)
    a_test.go:10: got 1, want 2
    a_test.go:11: got
        one
        two
        three
        four
FAIL
FAIL	overlay/a	0.2s
ok  	overlay/b	0.2s
`, []string{
			"FAIL TestA", "  a_test.go:10: got 1, want 2", "  a_test.go:11: got", "      one", "      two", "      three",
			"FAIL overlay/a 0.2s",
		}},
		{"a log is left out, and what its parent says comes after it", `
--- FAIL: TestC (0.00s)
    --- FAIL: TestC/pypy (144.10s)
        conformance_test.go:102: 127.0.0.1:44007
        --- FAIL: TestC/pypy/streaming (4.72s)
            --- FAIL: TestC/pypy/streaming/bounded (2.03s)
                cases_test.go:19: in piece 3
            --- PASS: TestC/pypy/streaming/blocks (2.03s)
        server.go:130: log of overlay --port 0:
            [...]re
                | views.py:3: no
            a_test.go:1: printed by the application
        server.go:126: the log holds "panic: "
`, []string{
			"FAIL TestC/pypy", "  conformance_test.go:102: 127.0.0.1:44007", "  server.go:126: the log holds \"panic: \"",
			"FAIL TestC/pypy/streaming/bounded", "  cases_test.go:19: in piece 3",
		}},
		{"a script", `
--- FAIL: TestScripts (0.00s)
    --- FAIL: TestScripts/static_range (0.33s)
        testscript.go:584: # a range past the end is refused (0.2s)
            > get /a.txt
            [stdout]
            200 OK
            more
            FAIL: ../../tests/scripts/static_range.txtar:12: no match for ^416
`, []string{
			"FAIL TestScripts/static_range", "  testscript.go:584: # a range past the end is refused (0.2s)",
			"      > get /a.txt", "      [stdout]", "      200 OK",
			"  FAIL: ../../tests/scripts/static_range.txtar:12: no match for ^416",
		}},
		{"a data race in the log of a server", `
--- FAIL: TestE (0.00s)
    server.go:130: log of overlay:
        ==================
        WARNING: DATA RACE
        Write at 0x00c000190028 by goroutine 7:
          overlay/static.(*table).put()
              /src/overlay/static/table.go:80 +0x1
        Previous read at 0x00c000190028 by goroutine 8:
          overlay/static.(*table).get()
              /src/overlay/static/table.go:60 +0x1
`, []string{
			"FAIL TestE", "WARNING: DATA RACE", "    Write at 0x00c000190028 by goroutine 7:", "    /src/overlay/static/table.go:80 +0x1",
			"    Previous read at 0x00c000190028 by goroutine 8:", "    /src/overlay/static/table.go:60 +0x1",
		}},
		{"time is up", `panic: test timed out after 8m0s
	running tests:
		TestConformance (8m0s)

goroutine 1 [running]:
FAIL	overlay/tests/conformance	480.0s
`, []string{"panic: test timed out after 8m0s", "    running tests:", "    TestConformance (8m0s)", "FAIL overlay/tests/conformance 480.0s"}},
		{"it does not build", `# overlay/static [overlay/static.test]
static/a_test.go:3:5: undefined: x
FAIL	overlay/static [build failed]
`, []string{"static/a_test.go:3:5: undefined: x", "FAIL overlay/static [build failed]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := digest(tt.text); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// TestDigestLimits holds the limits of what one test, one line and all of them may take.
func TestDigestLimits(t *testing.T) {
	says := func(n int) string {
		text := "--- FAIL: TestA (0.10s)\n"
		for i := range n {
			text += fmt.Sprintf("    a_test.go:%d: no\n", i)
		}
		return text
	}
	if got := digest(says(maxMessages)); len(got) != 1+maxMessages {
		t.Errorf("%d messages make %d lines: %q", maxMessages, len(got), got)
	}
	if got := digest(says(maxMessages + 5)); got[len(got)-1] != "  (5 more messages)" || len(got) != 2+maxMessages {
		t.Errorf("%d messages make %q", maxMessages+5, got)
	}
	long := digest("--- FAIL: TestA (0.10s)\n    a_test.go:1: " + strings.Repeat("x", 2*maxWidth) + "\n")
	if len(long[1]) != maxWidth+len("...") {
		t.Errorf("a long line has %d bytes", len(long[1]))
	}
	lines := strings.Split(strings.Repeat("line\n", maxLines), "\n")[:maxLines]
	if got := fit(lines, maxLines); len(got) != maxLines || got[maxLines-1] != "line" {
		t.Errorf("%d lines are cut to %d: %q", maxLines, len(got), got[len(got)-1])
	}
	if got := fit(append(lines, "line"), maxLines); len(got) != maxLines || got[maxLines-1] != "(2 more lines: see .cache/sections)" {
		t.Errorf("%d lines are cut to %d: %q", maxLines+1, len(got), got[len(got)-1])
	}
}
