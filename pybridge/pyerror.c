//go:build cgo

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

PyObject *pyb_error_take(void)
{
	PyObject *type = NULL, *value = NULL, *trace = NULL;
	py.PyErr_Fetch(&type, &value, &trace);
	if (type == NULL)
		return NULL;
	py.PyErr_NormalizeException(&type, &value, &trace);
	if (value != NULL && trace != NULL)
		py.PyException_SetTraceback(value, trace);
	py.Py_DecRef(type);
	py.Py_DecRef(trace);
	return value;
}

char *pyb_text(PyObject *text)
{
	ptrdiff_t length = 0;
	const char *bytes = text == NULL ? NULL : py.PyUnicode_AsUTF8AndSize(text, &length);
	if (bytes == NULL) {
		py.PyErr_Clear();
		return NULL;
	}
	return strndup(bytes, (size_t)length);
}

char *pyb_error_text(const char *doing)
{
	PyObject *error = pyb_error_take();
	PyObject *type = error == NULL ? NULL : py.PyObject_Type(error);
	PyObject *name = type == NULL ? NULL : py.PyObject_GetAttrString(type, "__name__");
	PyObject *words = error == NULL ? NULL : py.PyObject_Str(error);
	char *kind = pyb_text(name), *said = pyb_text(words), *text = NULL;
	if (asprintf(&text, "%s: %s: %s", doing, kind == NULL ? "no exception" : kind, said == NULL ? "" : said) < 0)
		text = NULL;
	free(kind);
	free(said);
	py.Py_DecRef(words);
	py.Py_DecRef(name);
	py.Py_DecRef(type);
	py.Py_DecRef(error);
	py.PyErr_Clear(); /* of __str__ */
	return text;
}
