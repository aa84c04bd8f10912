package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	maxMessages = 8   // of one test
	maxOfParent = 3   // of a test whose subtests failed: it mostly says where they ran
	maxMore     = 3   // lines of a message after its first
	maxTail     = 15  // lines of a section that names no test
	maxStack    = 6   // lines of a panic or a data race
	maxWidth    = 300 // bytes of a line
)

var (
	failLine = regexp.MustCompile(`^( *)--- FAIL: (\S+)`)
	passLine = regexp.MustCompile(`^( *)--- (?:PASS|SKIP): `)
	// What t.Error and t.Log print, and testscript, which names its own source.
	sayLine = regexp.MustCompile(`^( +)([A-Za-z0-9_]+\.go:[0-9]+: .*)$`)
	// Package lines of go test; [build failed] and [setup failed] among them.
	packageLine = regexp.MustCompile(`^FAIL\t\S+`)
	// What compiler and vet say.
	sourceLine = regexp.MustCompile(`^(?:vet: )?\S+\.go:[0-9]+:[0-9]+: `)
	// The log of a server, as tests/e2e/program and the like print it.
	logLine = regexp.MustCompile(`\.go:[0-9]+: (log of |.*\blog:$)`)
	// The line of a script at which it failed.
	scriptLine = regexp.MustCompile(`^ *FAIL: \S+:[0-9]+: `)
	brokenLine = regexp.MustCompile(`^\s*(?:panic: |fatal error: |WARNING: DATA RACE|==\d+==ERROR: |runtime: )`)
	// What of a stack helps: the heads of a race, and the places that are ours.
	stackLine = regexp.MustCompile(`^\s*(?:(?:Previous )?(?:[Rr]ead|[Ww]rite) at |running tests:|Test\S+ \(|\S*/[^/ ]+/[^/ ]+\.go:[0-9]+)`)
)

// test is a failed test and what it said.
type test struct {
	name     string
	indent   int
	messages []string // the first lines of them, each followed by some of its others
	count    int      // messages, whole
}

// digest returns what failed, of what one section printed.
func digest(text string) []string {
	var (
		tests  []*test
		open   []*test // the failed tests that what comes may belong to, outermost first
		loose  []string
		more   int // lines of the last message that may still be shown
		stack  int // the same of a panic or a race
		inLog  int // indentation of the log that is being left out; 0 when none is
		silent = func() { more, inLog = 0, 0 }
	)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		switch {
		case failLine.MatchString(line):
			silent()
			t := &test{name: failLine.FindStringSubmatch(line)[2], indent: indent}
			for len(open) > 0 && open[len(open)-1].indent >= indent {
				open = open[:len(open)-1]
			}
			open, tests = append(open, t), append(tests, t)
		case brokenLine.MatchString(line):
			// Wherever it stands, in the log of a server too.
			loose, stack = append(loose, strings.TrimSpace(line)), maxStack
		case stack > 0 && stackLine.MatchString(line):
			loose, stack = append(loose, "    "+strings.TrimSpace(line)), stack-1
		case sourceLine.MatchString(line):
			loose = append(loose, line)
		case packageLine.MatchString(line):
			silent()
			open, stack = nil, 0
			loose = append(loose, strings.ReplaceAll(line, "\t", " "))
		case passLine.MatchString(line):
			silent()
		case inLog > 0 && indent > inLog:
		case sayLine.MatchString(line) && len(open) > 0:
			silent()
			if logLine.MatchString(line) {
				inLog = indent
				break
			}
			// A test's own lines are one step deeper than its name. What its parent says at
			// its end comes after it, and is one step less deep.
			for len(open) > 1 && open[len(open)-1].indent >= indent {
				open = open[:len(open)-1]
			}
			t := open[len(open)-1]
			if t.count++; t.count <= maxMessages {
				t.messages, more = append(t.messages, strings.TrimSpace(line)), maxMore
			}
		case scriptLine.MatchString(line) && len(open) > 0:
			t := open[len(open)-1]
			t.messages = append(t.messages, strings.TrimSpace(line))
		case more > 0 && len(open) > 0 && strings.TrimSpace(line) != "":
			t := open[len(open)-1]
			t.messages, more = append(t.messages, "    "+strings.TrimSpace(line)), more-1
		}
	}
	lines := append(told(tests), loose...)
	if len(lines) == 0 {
		lines = last(text)
	}
	for i, line := range lines {
		if len(line) > maxWidth {
			lines[i] = line[:maxWidth] + "..."
		}
	}
	return lines
}

// told returns the names of the tests that have no failed subtest, and of those that have
// one and say something of their own, with what they said.
func told(tests []*test) (lines []string) {
	for _, t := range tests {
		parent := slices.ContainsFunc(tests, func(other *test) bool { return strings.HasPrefix(other.name, t.name+"/") })
		messages := t.messages
		if parent {
			if len(messages) == 0 {
				continue
			}
			messages = messages[:min(len(messages), maxOfParent)]
		}
		lines = append(lines, "FAIL "+t.name)
		for _, message := range messages {
			lines = append(lines, "  "+message)
		}
		if t.count > maxMessages {
			lines = append(lines, fmt.Sprintf("  (%d more messages)", t.count-maxMessages))
		}
	}
	return lines
}

// last returns the last lines of a section that no test of Go failed in.
func last(text string) []string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return lines[max(len(lines)-maxTail, 0):]
}

// fit cuts lines to most of them, the last of which says what was left out.
func fit(lines []string, most int) []string {
	if len(lines) <= most {
		return lines
	}
	cut := slices.Clone(lines[:most-1])
	return append(cut, fmt.Sprintf("(%d more lines: see .cache/sections)", len(lines)-len(cut)))
}
