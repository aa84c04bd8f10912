// Command overlay serves a document root, and lets every URL without a file
// there fall through to a Python WSGI application.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

func main() {
	boundGarbage()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	exitOK    = 0
	exitError = 1 // it was clear what to do, and it went wrong
	exitUsage = 2 // the command line cannot be acted on
)

// run does what args say and returns the exit status. stdout gets what was asked
// for (help, versions, the access log), stderr what was not (banner, log, errors).
func run(args []string, stdout, stderr io.Writer) int {
	stderr = &lockedWriter{w: stderr}
	p := &program{stdout: stdout, stderr: stderr, findPython: findPython, serve: serve}
	if err := p.run(args); err != nil {
		printError(stderr, err)
		var usage *usageError
		if errors.As(err, &usage) {
			return exitUsage
		}
		return exitError
	}
	return exitOK
}

// program holds what commands need from outside; tests replace the functions.
type program struct {
	stdout, stderr io.Writer

	// findPython is a pythonFinder, used by --version.
	findPython pythonFinder
	// serve serves until a signal or ctx ends it.
	serve func(ctx context.Context, cfg *config, stdout, stderr io.Writer) error
}

func (p *program) run(args []string) error {
	cli, kctx, err := parse(args)
	switch {
	case err != nil:
		return err
	case cli.Help:
		return printHelp(p.stdout, kctx)
	case cli.Version:
		return p.printVersion(&cli.StartServer)
	}
	return kctx.Run(p) // calls the Run method of the command chosen
}

// Run checks the options and serves.
func (c *serveCommand) Run(kctx *kong.Context, p *program) error {
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	cfg, err := newConfig(c, given(kctx), dir)
	if err != nil {
		return err
	}
	return p.serve(context.Background(), cfg, p.stdout, p.stderr)
}

// printError writes err on one line, and its remedy on another. What was typed
// or read from a file may hold anything: control characters are escaped.
func printError(w io.Writer, err error) {
	line := appendEscaped([]byte("overlay: "), err.Error())
	line = append(line, '\n')
	if hint := hintOf(err); hint != "" {
		line = appendEscaped(append(line, "overlay: hint: "...), hint)
		line = append(line, '\n')
	}
	_, _ = w.Write(line) // nowhere left to complain
}
