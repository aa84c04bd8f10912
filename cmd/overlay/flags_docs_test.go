package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestOptionsPage holds docs/options.md to the grammar: every option has a row,
// in its group and with its default, and there is no row of another option.
func TestOptionsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/options.md")
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ group, rest string }
	rows := map[string]row{}
	group := ""
	for line := range strings.Lines(string(page)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			group = strings.TrimSpace(title)
		}
		if m := regexp.MustCompile("^\\| `--([^`]*)` \\| (.*)").FindStringSubmatch(line); m != nil {
			rows[m[1]] = row{group, m[2]}
		}
	}
	_, kctx, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range serveFlags(kctx.Model) {
		syntax := optionSyntax(flag)
		want := row{group: "Other options"}
		if flag.Group != nil {
			want.group = flag.Group.Title
		}
		if flag.HasDefault {
			want.rest = "`" + flag.Default + "` |"
		}
		if got, ok := rows[syntax]; !ok || got.group != want.group || !strings.HasPrefix(got.rest, want.rest) {
			t.Errorf("--%s: got %q, want a row in %q with the default %q", syntax, got, want.group, want.rest)
		}
		delete(rows, syntax)
	}
	for name := range rows {
		t.Errorf("--%s has a row, but is no option", name)
	}
}
