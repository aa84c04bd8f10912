//go:build cgo

/* Bodies: input streams of requests, and what Python sends to Go in frames. */

#include <unistd.h>

#include "_cgo_export.h"
#include "internal.h"

static uintptr_t go_side; /* cgo.Handle of the Embedded: first argument of each pyb_go_ function */

/* send_note sends a frame as a note, as pyb_send_later does, if it may. PYB_FULL: the frame, and
 * all of the response that follows, has to go by pyb_go_frame, which knows how much Go holds. */
static int send_note(const char *frame, ptrdiff_t length, int file)
{
	const unsigned char *number = (const unsigned char *)frame + 4; /* little endian, see frame.go */
	struct pyb_job *job = length < 16 ? NULL : pyb_job((uint32_t)number[0] | (uint32_t)number[1] << 8 |
							    (uint32_t)number[2] << 16 | (uint32_t)number[3] << 24);
	if (job == NULL || job->notes == NULL)
		return PYB_FULL;
	int sent = file >= 0 ? PYB_FULL : pyb_send_later(job, frame, (size_t)length);
	if (sent == PYB_FULL)
		job->notes = NULL;
	return sent;
}

/* send_frame hands a frame to Go and waits while Go holds enough of that
 * response. Returns PYB_TAKEN or PYB_GONE. The GIL is free meanwhile. */
static int send_frame(const char *frame, ptrdiff_t length, int file)
{
	pyb_check_fork();
	int noted = send_note(frame, length, file);
	if (noted != PYB_FULL)
		return noted;
	for (;;) {
		int answer = pyb_go_frame(go_side, (char *)frame, (size_t)length, file);
		if (answer != PYB_FULL)
			return answer;
		PyThreadState *state = py.PyEval_SaveThread();
		pyb_go_wait(go_side, (char *)frame);
		py.PyEval_RestoreThread(state);
	}
}

/* native.send(frame): bytes to bool, false when the client is gone */
static PyObject *native_send(PyObject *ignored, PyObject *frame)
{
	(void)ignored;
	char *bytes = NULL;
	ptrdiff_t length = 0;
	if (py.PyBytes_AsStringAndSize(frame, &bytes, &length) < 0)
		return NULL;
	return py.PyBool_FromLong(send_frame(bytes, length, -1) == PYB_TAKEN);
}

/* native.send_file(frame, descriptor): the same; Go gets a duplicate */
static PyObject *native_send_file(PyObject *ignored, PyObject *arguments)
{
	(void)ignored;
	char *bytes = NULL;
	ptrdiff_t length = 0;
	PyObject *frame = py.PyTuple_GetItem(arguments, 0);
	PyObject *number = py.PyTuple_GetItem(arguments, 1);
	if (frame == NULL || number == NULL || py.PyBytes_AsStringAndSize(frame, &bytes, &length) < 0)
		return NULL;
	long descriptor = py.PyLong_AsLong(number);
	if (descriptor < 0)
		return py.PyErr_Occurred() != NULL ? NULL : py.PyBool_FromLong(0);
	return py.PyBool_FromLong(send_frame(bytes, length, (int)descriptor) == PYB_TAKEN);
}

/* native.warn(text): a line in the log of the server */
static PyObject *native_warn(PyObject *ignored, PyObject *text)
{
	(void)ignored;
	ptrdiff_t length = 0;
	const char *bytes = py.PyUnicode_AsUTF8AndSize(text, &length);
	if (bytes == NULL)
		return NULL;
	pyb_check_fork();
	pyb_go_warn(go_side, (char *)bytes, (size_t)length);
	return py.PyBool_FromLong(1);
}

/* native.use(callable): the application from the next request on. The one before
 * it keeps its reference: a thread may be calling it. */
static PyObject *native_use(PyObject *ignored, PyObject *application)
{
	(void)ignored;
	py.Py_IncRef(application);
	pyb_program.application = application;
	return py.PyBool_FromLong(1);
}

/* native.running(): the number of the request that this thread runs, or -1 */
static PyObject *native_running(PyObject *ignored, PyObject *arguments)
{
	(void)ignored;
	(void)arguments;
	return py.PyLong_FromLongLong(pyb_running());
}

static struct PyMethodDef native_functions[] = {
	{"send", native_send, METH_O, NULL},
	{"send_file", native_send_file, METH_VARARGS, NULL},
	{"warn", native_warn, METH_O, NULL},
	{"use", native_use, METH_O, NULL},
	{"running", native_running, METH_VARARGS, NULL},
};

PyObject *pyb_streams_native(uintptr_t go)
{
	go_side = go;
	PyObject *native = py.PyDict_New();
	for (size_t i = 0; native != NULL && i < sizeof native_functions / sizeof native_functions[0]; i++) {
		PyObject *function = py.PyCFunction_NewEx(&native_functions[i], NULL, NULL);
		if (function == NULL || py.PyDict_SetItemString(native, native_functions[i].name, function) < 0) {
			py.Py_DecRef(native);
			native = NULL;
		}
		py.Py_DecRef(function);
	}
	return native;
}

PyObject *pyb_input(const struct pyb_request *request, const char *body)
{
	PyObject *argument, *input;
	if (request->file >= 0) {
		argument = py.PyLong_FromLongLong(request->file);
		input = argument == NULL ? NULL : py.PyObject_CallFunctionObjArgs(pyb_program.open_input, argument, NULL);
		if (input == NULL)
			close(request->file);
	} else if (request->body == 0) {
		argument = NULL;
		input = py.PyObject_CallFunctionObjArgs(pyb_program.bytes_io, NULL);
	} else {
		argument = py.PyBytes_FromStringAndSize(body, (ptrdiff_t)request->body);
		input = argument == NULL ? NULL : py.PyObject_CallFunctionObjArgs(pyb_program.bytes_io, argument, NULL);
	}
	py.Py_DecRef(argument);
	return input;
}

void pyb_input_close(PyObject *input)
{
	PyObject *method = py.PyObject_GetAttrString(input, "close");
	PyObject *done = method == NULL ? NULL : py.PyObject_CallFunctionObjArgs(method, NULL);
	py.Py_DecRef(done);
	py.Py_DecRef(method);
	py.PyErr_Clear(); /* the descriptor was only read */
}
