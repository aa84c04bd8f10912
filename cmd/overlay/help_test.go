package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHelp(t *testing.T) {
	_, kctx, err := parse([]string{"--help"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		golden string
		width  int
		limit  int
	}{
		{"help_80.golden", 80, 80},
		{"help_120.golden", 120, 120},
	} {
		text := serveHelp(kctx.Model, test.width)
		golden(t, test.golden, text)
		for line := range strings.Lines(string(text)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > test.limit {
				t.Errorf("%d columns are wider than %d: %q", n, test.limit, line)
			}
		}
	}
	if !bytes.Equal(serveHelp(kctx.Model, 5), serveHelp(kctx.Model, helpMinWidth)) {
		t.Error("a narrow terminal gets less than the narrowest help")
	}
	if !bytes.Equal(serveHelp(kctx.Model, 1000), serveHelp(kctx.Model, helpMaxWidth)) {
		t.Error("a wide terminal gets more than the widest help")
	}
}

// Every option stands in a group, has a placeholder, and a text that ends as
// sentences do.
func TestHelpIsComplete(t *testing.T) {
	_, kctx, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range kctx.Model.DefaultCmd.Flags {
		if flag.Group == nil || !strings.HasSuffix(flag.Help, ".") || (!flag.IsBool() && flag.PlaceHolder == "") {
			t.Errorf("--%s lacks its group, text or placeholder", flag.Name)
		}
	}
}

// Commands are told from the entry point of serving, and listed.
func TestCommands(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"cert client laptop", "cert client <name>"},
		{"cert init", "cert init"},
		{"share . --with laptop", "share <dir>"},
		{"cert --help", "cert"},
		{"hello.wsgi --port 1", "start-server <entry-point>"},
		{"--port 1", "start-server"},
	} {
		_, kctx, err := parse(strings.Fields(test.args))
		if err != nil {
			t.Fatal(err)
		}
		if got := kctx.Command(); got != test.want {
			t.Errorf("overlay %s: got command %q, want %q", test.args, got, test.want)
		}
	}
	_, kctx, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := string(serveHelp(kctx.Model, 80))
	if !strings.Contains(text, "Commands (overlay COMMAND --help tells more):\n  share                         Share a folder") {
		t.Errorf("the command is not listed:\n%s", text)
	}
}

func TestTerminalWidth(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, test := range []struct {
		columns string
		want    int
	}{{"132", 132}, {"", defaultWidth}, {"wide", defaultWidth}, {"-1", defaultWidth}, {"0", defaultWidth}} {
		t.Setenv("COLUMNS", test.columns)
		if got := terminalWidth(file); got != test.want {
			t.Errorf("COLUMNS=%s: got %d, want %d", test.columns, got, test.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 10, ""},
		{"one two three", 7, "one two|three"},
		{"one two three", 6, "one|two|three"},
		{"a longerword b", 4, "a|longerword|b"},
		{"one two" + noBreak + "three", 8, "one|two three"},
	} {
		if got := strings.Join(wrap(test.text, test.width), "|"); got != test.want {
			t.Errorf("wrap(%q, %d) = %q, want %q", test.text, test.width, got, test.want)
		}
	}
}
