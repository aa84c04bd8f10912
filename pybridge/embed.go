package pybridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Errors of embedded mode, for callers that branch.
var (
	// ErrUnavailable: this program was built without cgo, so that it cannot
	// host an interpreter.
	ErrUnavailable = errors.New("pybridge: embedded mode is not part of this build")
	// ErrNoLibrary: the interpreter has no libpython that can be loaded. The
	// text around it says what to install.
	ErrNoLibrary = errors.New("no shared libpython")
	// ErrAlreadyEmbedded: the process hosts an interpreter already, and a
	// process hosts one at most.
	ErrAlreadyEmbedded = errors.New("pybridge: the process has an embedded interpreter already")
)

// Library finds the libpython of the interpreter at path: the file that
// embedded mode loads. The error wraps ErrNoLibrary when there is none.
//
// The interpreter is asked where it would be. That says too little: Debian's is
// linked statically and names a library that is in another package.
func Library(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	const question = `import sys, sysconfig, platform
get = lambda name: str(sysconfig.get_config_var(name) or "")
sys.stdout.write("\0".join([platform.python_implementation(), "%d.%d" % sys.version_info[:2], get("LIBDIR"),
    get("INSTSONAME"), get("LDLIBRARY"), get("MULTIARCH"), sys.base_prefix, getattr(sys, "abiflags", "")]))`
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "-E", "-c", question) // -E: PYTHONHOME is ignored here as well
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w: %s", path, err, firstLine(stderr.String()))
	}
	answer := strings.Split(stdout.String(), "\x00")
	if len(answer) != 8 {
		return "", fmt.Errorf("ask %s for its library: got %q", path, stdout.String())
	}
	b := libraryBuild{
		implementation: answer[0], version: answer[1], directory: answer[2],
		names: answer[3:5], architecture: answer[5], prefix: answer[6], flags: answer[7],
	}
	return b.find(path)
}

// libraryBuild is what an interpreter says of how it was built.
type libraryBuild struct {
	implementation, version string
	directory               string   // LIBDIR
	names                   []string // INSTSONAME, LDLIBRARY
	architecture            string   // MULTIARCH, Debian's name of it
	prefix                  string   // sys.base_prefix
	flags                   string   // "t" for a free-threaded build
}

// find returns the first candidate that is a file.
func (b *libraryBuild) find(path string) (string, error) {
	if b.implementation != "CPython" {
		return "", fmt.Errorf("%s is %s, and embedded mode needs CPython: %w", path, b.implementation, ErrNoLibrary)
	}
	for _, candidate := range b.candidates() {
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("%s has %w: there is no libpython%s%s.so in %s; on Debian it is in the package libpython%s, "+
		"pyenv builds it with PYTHON_CONFIGURE_OPTS=--enable-shared", path, ErrNoLibrary, b.version, b.flags, b.directory, b.version)
}

func (b *libraryBuild) candidates() []string {
	soname := "libpython" + b.version + b.flags + ".so.1.0"
	var list []string
	for _, dir := range []string{b.directory, filepath.Join(b.directory, b.architecture), filepath.Join(b.prefix, "lib")} {
		for _, name := range append(b.names[:len(b.names):len(b.names)], soname) {
			if dir != "" && strings.Contains(name, ".so") {
				list = append(list, filepath.Join(dir, name))
			}
		}
	}
	return list
}

// embedCommand is the program text that an embedded interpreter starts with. It
// finds the marshal data of hello and the functions of the C core as globals.
const embedCommand = `import marshal, sys
h = marshal.loads(hello)
n = {"__name__": "_overlay.boot", "__file__": "<overlay>/boot.py"}
m = sys.modules["_overlay.native"] = type(sys)("_overlay.native")
m.__dict__.update(native)
exec(compile(h["sources"]["boot"], n["__file__"], "exec", dont_inherit=True), n)
n["boot"](h["sources"], h["order"], h["stdout"], h["stderr"], h["settings"])
`

// embedHello returns the data for embedCommand: the worker program, the module
// that takes the place of its main, and the settings.
func embedHello(settings map[string]any, stdout, stderr int) ([]byte, error) {
	text, err := workerFiles.ReadFile("worker/embedded.py")
	if err != nil {
		return nil, err
	}
	sources := map[string]any{"embedded": string(text)}
	for name, source := range workerSources() {
		sources[name] = source
	}
	return appendMarshal(nil, map[string]any{
		"sources":  sources,
		"order":    append(workerModules[:len(workerModules):len(workerModules)], "embedded"),
		"settings": settings,
		"stdout":   stdout,
		"stderr":   stderr,
	}), nil
}
