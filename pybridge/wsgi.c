//go:build cgo

/* The quick way of a request: environ, call, a list of bytes that is the whole
 * response. Whatever is out of the ordinary, errors first of all, goes to
 * worker/wsgi.py, where the rules of PEP 3333 are; nothing is refused here. */

#include <string.h>
#include <strings.h>
#include <time.h>
#include <stdlib.h>

#include "internal.h"

static PyObject *input_key;

/* The keys of the times of a request, in the order of add_times; each under two
 * names, ours and that of mod_wsgi. */
static const char *const time_names[] = {
	"overlay.request_start",     "mod_wsgi.request_start",     "overlay.queue_start", "mod_wsgi.queue_start",
	"overlay.application_start", "mod_wsgi.application_start",
};
enum { TIMES = sizeof time_names / sizeof time_names[0] / 2 };
static PyObject *time_keys[2 * TIMES];

/* A call is the start_response of one request, an object of Python. Behind the
 * fields of every object, whose size differs between builds, is this: */
struct call {
	char *out; /* borrowed from the job; NULL when the request is over */
	size_t capacity;
	size_t head;         /* bytes of out that are the head; 0 before start_response */
	long long declared;  /* Content-Length, or -1 */
	PyObject *exchange;  /* new reference: has taken over, or NULL */
	uint32_t number;
	int is_head;
};
static PyObject *call_type;
static size_t call_offset;

/* ENDED is the number of no request: its frames meet nobody. */
#define ENDED UINT32_MAX

static struct call *call_of(PyObject *object) { return (struct call *)((char *)object + call_offset); }

/* -- environ --------------------------------------------------------------- */

static size_t hash_of(const char *bytes, size_t length)
{
	uint64_t hash = length, word = 0;
	for (; length >= sizeof word; bytes += sizeof word, length -= sizeof word) {
		memcpy(&word, bytes, sizeof word);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	word = 0;
	memcpy(&word, bytes, length);
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return (size_t)(hash >> 32);
}

static void shape_clear(struct pyb_shape *shape)
{
	for (size_t i = 0; i < shape->count; i++)
		py.Py_DecRef(shape->entries[i].value);
	free(shape->entries);
	py.Py_DecRef(shape->keys);
	py.Py_DecRef(shape->template);
	free(shape->names);
	memset(shape, 0, sizeof *shape);
}

void pyb_shapes_clear(struct pyb_thread *thread)
{
	for (size_t i = 0; i < PYB_SHAPES; i++)
		shape_clear(&thread->shapes[i]);
}

/* shape_fill asks Requests.shape (worker/wsgi.py) what names stand for; -1 with an
 * exception. */
static int shape_fill(struct pyb_shape *shape, const char *names, size_t length)
{
	shape_clear(shape);
	PyObject *argument = py.PyBytes_FromStringAndSize(names, (ptrdiff_t)length);
	PyObject *pair = argument == NULL ? NULL : py.PyObject_CallFunctionObjArgs(pyb_program.shape, argument, NULL);
	PyObject *keys = pair == NULL ? NULL : py.PyTuple_GetItem(pair, 0);
	PyObject *template = keys == NULL ? NULL : py.PyTuple_GetItem(pair, 1);
	ptrdiff_t count = template == NULL ? -1 : py.PyTuple_Size(keys);
	char *copy = malloc(length + 1);
	struct pyb_entry *entries = calloc(count > 0 ? (size_t)count : 1, sizeof *entries);
	if (count >= 0 && copy != NULL && entries != NULL) {
		memcpy(copy, names, length);
		py.Py_IncRef(keys);
		py.Py_IncRef(template);
		for (ptrdiff_t i = 0; i < count; i++)
			entries[i].key = py.PyTuple_GetItem(keys, i);
		*shape = (struct pyb_shape){copy, length, keys, template, (size_t)count, entries};
	} else {
		free(copy);
		free(entries);
	}
	py.Py_DecRef(pair);
	py.Py_DecRef(argument);
	return shape->names == NULL ? -1 : 0;
}

/* shape_of returns the keys of names. Browsers and libraries send few different
 * sets of fields, and each thread remembers some. */
static struct pyb_shape *shape_of(struct pyb_thread *thread, const char *names, size_t length)
{
	struct pyb_shape *shape = &thread->shapes[hash_of(names, length) % PYB_SHAPES];
	if (shape->names != NULL && shape->length == length && memcmp(shape->names, names, length) == 0)
		return shape;
	return shape_fill(shape, names, length) < 0 ? NULL : shape;
}

/* Values that are longer are not remembered: they are cookies and the like. */
enum { REMEMBERED = 128 };

/* value_of returns the str of an ISO-8859-1 value, a new reference. */
static PyObject *value_of(struct pyb_entry *entry, const char *value, size_t length)
{
	if (entry->value != NULL && entry->length == length && memcmp(entry->bytes, value, length) == 0) {
		py.Py_IncRef(entry->value);
		return entry->value;
	}
	PyObject *text = py.PyUnicode_DecodeLatin1(value, (ptrdiff_t)length, NULL);
	ptrdiff_t size = 0;
	if (text == NULL || length > REMEMBERED)
		return text;
	/* Of an ASCII str these are its own bytes. Others would be given a copy. */
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)value[i] > 127)
			return text;
	}
	const char *bytes = py.PyUnicode_AsUTF8AndSize(text, &size);
	if (bytes == NULL) {
		py.PyErr_Clear();
		return text;
	}
	py.Py_DecRef(entry->value);
	py.Py_IncRef(text);
	entry->value = text;
	entry->bytes = bytes;
	entry->length = (size_t)size;
	return text;
}

/* add_times puts the times of a request into its environ; -1 with an exception. */
static int add_times(PyObject *environ, const struct pyb_request *request)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	const double times[TIMES] = {request->received, request->queued, (double)now.tv_sec + (double)now.tv_nsec / 1e9};
	for (size_t i = 0; i < TIMES; i++) {
		PyObject *value = py.PyFloat_FromDouble(times[i]);
		int result = value == NULL ? -1 : 0;
		if (result == 0 && (py.PyDict_SetItem(environ, time_keys[2 * i], value) < 0 ||
				    py.PyDict_SetItem(environ, time_keys[2 * i + 1], value) < 0))
			result = -1;
		py.Py_DecRef(value);
		if (result < 0)
			return -1;
	}
	return 0;
}

/* make_environ returns a new dict, or NULL with an exception. */
static PyObject *make_environ(struct pyb_thread *thread, const struct pyb_request *request, const char *frame)
{
	const char *value = frame + request->names, *end = value + request->values;
	struct pyb_shape *shape = shape_of(thread, frame, request->names);
	/* The template has every key, so its copy does not grow. */
	PyObject *environ = shape == NULL ? NULL : py.PyDict_Copy(shape->template);
	if (environ == NULL)
		return NULL;
	for (size_t i = 0; i < shape->count; i++) {
		const char *stop = value > end ? NULL : memchr(value, '\0', (size_t)(end - value));
		if (stop == NULL)
			stop = end;
		struct pyb_entry *entry = &shape->entries[i];
		PyObject *text = value > end ? NULL : value_of(entry, value, (size_t)(stop - value));
		int result = text == NULL ? -1 : py.PyDict_SetItem(environ, entry->key, text);
		py.Py_DecRef(text);
		if (result < 0) {
			py.Py_DecRef(environ);
			return NULL;
		}
		value = stop + 1;
	}
	if (add_times(environ, request) < 0) {
		py.Py_DecRef(environ);
		return NULL;
	}
	return environ;
}

/* -- start_response -------------------------------------------------------- */

/* exchange_of returns the Exchange (worker/wsgi.py) that takes over the request,
 * borrowed; NULL with an exception. */
static PyObject *exchange_of(struct call *call)
{
	if (call->exchange != NULL)
		return call->exchange;
	PyObject *number = py.PyLong_FromLongLong(call->out == NULL ? ENDED : call->number);
	PyObject *is_head = py.PyBool_FromLong(call->is_head);
	PyObject *declared = py.PyLong_FromLongLong(call->declared);
	PyObject *head = py_none;
	if (call->head > 0 && call->out != NULL)
		head = py.PyBytes_FromStringAndSize(call->out, (ptrdiff_t)call->head);
	else
		py.Py_IncRef(head);
	if (number != NULL && is_head != NULL && declared != NULL && head != NULL)
		call->exchange = py.PyObject_CallFunctionObjArgs(pyb_program.make, number, is_head, head, declared, NULL);
	py.Py_DecRef(head);
	py.Py_DecRef(declared);
	py.Py_DecRef(is_head);
	py.Py_DecRef(number);
	return call->exchange;
}

/* plain returns the bytes of an ASCII str; NULL, without an exception, of
 * anything else. */
static const unsigned char *plain(PyObject *object, size_t *length)
{
	ptrdiff_t size = 0;
	if (object == NULL || !pyb_has_type(object, py.PyUnicode_Type)) {
		py.PyErr_Clear();
		return NULL;
	}
	const char *bytes = py.PyUnicode_AsUTF8AndSize(object, &size);
	if (bytes == NULL)
		py.PyErr_Clear(); /* surrogates */
	*length = (size_t)size;
	return (const unsigned char *)bytes;
}

/* append copies text that is ASCII without control characters to the head. */
static int append(struct call *call, size_t *head, const unsigned char *text, size_t length)
{
	if (length + 1 > call->capacity - *head)
		return -1;
	char *to = call->out + *head;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < 32 || text[i] > 126)
			return -1;
		to[i] = (char)text[i];
	}
	*head += length;
	return 0;
}

/* tchar of RFC 9110 §5.6.2; written once by pyb_wsgi_init. */
static unsigned char is_tchar[256];

/* is_token reports whether name is one, other than those that need a second
 * look: PEP 3333, Other HTTP Features. */
static int is_token(const unsigned char *name, size_t length)
{
	static const struct {
		size_t length;
		const char *name;
	} apart[] = {
		{10, "connection"}, {10, "keep-alive"}, {18, "proxy-authenticate"}, {19, "proxy-authorization"}, {2, "te"},
		{7, "trailer"},     {8, "trailers"},    {17, "transfer-encoding"},  {7, "upgrade"},
	};
	if (length == 0)
		return 0;
	for (size_t i = 0; i < length; i++) {
		if (!is_tchar[name[i]])
			return 0;
	}
	for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++) {
		if (apart[i].length == length && strncasecmp(apart[i].name, (const char *)name, length) == 0)
			return 0;
	}
	return 1;
}

/* parse_length reads a Content-Length of up to 18 digits; -1 for anything else. */
static long long parse_length(const unsigned char *text, size_t length)
{
	long long value = 0;
	if (length == 0 || length > 18)
		return -1;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = 10 * value + (text[i] - '0');
	}
	return value;
}

/* write_head writes status and fields to out if there is nothing unusual about
 * them; -1, without an exception, if there is. */
static int write_head(struct call *call, PyObject *status, PyObject *fields)
{
	size_t length = 0, head = 0;
	long long declared = -1;
	const unsigned char *text = plain(status, &length);
	if (text == NULL || length < 4 || text[0] < '2' || text[0] > '9' || text[1] < '0' || text[1] > '9' ||
	    text[2] < '0' || text[2] > '9' || text[3] != ' ')
		return -1;
	if (memcmp(text, "204", 3) == 0 || memcmp(text, "304", 3) == 0)
		return -1; /* no body follows */
	if (append(call, &head, text, length) < 0 || !pyb_has_type(fields, py.PyList_Type))
		return -1;
	ptrdiff_t count = py.PyList_Size(fields);
	for (ptrdiff_t i = 0; i < count; i++) {
		PyObject *field = py.PyList_GetItem(fields, i);
		if (field == NULL || !pyb_has_type(field, py.PyTuple_Type) || py.PyTuple_Size(field) != 2) {
			py.PyErr_Clear();
			return -1;
		}
		text = plain(py.PyTuple_GetItem(field, 0), &length);
		if (text == NULL || !is_token(text, length))
			return -1;
		int is_length = length == 14 && strncasecmp((const char *)text, "content-length", 14) == 0;
		call->out[head++] = '\n'; /* append has left room for one more byte */
		if (append(call, &head, text, length) < 0)
			return -1;
		text = plain(py.PyTuple_GetItem(field, 1), &length);
		if (text == NULL || (is_length && (declared >= 0 || (declared = parse_length(text, length)) < 0)))
			return -1;
		call->out[head++] = '\n';
		if (append(call, &head, text, length) < 0)
			return -1;
	}
	call->head = head;
	call->declared = declared;
	return 0;
}

/* The write callable of PEP 3333; self is the call. */
static PyObject *call_write(PyObject *self, PyObject *data)
{
	PyObject *exchange = exchange_of(call_of(self));
	PyObject *method = exchange == NULL ? NULL : py.PyObject_GetAttrString(exchange, "write");
	PyObject *result = method == NULL ? NULL : py.PyObject_CallFunctionObjArgs(method, data, NULL);
	py.Py_DecRef(method);
	return result;
}

static struct PyMethodDef write_function = {"write", call_write, METH_O, NULL};

static PyObject *call_start_response(PyObject *self, PyObject *arguments, PyObject *keywords)
{
	struct call *call = call_of(self);
	if (call->out != NULL && call->exchange == NULL && call->head == 0 && keywords == NULL &&
	    py.PyTuple_Size(arguments) == 2 &&
	    write_head(call, py.PyTuple_GetItem(arguments, 0), py.PyTuple_GetItem(arguments, 1)) == 0)
		return py.PyCFunction_NewEx(&write_function, self, NULL);
	PyObject *exchange = exchange_of(call);
	PyObject *method = exchange == NULL ? NULL : py.PyObject_GetAttrString(exchange, "start_response");
	PyObject *result = method == NULL ? NULL : py.PyObject_Call(method, arguments, keywords);
	py.Py_DecRef(method);
	return result;
}

static void call_dealloc(PyObject *self)
{
	py.Py_DecRef(call_of(self)->exchange);
	py.PyObject_Free(self);
	py.Py_DecRef(call_type); /* an object of a type made at run time holds it */
}

int pyb_wsgi_init(void)
{
	static struct PyType_Slot slots[] = {
		{Py_tp_call, NULL},
		{Py_tp_dealloc, NULL},
		{0, NULL},
	};
	const char *tchar = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	for (; *tchar != '\0'; tchar++)
		is_tchar[(unsigned char)*tchar] = 1;
	PyObject *(*call)(PyObject *, PyObject *, PyObject *) = call_start_response;
	void (*dealloc)(PyObject *) = call_dealloc;
	memcpy(&slots[0].function, &call, sizeof call);
	memcpy(&slots[1].function, &dealloc, sizeof dealloc);
	PyObject *size = py.PyObject_GetAttrString(py.PyBaseObject_Type, "__basicsize__");
	if (size == NULL)
		return -1;
	const size_t align = _Alignof(struct call);
	call_offset = ((size_t)py.PyLong_AsLong(size) + align - 1) / align * align;
	py.Py_DecRef(size);
	struct PyType_Spec spec = {
		.name = "overlay.start_response",
		.basicsize = (int)(call_offset + sizeof(struct call)),
		.flags = PYB_TPFLAGS_DEFAULT,
		.slots = slots,
	};
	call_type = py.PyType_FromSpec(&spec);
	input_key = py.PyUnicode_InternFromString("wsgi.input");
	if (call_type == NULL || input_key == NULL)
		return -1;
	for (size_t i = 0; i < 2 * TIMES; i++) {
		if ((time_keys[i] = py.PyUnicode_InternFromString(time_names[i])) == NULL)
			return -1;
	}
	return 0;
}

/* -- response -------------------------------------------------------------- */

/* items returns how many items a list or tuple has; -1 for any other object. */
static ptrdiff_t items(PyObject *object, PyObject *(**get)(PyObject *, ptrdiff_t))
{
	if (pyb_has_type(object, py.PyList_Type)) {
		*get = py.PyList_GetItem;
		return py.PyList_Size(object);
	}
	if (pyb_has_type(object, py.PyTuple_Type)) {
		*get = py.PyTuple_GetItem;
		return py.PyTuple_Size(object);
	}
	return -1;
}

/* write_length writes the field Content-Length, and returns how many bytes that is. */
static size_t write_length(char *to, size_t value)
{
	static const char name[] = "\nContent-Length\n";
	char digits[20], *first = digits + sizeof digits;
	do {
		*--first = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	size_t count = (size_t)(digits + sizeof digits - first);
	memcpy(to, name, sizeof name - 1);
	memcpy(to + sizeof name - 1, first, count);
	return sizeof name - 1 + count;
}

/* answer writes a response that is there whole, if it is in order and fits into
 * out; -1, without an exception, otherwise. */
static int answer(struct call *call, PyObject *result, struct pyb_reply *reply)
{
	PyObject *(*get)(PyObject *, ptrdiff_t) = NULL;
	if (call->exchange != NULL || call->head == 0)
		return -1;
	ptrdiff_t count = items(result, &get);
	size_t head = call->head, total = 0;
	if (count < 0)
		return -1;
	/* First after where a Content-Length would end: it needs the sum. */
	size_t start = head + sizeof "\nContent-Length\n" + 20;
	if (start > call->capacity)
		return -1;
	for (ptrdiff_t i = 0; i < count; i++) {
		PyObject *block = get(result, i);
		char *bytes = NULL;
		ptrdiff_t length = 0;
		if (block == NULL || !pyb_has_type(block, py.PyBytes_Type) ||
		    py.PyBytes_AsStringAndSize(block, &bytes, &length) < 0) {
			py.PyErr_Clear();
			return -1;
		}
		if (start + total + (size_t)length > call->capacity)
			return -1;
		memcpy(call->out + start + total, bytes, (size_t)length);
		total += (size_t)length;
	}
	if (call->declared >= 0 && (size_t)call->declared != total)
		return -1;
	if (call->declared < 0 && (total > 0 || !call->is_head)) {
		head += write_length(call->out + head, total);
	}
	if (call->is_head)
		total = 0;
	memmove(call->out + head, call->out + start, total);
	reply->head = head;
	reply->body = total;
	return 0;
}

/* complete lets Python do the rest of a request: result is what the application
 * returned, or NULL with its exception. Returns 0, or -1 with an exception. */
static int complete(struct call *call, PyObject *environ, PyObject *result)
{
	PyObject *error = result == NULL ? pyb_error_take() : NULL;
	PyObject *exchange = exchange_of(call);
	PyObject *done = NULL;
	if (exchange != NULL)
		done = py.PyObject_CallFunctionObjArgs(pyb_program.complete, exchange, environ,
						       result == NULL ? py_none : result,
						       error == NULL ? py_none : error, NULL);
	py.Py_DecRef(error);
	py.Py_DecRef(done);
	return done == NULL ? -1 : 0;
}

/* end_lines ends what this request has printed without a line feed; -1, without
 * an exception, when it cannot. */
static int end_lines(void)
{
	if (py.PyDict_Size(pyb_program.partial) <= 0)
		return 0;
	PyObject *done = py.PyObject_CallFunctionObjArgs(pyb_program.end_lines, NULL);
	py.Py_DecRef(done);
	py.PyErr_Clear();
	return done == NULL ? -1 : 0;
}

static PyObject *make_call(const struct pyb_request *request, char *out, size_t capacity)
{
	PyObject *object = py.PyType_GenericAlloc(call_type, 0);
	if (object == NULL)
		return NULL;
	*call_of(object) = (struct call){
		.out = out,
		.capacity = capacity,
		.declared = -1,
		.number = request->number,
		.is_head = request->is_head != 0,
	};
	return object;
}

int pyb_run(struct pyb_thread *thread, const struct pyb_request *request, const char *frame, char *out,
	    size_t capacity, struct pyb_reply *reply)
{
	int outcome = PYB_FAILED;
	reply->error = NULL;
	PyObject *environ = NULL, *input = NULL, *object = NULL, *result = NULL;
	input = pyb_input(request, frame + request->names + request->values);
	environ = make_environ(thread, request, frame);
	object = make_call(request, out, capacity);
	if (input == NULL || environ == NULL || object == NULL || py.PyDict_SetItem(environ, input_key, input) < 0)
		goto out;
	pyb_begin(thread, request->number);
	result = py.PyObject_CallFunctionObjArgs(pyb_program.application, environ, object, NULL);
	if (result != NULL && end_lines() == 0 && answer(call_of(object), result, reply) == 0)
		outcome = PYB_COMPLETE;
	else if (complete(call_of(object), environ, result) == 0)
		outcome = PYB_SENT;
	pyb_end(thread);
out:
	if (outcome == PYB_FAILED)
		reply->error = pyb_error_text("run the request");
	pyb_check_fork();
	if (object != NULL)
		call_of(object)->out = NULL; /* the application may have kept it */
	if (input != NULL && request->file >= 0)
		pyb_input_close(input);
	py.Py_DecRef(result);
	py.Py_DecRef(object);
	py.Py_DecRef(environ);
	py.Py_DecRef(input);
	return outcome;
}
