/* CPython as pybridge's C core sees it: no header of Python, no macro of it, no
 * layout of its objects. The functions below are looked up by name in the
 * libpython that pyb_open loads. All of them are in the stable ABI of CPython
 * 3.9, or exported by every later version under the same name and signature;
 * the free-threaded builds export them too.
 *
 * References, as CPython's documentation has them: a result is a new reference
 * unless the list says "borrowed"; arguments are borrowed unless it says "stolen".
 */
#ifndef PYAPI_H
#define PYAPI_H

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

typedef struct pyb_opaque_object PyObject;
typedef struct pyb_opaque_thread PyThreadState;

typedef PyObject *(*PyCFunction)(PyObject *self, PyObject *args);
struct PyMethodDef {
	const char *name;
	PyCFunction function;
	int flags;
	const char *doc;
};
struct PyType_Slot {
	int slot;
	void *function;
};
struct PyType_Spec {
	const char *name;
	int basicsize;
	int itemsize;
	unsigned int flags;
	struct PyType_Slot *slots;
};

enum { METH_VARARGS = 0x1, METH_NOARGS = 0x4, METH_O = 0x8 };
enum { Py_tp_call = 50, Py_tp_dealloc = 52 };
enum { Py_file_input = 257 };
#define PYB_TPFLAGS_DEFAULT (1U << 18)

/* result, name, arguments */
#define PYB_FUNCTIONS(X) \
	/* life of the interpreter and of threads */ \
	X(void, Py_SetProgramName, (const wchar_t *)) \
	X(wchar_t *, Py_DecodeLocale, (const char *, size_t *)) \
	X(void, Py_InitializeEx, (int)) \
	X(PyThreadState *, PyEval_SaveThread, (void)) \
	X(void, PyEval_RestoreThread, (PyThreadState *)) \
	X(int, PyGILState_Ensure, (void)) \
	X(void, PyGILState_Release, (int)) \
	X(unsigned long, PyThread_get_thread_ident, (void)) \
	X(int, PyThreadState_SetAsyncExc, (unsigned long, PyObject *)) \
	/* references and errors */ \
	X(void, Py_IncRef, (PyObject *)) \
	X(void, Py_DecRef, (PyObject *)) \
	X(PyObject *, PyErr_Occurred, (void)) /* borrowed */ \
	X(void, PyErr_Clear, (void)) \
	X(void, PyErr_Fetch, (PyObject **, PyObject **, PyObject **)) \
	X(void, PyErr_NormalizeException, (PyObject **, PyObject **, PyObject **)) \
	X(int, PyException_SetTraceback, (PyObject *, PyObject *)) \
	/* code and modules */ \
	X(PyObject *, Py_CompileString, (const char *, const char *, int)) \
	X(PyObject *, PyEval_EvalCode, (PyObject *, PyObject *, PyObject *)) \
	X(PyObject *, PyImport_ImportModule, (const char *)) \
	/* any object */ \
	X(PyObject *, PyObject_Type, (PyObject *)) \
	X(PyObject *, PyObject_Str, (PyObject *)) \
	X(PyObject *, PyObject_Call, (PyObject *, PyObject *, PyObject *)) \
	X(PyObject *, PyObject_CallFunctionObjArgs, (PyObject *, ...)) \
	X(PyObject *, PyObject_GetAttrString, (PyObject *, const char *)) \
	X(void, PyObject_Free, (void *)) \
	/* types and functions made here */ \
	X(PyObject *, PyType_FromSpec, (struct PyType_Spec *)) \
	X(PyObject *, PyType_GenericAlloc, (PyObject *, ptrdiff_t)) \
	X(PyObject *, PyCFunction_NewEx, (struct PyMethodDef *, PyObject *, PyObject *)) \
	/* numbers, strings, bytes */ \
	X(PyObject *, PyLong_FromLongLong, (long long)) \
	X(long, PyLong_AsLong, (PyObject *)) \
	X(PyObject *, PyFloat_FromDouble, (double)) \
	X(PyObject *, PyBool_FromLong, (long)) \
	X(PyObject *, PyUnicode_DecodeLatin1, (const char *, ptrdiff_t, const char *)) \
	X(PyObject *, PyUnicode_FromString, (const char *)) \
	X(PyObject *, PyUnicode_InternFromString, (const char *)) \
	X(const char *, PyUnicode_AsUTF8AndSize, (PyObject *, ptrdiff_t *)) \
	X(PyObject *, PyBytes_FromStringAndSize, (const char *, ptrdiff_t)) \
	X(int, PyBytes_AsStringAndSize, (PyObject *, char **, ptrdiff_t *)) \
	/* containers */ \
	X(ptrdiff_t, PyTuple_Size, (PyObject *)) \
	X(PyObject *, PyTuple_GetItem, (PyObject *, ptrdiff_t)) /* borrowed */ \
	X(ptrdiff_t, PyList_Size, (PyObject *)) \
	X(PyObject *, PyList_GetItem, (PyObject *, ptrdiff_t)) /* borrowed */ \
	X(PyObject *, PyDict_New, (void)) \
	X(PyObject *, PyDict_Copy, (PyObject *)) \
	X(ptrdiff_t, PyDict_Size, (PyObject *)) \
	X(int, PyDict_SetItem, (PyObject *, PyObject *, PyObject *)) \
	X(int, PyDict_SetItemString, (PyObject *, const char *, PyObject *))

/* Types are compared by address alone; _Py_NoneStruct is None itself. */
#define PYB_OBJECTS(X) \
	X(PyBytes_Type) \
	X(PyList_Type) \
	X(PyTuple_Type) \
	X(PyUnicode_Type) \
	X(PyBaseObject_Type) \
	X(_Py_NoneStruct)

/* What some versions lack; NULL there. */
#define PYB_OPTIONAL_OBJECTS(X) \
	X(int, Py_UTF8Mode) /* deprecated since 3.12 */

struct pyb_api {
#define X(result, name, arguments) result(*name) arguments;
	PYB_FUNCTIONS(X)
#undef X
#define X(name) PyObject *name;
	PYB_OBJECTS(X)
#undef X
#define X(type, name) type *name;
	PYB_OPTIONAL_OBJECTS(X)
#undef X
};

/* The functions of the libpython that was loaded: static, written once by pyb_open. */
extern struct pyb_api py;

/* py_none is None, borrowed. */
#define py_none (py._Py_NoneStruct)

/* pyb_has_type reports whether object is of exactly this type. Needs the GIL. */
static inline int pyb_has_type(PyObject *object, PyObject *type)
{
	PyObject *found = py.PyObject_Type(object);
	py.Py_DecRef(found); /* the object keeps its type */
	return found == type;
}

#endif
