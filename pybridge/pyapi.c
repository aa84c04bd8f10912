//go:build cgo

#include "pyapi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pybridge.h"

struct pyb_api py;

static char *problem(const char *what, const char *detail)
{
	char *text = NULL;
	if (asprintf(&text, "%s: %s", what, detail) < 0)
		return strdup("out of memory");
	return text;
}

char *pyb_open(const char *path)
{
	/* RTLD_GLOBAL: extension modules take Python's symbols from the program,
	 * and are not linked with libpython. RTLD_NOW: better here than later. */
	void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
	if (library == NULL)
		return problem("load", dlerror());
#define X(name) {&py.name, #name, 1},
#define X3(result, name, arguments) X(name)
#define X2(type, name) {&py.name, #name, 0},
	const struct {
		void *slot;
		const char *name;
		int required;
	} symbols[] = {PYB_FUNCTIONS(X3) PYB_OBJECTS(X) PYB_OPTIONAL_OBJECTS(X2)};
#undef X
#undef X2
#undef X3
	for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
		void *found = dlsym(library, symbols[i].name);
		if (found == NULL && symbols[i].required)
			return problem(path, dlerror());
		/* POSIX lets a function pointer come from dlsym; ISO C has no cast for it. */
		memcpy(symbols[i].slot, &found, sizeof found);
	}
	return NULL;
}
