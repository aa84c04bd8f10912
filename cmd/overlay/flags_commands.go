package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// isCommand reports whether node is a command other than serving.
func isCommand(node *kong.Node, app *kong.Application) bool {
	return node != nil && node != app.DefaultCmd && node.Type == kong.CommandNode
}

// commandFlags lists the options of a command: its own, and those of the commands that
// it belongs to.
func commandFlags(command *kong.Node) (flags []*kong.Flag) {
	for node := command; node != nil && node.Type == kong.CommandNode; node = node.Parent {
		flags = append(flags, node.Flags...)
	}
	return flags
}

// explainCommandError turns an error of kong about a command such as cert client into
// ours; text is what kong says.
func explainCommandError(text string, args []string, command *kong.Node, app *kong.Application) error {
	help := commandName(command) + " --help lists the options"
	if rest, ok := strings.CutPrefix(text, "unknown flag "); ok {
		name, _, _ := strings.Cut(rest, ", did you mean")
		return explainCommandOption(typedOption(name, args), help, command, app)
	}
	if rest, ok := strings.CutPrefix(text, "unexpected argument "); ok {
		word, _, _ := strings.Cut(rest, ", did you mean")
		if names := subcommands(command); names != nil {
			hint := help
			if near := nearest(word, names); near != "" {
				hint = "did you mean " + commandName(command) + " " + near + "?"
			}
			return usagef(hint, "unknown command %s %s", strings.TrimPrefix(commandName(command), "overlay "), word)
		}
		return usagef("quote a name that holds spaces; "+help, "unexpected word %q", word)
	}
	if rest, ok := strings.CutPrefix(text, "missing flags: "); ok {
		option, _, _ := strings.Cut(rest, "=")
		return usagef("for example: "+commandUsage(command), "%s is missing", option)
	}
	if strings.HasPrefix(text, "expected one of ") {
		names := subcommands(command)
		return usagef("for example: "+commandName(command)+" "+names[0], "%s needs a command: %s or %s",
			commandName(command), strings.Join(names[:len(names)-1], ", "), names[len(names)-1])
	}
	if rest, ok := strings.CutPrefix(text, `expected "`); ok {
		name, _, _ := strings.Cut(strings.TrimLeft(rest, "<"), ">")
		return usagef("for example: "+commandUsage(command), "%s is missing", strings.ToUpper(name))
	}
	if name, problem, ok := strings.Cut(text, ">: "); ok && strings.HasPrefix(name, "<") {
		return usagef("a shell makes an empty word of a variable that is not set", "%s: %s", strings.ToUpper(name[1:]), problem)
	}
	if hint := flagValueHint(text, commandFlags(command)); hint != "" {
		help = hint
	}
	return usagef(help, "%s", text)
}

// explainCommandOption finds out what was meant by an option that a command does not
// have.
func explainCommandOption(typed, help string, command *kong.Node, app *kong.Application) error {
	var names []string
	for _, flag := range commandFlags(command) {
		names = append(names, flag.Name)
	}
	problem := fmt.Sprintf("unknown option %s of %s", typed, commandName(command))
	plain := strings.TrimLeft(typed, "-")
	if near := nearest(plain, names); near != "" {
		return usagef("did you mean --"+near+"?", "%s", problem)
	}
	if hint, ok := foreignCommandOptions[command.Name+" "+typed]; ok {
		return usagef(hint, "%s", problem)
	}
	if slices.ContainsFunc(serveFlags(app), func(f *kong.Flag) bool { return f.Name == plain }) {
		return usagef(help, "%s: it is one of serving", problem)
	}
	return usagef(help, "%s", problem)
}

// foreignCommandOptions answers options that people try with a command.
var foreignCommandOptions = map[string]string{
	"share -p":              "the port is --https-port",
	"share --document-root": "give the folder: overlay share DIR --with NAME",
	"share --bind":          "the address to listen on is --host",
}

// commandName is what is typed for a command: "overlay cert client".
func commandName(command *kong.Node) string {
	if command.Type != kong.CommandNode {
		return "overlay"
	}
	return commandName(command.Parent) + " " + command.Name
}

// subcommands lists the names of the commands below command.
func subcommands(command *kong.Node) (names []string) {
	for _, child := range command.Children {
		names = append(names, child.Name)
	}
	return names
}

// commandUsage is the line of a command with what it needs: "overlay share DIR --with
// NAME".
func commandUsage(command *kong.Node) string {
	words := []string{commandName(command)}
	if len(command.Children) > 0 {
		words = append(words, "COMMAND")
	}
	for _, argument := range command.Positional {
		word := strings.ToUpper(argument.Name)
		if argument.IsCumulative() {
			word += "..."
		}
		if !argument.Required {
			word = "[" + word + "]"
		}
		words = append(words, word)
	}
	for _, flag := range command.Flags {
		if flag.Required {
			words = append(words, "--"+optionSyntax(flag))
		}
	}
	return strings.Join(words, " ")
}
