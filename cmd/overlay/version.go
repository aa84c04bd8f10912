package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

// pythonFinder finds the interpreter that would run an application: explicit if
// that is not "", else the one of $VIRTUAL_ENV, else of a .venv in dir, else
// python3 on PATH. version starts with the name of the implementation:
// "CPython 3.11.2".
type pythonFinder func(explicit, dir string) (path, version string, err error)

// overlayVersion returns the version that the Go command wrote into the program,
// "devel" where it had none to write.
func overlayVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	return versionOf(info)
}

// versionOf takes the version of a release, and tells the revision of a build
// between releases. A pseudo-version says the same in a form for machines.
func versionOf(info *debug.BuildInfo) string {
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	revision := setting["vcs.revision"]
	if v := info.Main.Version; v != "" && v != "(devel)" && revision == "" {
		return v // go install overlay@v1.2.3: no repository was there to look at
	}
	if len(revision) < 12 {
		return "devel"
	}
	version := "devel " + revision[:12]
	if setting["vcs.modified"] == "true" {
		version += " with changes"
	}
	return version
}

// printVersion answers --version, for an application in this folder. A Python that is not there is not an error:
// nobody needs one to serve files.
func (p *program) printVersion(c *serveCommand) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "overlay %s\n", overlayVersion())
	fmt.Fprintf(&out, "%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	path, version, err := p.findPython(c.Python, dir)
	if err != nil {
		if c.Python != "" { // asked for, so this is an answer to a question
			return fmt.Errorf("--python: %w", err)
		}
		fmt.Fprintf(&out, "Python: none (%s)\n", appendEscaped(nil, err.Error()))
	} else {
		fmt.Fprintf(&out, "%s, %s\n", version, appendEscaped(nil, path))
	}
	_, err = p.stdout.Write(out.Bytes())
	return err
}
