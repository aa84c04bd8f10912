package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// commandHelp formats the help of a command besides serving, for lines of width
// characters.
func commandHelp(command *kong.Node, app *kong.Application, width int) []byte {
	width = min(max(width, helpMinWidth), helpMaxWidth)
	var out bytes.Buffer
	fmt.Fprintf(&out, "Usage: %s [OPTION]...\n\n", commandUsage(command))
	for _, line := range wrap(command.Help, width) {
		out.WriteString(line + "\n")
	}
	if len(command.Positional) > 0 {
		out.WriteByte('\n')
	}
	for _, argument := range command.Positional {
		writeEntry(&out, width, "  "+strings.ToUpper(argument.Name), argument.Help)
	}
	if len(command.Children) > 0 {
		fmt.Fprintf(&out, "\nCommands (%s COMMAND --help tells more):\n", commandName(command))
	}
	for _, child := range command.Children {
		usage := strings.TrimPrefix(commandUsage(child), commandName(command)+" ")
		writeEntry(&out, width, "  "+usage, child.Help)
	}
	out.WriteString("\nOptions:\n")
	for _, flag := range commandFlags(command) {
		writeEntry(&out, width, "  --"+optionSyntax(flag), optionHelp(flag))
	}
	for _, flag := range app.Flags {
		writeEntry(&out, width, "  "+appOption(flag), flag.Help)
	}
	return out.Bytes()
}
