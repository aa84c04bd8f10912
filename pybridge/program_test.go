package pybridge

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestWorkerProgram runs testdata/worker_test.py with the interpreter that
// overlay would pick, and with those that tests/python-envs has prepared.
func TestWorkerProgram(t *testing.T) {
	pythons := []string{requirePython(t).Path}
	prepared, err := filepath.Glob("../.cache/python/*/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Abs("worker")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(pythons, prepared...) {
		python, err := Inspect(context.Background(), path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		t.Run(python.String(), func(t *testing.T) {
			cmd := exec.Command(path, "-B", filepath.Join("testdata", "worker_test.py"))
			cmd.Env = append(os.Environ(), "OVERLAY_TEST_WORKER="+folder)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			ran := regexp.MustCompile(`(?m)^Ran (\d+) tests`).FindSubmatch(out)
			if ran == nil {
				t.Fatalf("it does not say how many tests it ran:\n%s", out)
			}
			if n, err := strconv.Atoi(string(ran[1])); err != nil || n < 20 {
				t.Errorf("it ran %d tests, %v", n, err)
			}
		})
	}
}

// TestConstantsAgree: frames.py and frame.go name the same numbers.
func TestConstantsAgree(t *testing.T) {
	python := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+) = ([0-9 *]+?) *(?:#.*)?$`).FindAllStringSubmatch(workerSources()["frames"].(string), -1) {
		value := 1
		for factor := range strings.SplitSeq(m[2], "*") {
			n, err := strconv.Atoi(strings.TrimSpace(factor))
			if err != nil {
				t.Fatal(err)
			}
			value *= n
		}
		python[m[1]] = value
	}
	for name, want := range map[string]int{
		"REQUEST": int(frameRequest), "WINDOW": int(frameWindow), "CANCEL": int(frameCancel),
		"RESPONSE": int(frameResponse), "BODY": int(frameBody), "ERROR": int(frameError), "FILE": int(frameFile), "NOTE": int(frameNote),
		"READY": int(frameReady), "FAILED": int(frameFailed), "LEAVING": int(frameLeaving), "ALIVE": int(frameAlive), "STACK": int(frameStack),
		"STOP": int(frameStop), "INTERRUPT": int(frameInterrupt), "PING": int(framePing),
		"FLAG_END": flagEnd, "FLAG_LAST": flagLast, "FLAG_DESCRIPTOR": flagDescriptor, "FLAG_HEAD": flagHead,
	} {
		if got, ok := python[name]; !ok || got != want {
			t.Errorf("%s is %d in frames.py, %d in frame.go", name, got, want)
		}
	}
	if most := python["MAX_HEAD"] + python["MAX_BODY"]; most > maxFrame {
		t.Errorf("a response of %d bytes may be sent, one of %d is taken", most, maxFrame)
	}
	if python["MAX_TEXT"] > maxFrame || python["MAX_TEXT"] == 0 {
		t.Errorf("text of %d bytes may be sent, a frame of %d is taken", python["MAX_TEXT"], maxFrame)
	}
}

// TestEveryModuleIsCarried: each file of the worker program is in the list of
// what is sent, and the other way round; what only embedded mode uses apart.
func TestEveryModuleIsCarried(t *testing.T) {
	entries, err := workerFiles.ReadDir("worker")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".py")
		if name != "boot" && name != "embedded" && !slices.Contains(workerModules, name) && !slices.Contains(importedModules, name) {
			t.Errorf("%s is carried in the binary and never sent", e.Name())
		}
	}
	if want := len(workerModules) + len(importedModules); len(workerSources()) < want+1 {
		t.Errorf("%d modules are sent, want %d and boot", len(workerSources()), want)
	}
}
