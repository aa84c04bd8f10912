package main

import (
	"os"
	"path/filepath"
	"strings"
)

// firstMount makes an application of the first --mount when no entry point is
// given: each application is below a path of its own then.
func (k *checker) firstMount() {
	if len(k.Mount) == 0 || k.EntryPoint != "" || k.EntryPointArgument != "" || k.ApplicationType == string(applicationStatic) {
		return
	}
	first := k.Mount[0]
	k.Mount = k.Mount[1:]
	k.EntryPointArgument, k.first = first.Value, "--mount "+first.Name
	if k.given["mount-point"] == 0 {
		k.MountPoint = first.Name
	}
	if k.ApplicationType == "" {
		k.ApplicationType = string(k.typeOf(first.Value))
	}
}

// typeOf tells a script from a module by whether there is such a file. A name that looks like
// that of a file is one that is missing, unless it names what to call in it.
func (k *checker) typeOf(entry string) applicationType {
	name, _, hasCallable := strings.Cut(entry, ":")
	if _, err := os.Stat(k.abs(entry)); err == nil || !isModuleName(name) || !hasCallable && k.missingFile(name) {
		return applicationScript
	}
	return applicationModule
}

// missingFile reports whether name looks like that of a file. mysite.wsgi is a module all
// the same where there is a package mysite that can be imported.
func (k *checker) missingFile(name string) bool {
	if strings.HasSuffix(name, ".py") {
		return true
	}
	if !strings.HasSuffix(name, ".wsgi") {
		return false
	}
	first, _, _ := strings.Cut(name, ".")
	for _, dir := range append([]string{".", k.WorkingDirectory}, k.PythonPath...) {
		for _, suffix := range []string{"", ".py"} {
			if _, err := os.Stat(filepath.Join(k.abs(dir), first+suffix)); err == nil {
				return false
			}
		}
	}
	return true
}

// mounts checks --mount: each is an application of its own, in worker processes
// of its own, with the settings of the first one.
func (k *checker) mounts() error {
	if len(k.Mount) == 0 {
		return nil
	}
	if k.cfg.Application.Type == applicationStatic {
		return usagef("leave out --application-type static", "--mount names an application, and --application-type static has none")
	}
	seen := map[string]string{k.cfg.Application.MountPoint: k.cfg.Application.EntryPoint}
	for _, m := range k.Mount {
		app := k.cfg.Application
		app.Type, app.EntryPoint, app.CallableObject = k.typeOf(m.Value), m.Value, k.CallableObject
		var err error
		if app.MountPoint, err = urlPath("--mount", m.Name); err != nil {
			return err
		}
		if app.Type == applicationModule {
			err = k.module(&app)
		} else {
			err = k.script(&app, "--mount "+m.Name)
		}
		if err != nil {
			return err
		}
		if other, taken := seen[app.MountPoint]; taken {
			return usagef("give each application a path of its own", "two applications at %s: %s and %s", app.MountPoint, other, app.EntryPoint)
		}
		seen[app.MountPoint] = app.EntryPoint
		k.cfg.MoreApplications = append(k.cfg.MoreApplications, app)
	}
	return nil
}
