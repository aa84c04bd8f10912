package pybridge

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// stableNames are the functions and objects of CPython that the C core uses, with the version
// whose stable ABI has them (Misc/stable_abi.toml of CPython). PyUnicode_AsUTF8AndSize
// is exported by all versions from 3.3 on, with the same signature.
var stableNames = map[string]string{
	"Py_SetProgramName":            "3.2",
	"Py_DecodeLocale":              "3.7",
	"Py_InitializeEx":              "3.2",
	"PyEval_SaveThread":            "3.2",
	"PyEval_RestoreThread":         "3.2",
	"PyGILState_Ensure":            "3.2",
	"PyGILState_Release":           "3.2",
	"PyThread_get_thread_ident":    "3.2",
	"PyThreadState_SetAsyncExc":    "3.2",
	"Py_IncRef":                    "3.2",
	"Py_DecRef":                    "3.2",
	"PyErr_Occurred":               "3.2",
	"PyErr_Clear":                  "3.2",
	"PyErr_Fetch":                  "3.2",
	"PyErr_NormalizeException":     "3.2",
	"PyException_SetTraceback":     "3.2",
	"Py_CompileString":             "3.2",
	"PyEval_EvalCode":              "3.2",
	"PyImport_ImportModule":        "3.2",
	"PyObject_Type":                "3.2",
	"PyObject_Str":                 "3.2",
	"PyObject_Call":                "3.2",
	"PyObject_CallFunctionObjArgs": "3.2",
	"PyObject_GetAttrString":       "3.2",
	"PyObject_Free":                "3.2",
	"PyType_FromSpec":              "3.2",
	"PyType_GenericAlloc":          "3.2",
	"PyCFunction_NewEx":            "3.2",
	"PyLong_FromLongLong":          "3.2",
	"PyLong_AsLong":                "3.2",
	"PyFloat_FromDouble":           "3.2",
	"PyBool_FromLong":              "3.2",
	"PyUnicode_DecodeLatin1":       "3.2",
	"PyUnicode_FromString":         "3.2",
	"PyUnicode_InternFromString":   "3.2",
	"PyUnicode_AsUTF8AndSize":      "3.10",
	"PyBytes_FromStringAndSize":    "3.2",
	"PyBytes_AsStringAndSize":      "3.2",
	"PyTuple_Size":                 "3.2",
	"PyTuple_GetItem":              "3.2",
	"PyList_Size":                  "3.2",
	"PyList_GetItem":               "3.2",
	"PyDict_New":                   "3.2",
	"PyDict_Copy":                  "3.2",
	"PyDict_Size":                  "3.2",
	"PyDict_SetItem":               "3.2",
	"PyDict_SetItemString":         "3.2",

	"PyBytes_Type": "3.2", "PyList_Type": "3.2", "PyTuple_Type": "3.2", "PyUnicode_Type": "3.2", "PyBaseObject_Type": "3.2",
	"_Py_NoneStruct": "3.2", "Py_UTF8Mode": "3.8",
}

// TestStableABI: the C core takes nothing of CPython but names of the stable ABI, and no header,
// so that one build serves every version.
func TestStableABI(t *testing.T) {
	text, err := os.ReadFile("pyapi.h")
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	for _, found := range regexp.MustCompile(`(?m)^\tX\((?:[^,()]+, )?(\w+)[,)]`).FindAllSubmatch(text, -1) {
		used = append(used, string(found[1]))
	}
	for _, name := range used {
		if stableNames[name] == "" {
			t.Errorf("%s is not known to be in the stable ABI: look it up, and add it to stableNames", name)
		}
	}
	for name := range stableNames {
		if !slices.Contains(used, name) {
			t.Errorf("%s is not used any more", name)
		}
	}
	files, err := filepath.Glob("*.[ch]")
	if err != nil || len(files) < 5 {
		t.Fatalf("files in C: %q, %v", files, err)
	}
	goFiles, err := filepath.Glob("*cgo*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, goFiles...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "#include") && strings.Contains(line, "Python.h") {
				t.Errorf("%s includes a header of Python: %s", name, line)
			}
		}
	}
}
