package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"overlay/pybridge"
)

// abs makes name absolute, relative to the directory where overlay was started.
// Neither ~ nor $NAME is expanded: that is the shell's work.
func (k *checker) abs(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(k.dir, name)
}

// entryPoint checks the script or module, and the options that go with it.
func (k *checker) entryPoint() error {
	app := &k.cfg.Application
	app.CallableObject = k.CallableObject
	var err error
	switch app.Type {
	case applicationStatic:
		app.CallableObject = ""
		return nil
	case applicationModule:
		err = k.module(app)
	case applicationScript:
		err = k.script(app, k.first)
	}
	if err != nil {
		return err
	}
	if !isIdentifier(app.CallableObject) {
		return usagef("for example: --callable-object app", "--callable-object: got %q, want the name of an object in the script or module", app.CallableObject)
	}
	if app.MountPoint, err = urlPath("--mount-point", k.MountPoint); err != nil {
		return err
	}
	app.WorkingDirectory = k.dir
	if k.WorkingDirectory != "" {
		app.WorkingDirectory = k.abs(k.WorkingDirectory)
		if err := k.folder("working directory", app.WorkingDirectory); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for _, v := range k.Setenv {
		if seen[v.Name] {
			return usagef("keep one of them", "--setenv: %s is set twice", v.Name)
		}
		seen[v.Name] = true
		app.SetEnv = append(app.SetEnv, envVar(v))
	}
	return nil
}

// module splits MODULE:CALLABLE. Whether the module exists is known to the
// Python that imports it, not here.
func (k *checker) module(app *applicationConfig) error {
	name, callable, hasCallable := strings.Cut(app.EntryPoint, ":")
	if !isModuleName(name) || (hasCallable && !isIdentifier(callable)) {
		hint := "a module is named as in an import statement: mysite.wsgi, or mysite.wsgi:app"
		if info, err := os.Stat(k.abs(app.EntryPoint)); err == nil && info.Mode().IsRegular() {
			hint = "it is a file: leave out --application-type module"
		}
		return usagef(hint, "entry point: got %q, want the name of a module", app.EntryPoint)
	}
	if strings.HasSuffix(name, ".py") {
		if info, err := os.Stat(k.abs(name)); err == nil && info.Mode().IsRegular() {
			return usagef("the module is "+strings.TrimSuffix(name, ".py")+"; the file is served without --application-type module",
				"entry point: %q is a file, not a module", name)
		}
	}
	if hasCallable && k.given["callable-object"] > 0 && callable != k.CallableObject {
		return usagef("keep one of them", "two callables: %q in %q, and --callable-object %q", callable, app.EntryPoint, k.CallableObject)
	}
	app.EntryPoint = name
	if hasCallable {
		app.CallableObject = callable
	}
	return nil
}

// script checks that the entry point is a file that can be read. what says where it was named.
func (k *checker) script(app *applicationConfig, what string) error {
	name := app.EntryPoint
	app.EntryPoint = k.abs(name)
	if info, err := os.Stat(k.abs(name)); err == nil && info.IsDir() {
		return usagef("to serve its files: overlay --document-root "+shellWord(name), "%s: %q is a folder, not a WSGI script file", what, name)
	}
	return k.readableFile(what, k.abs(name), k.missingScriptHint(what, name))
}

// missingScriptHint guesses what a name that is no file was meant to be. what says where it
// was given.
func (k *checker) missingScriptHint(what, name string) string {
	if _, err := strconv.Atoi(name); err == nil {
		return "for the port: --port " + name
	}
	if hint, ok := foreignCommands[name]; ok {
		return hint
	}
	if strings.ContainsAny(name, "~$") {
		return shellHint(name)
	}
	file, callable, hasCallable := strings.Cut(name, ":")
	if _, err := os.Stat(k.abs(file)); hasCallable && err == nil {
		return fmt.Sprintf("overlay --callable-object %s %s", shellWord(callable), shellWord(file))
	}
	if near := k.nearFile(name); near != "" {
		return "did you mean " + near + "?"
	}
	if isModuleName(file) && (!hasCallable || isIdentifier(callable)) {
		if strings.HasPrefix(what, "--mount") {
			return "for a module of that name: " + what + " " + file + ":" + k.CallableObject
		}
		return "for a module of that name: overlay --application-type module " + name
	}
	return ""
}

// nearFile looks beside the missing file name for one that is spelled much alike.
func (k *checker) nearFile(name string) string {
	entries, err := os.ReadDir(filepath.Dir(k.abs(name)))
	if err != nil || len(entries) > 10_000 {
		return ""
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && filepath.Ext(e.Name()) == filepath.Ext(name) {
			names = append(names, e.Name())
		}
	}
	near := nearest(filepath.Base(name), names)
	if near == "" {
		return ""
	}
	return shellWord(filepath.Join(filepath.Dir(name), near))
}

// files checks document root and index files.
func (k *checker) files() error {
	if k.DocumentRoot != "" {
		k.cfg.DocumentRoot = k.abs(k.DocumentRoot)
		if err := k.folder("document root", k.cfg.DocumentRoot); err != nil {
			return err
		}
	}
	for _, name := range k.DirectoryIndex {
		if strings.ContainsRune(name, '/') || name == "." || name == ".." {
			return usagef("for example: --directory-index index.html", "--directory-index: got %q, want the name of a file, without a folder", name)
		}
	}
	k.cfg.DirectoryIndex = k.DirectoryIndex
	k.cfg.DirectoryListing = k.DirectoryListing
	return nil
}

// aliases checks each alias, and that no two have the same URL path.
func (k *checker) aliases() error {
	seen := map[string]bool{}
	for _, a := range k.URLAlias {
		path, err := urlPath("--url-alias", a.Name)
		if err != nil {
			return err
		}
		if path == "/" {
			return usagef("for the whole site: --document-root "+shellWord(a.Value), "--url-alias: the path / stands for the whole site")
		}
		if seen[path] {
			return usagef("keep one of them", "--url-alias: the path %q has two targets", path)
		}
		seen[path] = true
		target := k.abs(a.Value)
		info, err := os.Stat(target)
		if err != nil {
			return usagef(shellHint(a.Value), "--url-alias %s: %v", path, pathError(err))
		}
		if info.IsDir() {
			err = k.folder("--url-alias "+path, target)
		} else {
			err = k.readableFile("--url-alias "+path, target, "")
		}
		if err != nil {
			return err
		}
		if !info.IsDir() && strings.HasSuffix(a.Name, "/") {
			return usagef("--url-alias "+path+" "+shellWord(a.Value), "--url-alias: %q ends with a slash, but %q is a file", a.Name, a.Value)
		}
		k.cfg.URLAliases = append(k.cfg.URLAliases, urlAlias{Path: path, Target: target})
	}
	return nil
}

// aliasesFolder reports whether an alias points to a folder, which has index
// files and listings as the document root has.
func (k *checker) aliasesFolder() bool {
	for _, a := range k.cfg.URLAliases {
		if info, err := os.Stat(a.Target); err == nil && info.IsDir() {
			return true
		}
	}
	return false
}

// python checks the interpreter, as far as that goes without running it, and
// the additions to sys.path.
func (k *checker) python() error {
	app := &k.cfg.Application
	if name := k.Python; name != "" {
		// A bare name is looked up as a shell does: on PATH, not in this folder.
		path, err := exec.LookPath(name)
		if err != nil || strings.ContainsRune(name, filepath.Separator) {
			path, err = pybridge.FindPython(name)
		}
		if err != nil {
			return usagef("name an interpreter, or the folder of a virtual environment", "--python: %w", err)
		}
		app.Python = k.abs(path)
	}
	for _, name := range k.PythonPath {
		if _, err := os.Stat(k.abs(name)); err != nil {
			return usagef(shellHint(name), "--python-path: %v", pathError(err))
		}
		app.PythonPath = append(app.PythonPath, k.abs(name))
	}
	return nil
}

// folder checks that path is a directory whose names can be read.
func (k *checker) folder(what, path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		return usagef("to serve a single file: --url-alias /PATH "+shellWord(path), "%s: %q is not a folder", what, path)
	}
	if err == nil {
		var dir *os.File
		if dir, err = os.Open(path); err == nil {
			return dir.Close()
		}
	}
	return usagef(shellHint(path), "%s: %v", what, pathError(err))
}

// readableFile checks that path is a regular file that can be read. A FIFO is
// not opened, which would wait for its writer.
func (k *checker) readableFile(what, path, missingHint string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return usagef("pipes, sockets and devices cannot be served or run", "%s: %q is not a regular file", what, path)
	}
	if err == nil {
		var file *os.File
		if file, err = os.Open(path); err == nil {
			return file.Close()
		}
	}
	hint := missingHint
	if hint == "" {
		hint = shellHint(path)
	}
	if errors.Is(err, fs.ErrPermission) {
		hint = "the user that runs overlay must be allowed to read it"
	}
	return usagef(hint, "%s: %v", what, pathError(err))
}
