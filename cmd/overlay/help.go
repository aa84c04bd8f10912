package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

const helpIntro = `Serve the files of a document root, and let every URL without a file there
fall through to a Python WSGI application.`

const helpExamples = `Examples:
  overlay --document-root .
      Serve the files of this folder on http://127.0.0.1:8000/
  overlay hello.wsgi
      Run a WSGI script file, whose callable is named application
  overlay --document-root ./htdocs --url-alias /media ./uploads hello.wsgi
      Files first, the application beneath
  overlay --application-type module mysite.wsgi:app --processes 2 --port 9000
      Run the callable app of an importable module
  overlay --document-root . --https-port 8443 --ssl-certificate certs/localhost
      HTTPS with certs/localhost.crt and certs/localhost.key
`

// Columns of the help. The text of an option starts at helpColumn, on a line of
// its own below a longer option.
const (
	helpColumn   = 32
	helpMinWidth = 60
	helpMaxWidth = 120 // longer lines are hard to read
)

// printHelp answers --help: the options of serving, or those of another command.
func printHelp(w io.Writer, kctx *kong.Context) error {
	if selected := kctx.Selected(); selected != nil && selected != kctx.Model.DefaultCmd {
		_, err := w.Write(commandHelp(selected, kctx.Model, terminalWidth(w)))
		return err
	}
	_, err := w.Write(serveHelp(kctx.Model, terminalWidth(w)))
	return err
}

// appOption is an option of every command as the help has it.
func appOption(flag *kong.Flag) string {
	if flag.Short != 0 {
		return fmt.Sprintf("-%c, --%s", flag.Short, flag.Name)
	}
	return "--" + flag.Name
}

// serveHelp formats the help for lines of width characters.
func serveHelp(app *kong.Application, width int) []byte {
	width = min(max(width, helpMinWidth), helpMaxWidth)
	var out bytes.Buffer
	fmt.Fprintf(&out, "Usage: overlay [OPTION]... [ENTRY-POINT]\n\n%s\n\n", helpIntro)
	writeEntry(&out, width, "  ENTRY-POINT", "WSGI script file, or the name of a module; see --application-type.")
	group := ""
	for _, flag := range app.DefaultCmd.Flags {
		if flag.Group.Title != group {
			group = flag.Group.Title
			fmt.Fprintf(&out, "\n%s:\n", group)
		}
		writeEntry(&out, width, "  --"+optionSyntax(flag), optionHelp(flag))
	}
	out.WriteString("\nOther options:\n")
	for _, flag := range app.Flags {
		writeEntry(&out, width, "  "+appOption(flag), flag.Help)
	}
	writeCommands(&out, width, app)
	fmt.Fprintf(&out, "\nTIME is in seconds, or has a unit: 45, 45s, 2m, 500ms.\n\n%s", helpExamples)
	return out.Bytes()
}

// writeCommands lists the commands besides serving, if there are any.
func writeCommands(out *bytes.Buffer, width int, app *kong.Application) {
	title := "\nCommands (overlay COMMAND --help tells more):\n"
	for _, command := range app.Children {
		if command != app.DefaultCmd && !command.Hidden {
			out.WriteString(title)
			writeEntry(out, width, "  "+command.Name, command.Help)
			title = ""
		}
	}
}

func optionSyntax(flag *kong.Flag) string {
	if flag.IsBool() {
		return flag.Name
	}
	return flag.Name + " " + flag.PlaceHolder
}

func optionHelp(flag *kong.Flag) string {
	if !flag.HasDefault {
		return flag.Help
	}
	return strings.TrimSuffix(flag.Help, ".") + " (default" + noBreak + flag.Default + ")."
}

// writeEntry writes name, and text wrapped in the column beside it.
func writeEntry(out *bytes.Buffer, width int, name, text string) {
	out.WriteString(name)
	column := len(name)
	if column+2 > helpColumn {
		out.WriteByte('\n')
		column = 0
	}
	for i, line := range wrap(text, width-helpColumn) {
		if i > 0 {
			column = 0
		}
		fmt.Fprintf(out, "%*s%s\n", helpColumn-column, "", line)
	}
}

// noBreak is written as a space at which wrap breaks no line.
const noBreak = "\u00a0"

// wrap breaks text at spaces into lines of at most width bytes; a longer word has
// a line of its own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		word = strings.ReplaceAll(word, noBreak, " ")
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
