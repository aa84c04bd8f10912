package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// usageError is a command line that overlay cannot act on; run exits with 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// hintError carries a remedy, which run prints on a line of its own.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// withHint returns err with a remedy for whoever typed the command; an empty
// hint changes nothing.
func withHint(err error, hint string) error {
	if hint == "" {
		return err
	}
	return &hintError{err: err, hint: hint}
}

// usagef returns a usageError with a hint; an empty one stands for helpHint.
func usagef(hint, format string, args ...any) error {
	if hint == "" {
		hint = helpHint
	}
	return &usageError{err: &hintError{err: fmt.Errorf(format, args...), hint: hint}}
}

// hintOf returns the remedy that err carries, "" when it has none.
func hintOf(err error) string {
	var h *hintError
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}

const helpHint = "overlay --help lists the options"

// explainParseError turns an error of kong into ours, with a hint. kong offers
// the two interesting cases as text only; cli_unknown_option.txtar and
// cli_second_entry_point.txtar notice when a new release words them differently.
func explainParseError(err error, args []string, app *kong.Application) error {
	text := err.Error()
	if rest, ok := strings.CutPrefix(text, "unknown flag "); ok {
		name, _, _ := strings.Cut(rest, ", did you mean")
		return explainUnknownOption(name, args, app)
	}
	if rest, ok := strings.CutPrefix(text, "unexpected argument "); ok {
		word, _, _ := strings.Cut(rest, ", did you mean")
		for _, arg := range args {
			if hint, ok := foreignCommands[arg]; ok {
				return usagef(hint, "unknown command %s", arg)
			}
		}
		hint := "options such as --access-log take no value; quote a value that holds spaces"
		if near := nearest(args[0], subcommands(app.Node)); near != "" && near != app.DefaultCmd.Name {
			hint = "did you mean overlay " + near + "?"
		}
		return usagef(hint, "unexpected word %q behind the entry point", word)
	}
	return usagef(valueHint(text, app), "%s", text)
}

// valueHint helps with a value that a decoder refused; text starts with the name
// of the option.
func valueHint(text string, app *kong.Application) string {
	if hint := flagValueHint(text, serveFlags(app)); hint != "" {
		return hint
	}
	return helpHint
}

// flagValueHint is valueHint for some options, "" if it is about none of them.
func flagValueHint(text string, flags []*kong.Flag) string {
	name, problem, _ := strings.Cut(text, ": ")
	for _, flag := range flags {
		if "--"+flag.Name != name {
			continue
		}
		placeholder := flag.PlaceHolder
		if strings.HasPrefix(problem, "needs ") {
			return fmt.Sprintf("write %s %s", name, placeholder)
		}
		if strings.HasPrefix(problem, "the value is empty") {
			return "a shell makes an empty word of a variable that is not set"
		}
		if flag.HasDefault {
			return fmt.Sprintf("without %s it is %s", name, flag.Default)
		}
	}
	return ""
}

// typedOption returns the option name as it was typed. kong sees -port as -p and a
// tail, so that the word has to be looked for in args.
func typedOption(name string, args []string) string {
	if !strings.HasPrefix(name, "--") {
		for _, arg := range args {
			if strings.HasPrefix(arg, name) {
				typed, _, _ := strings.Cut(arg, "=")
				return typed
			}
		}
	}
	return name
}

// explainUnknownOption finds out what was meant by name.
func explainUnknownOption(name string, args []string, app *kong.Application) error {
	typed := typedOption(name, args)
	if hint, ok := foreignOptions[typed]; ok {
		return usagef(hint, "unknown option %s", typed)
	}
	var names []string
	for _, flag := range serveFlags(app) {
		names = append(names, flag.Name)
	}
	if near := nearest(strings.TrimLeft(typed, "-"), names); near != "" {
		return usagef("did you mean --"+near+"?", "unknown option %s", typed)
	}
	if hint, ok := foreignOptions[name]; ok { // -p8000
		return usagef(hint, "unknown option %s", typed)
	}
	return usagef(helpHint, "unknown option %s", typed)
}

// serveFlags lists every option that serving understands, those of all commands
// included.
func serveFlags(app *kong.Application) []*kong.Flag {
	return slices.Concat(app.Flags, app.DefaultCmd.Flags)
}

// oneOf reports a value that is none of want, with the nearest of them as hint.
func oneOf(option, got string, want ...string) error {
	if slices.Contains(want, got) {
		return nil
	}
	list := strings.Join(want[:len(want)-1], ", ") + " or " + want[len(want)-1]
	hint := ""
	if near := nearest(strings.ToLower(got), want); near != "" {
		hint = fmt.Sprintf("did you mean %s %s?", option, near)
	}
	return usagef(hint, "%s: got %q, want %s", option, got, list)
}

// nearest returns the name that was most likely meant by typed: one that starts
// with it, is at most a third of its letters away from it, or holds it. It
// returns "" when none is near; ties go to the first.
func nearest(typed string, names []string) string {
	best, bestDistance := "", max(1, len(typed)/3)+1
	if len(typed) < 2 {
		return ""
	}
	for _, name := range names {
		d := editDistance(typed, name)
		if strings.HasPrefix(name, typed) {
			d = 0
		}
		if d < bestDistance {
			best, bestDistance = name, d
		}
	}
	if best != "" || len(typed) < 4 {
		return best
	}
	for _, name := range names {
		if strings.Contains(name, typed) {
			return name
		}
	}
	return ""
}

// editDistance counts the letters to insert, delete, replace or swap with their
// neighbour to make b from a (optimal string alignment).
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			replace := last[j-1]
			if x[i-1] != y[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
