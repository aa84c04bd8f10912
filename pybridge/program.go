package pybridge

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
)

// The worker program: what runs in the user's interpreter.
//
//go:embed worker/*.py
var workerFiles embed.FS

// workerModules are the modules of the worker program in the order in which
// they are made: each imports only those before it. The last one has main.
var workerModules = []string{"frames", "streams", "bodies", "wsgi", "watch", "threads", "application", "host", "main"}

// importedModules are those that are made when the application imports overlay
// or mod_wsgi.
var importedModules = []string{"events", "counted", "observe", "metrics", "overlay_module", "mod_wsgi_module"}

// bootCommand is the program text on the command line of a worker process. It
// reads the rest from descriptor 3: a length in ten digits, and that much of
// marshal data (see hello).
const bootCommand = `import marshal,os,sys
f=os.fdopen(os.dup(3),"rb")
h=marshal.loads(f.read(int(f.read(10))))
f.close()
n={"__name__":"_overlay.boot","__file__":"<overlay>/boot.py"}
exec(compile(h["sources"]["boot"],n["__file__"],"exec",dont_inherit=True),n)
sys.exit(n["boot"](h["sources"],h["order"],3,4,h["settings"]))`

// workerSources returns the worker program, module name to source text.
var workerSources = sync.OnceValue(func() map[string]any {
	sources := map[string]any{}
	for _, name := range slices.Concat([]string{"boot"}, workerModules, importedModules) {
		text, err := workerFiles.ReadFile(path.Join("worker", name+".py"))
		if err != nil {
			panic(fmt.Sprintf("pybridge: worker program: %v", err)) // not built as it should be
		}
		sources[name] = string(text)
	}
	return sources
})

// hello returns the first bytes that a worker process reads: the worker
// program and the settings it runs with.
func hello(settings map[string]any) []byte {
	body := appendMarshal(nil, map[string]any{
		"sources":  workerSources(),
		"order":    workerModules,
		"settings": settings,
	})
	var b strings.Builder
	fmt.Fprintf(&b, "%10d", len(body))
	b.Write(body)
	return []byte(b.String())
}
