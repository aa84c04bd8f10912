//go:build cgo

/* Life of the interpreter and of the threads that run it. */

#include <locale.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#if defined(__SANITIZE_ADDRESS__)
/* The interpreter is never finalised, so what it holds would all be reported. */
const char *__lsan_default_options(void);
const char *__lsan_default_options(void) { return "detect_leaks=0"; }
#endif

struct pyb_program pyb_program;

static PyThreadState *main_state; /* of Python's main thread, while it runs no Python */
static PyObject *module;          /* _overlay.embedded */
static atomic_int stopped;
static atomic_int forked;

static _Thread_local struct pyb_thread *self;
static pthread_key_t thread_key; /* runs thread_exit */
static pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER; /* guards threads, and interrupted of each */
static struct pyb_thread *threads;

/* What a thread's request holds: BUSY, INTERRUPTED and the number. */
#define BUSY (1ULL << 32)
#define INTERRUPTED (1ULL << 33)

static void thread_exit(void *argument)
{
	struct pyb_thread *thread = argument;
	if (atomic_load(&stopped) || atomic_load(&forked))
		return; /* the process ends: the GIL may never be free again */
	py.PyEval_RestoreThread(thread->state);
	pthread_mutex_lock(&threads_lock);
	if (thread->next != NULL)
		thread->next->previous = thread->previous;
	*(thread->previous == NULL ? &threads : &thread->previous->next) = thread->next;
	pthread_mutex_unlock(&threads_lock);
	pyb_shapes_clear(thread);
	py.PyGILState_Release(thread->gil);
	free(thread);
}

struct pyb_thread *pyb_enter(void)
{
	struct pyb_thread *thread = self;
	if (thread != NULL) {
		py.PyEval_RestoreThread(thread->state);
		return thread;
	}
	thread = calloc(1, sizeof *thread);
	if (thread == NULL || pthread_setspecific(thread_key, thread) != 0) {
		free(thread);
		return NULL;
	}
	thread->gil = py.PyGILState_Ensure();
	thread->ident = py.PyThread_get_thread_ident();
	thread->kernel = (int)syscall(SYS_gettid);
	pthread_mutex_lock(&threads_lock);
	thread->next = threads;
	if (threads != NULL)
		threads->previous = thread;
	threads = thread;
	pthread_mutex_unlock(&threads_lock);
	self = thread;
	return thread;
}

void pyb_leave(struct pyb_thread *thread)
{
	thread->state = py.PyEval_SaveThread();
}

void pyb_begin(struct pyb_thread *thread, uint32_t number)
{
	atomic_store_explicit(&thread->running, BUSY | number, memory_order_release);
}

void pyb_end(struct pyb_thread *thread)
{
	if ((atomic_exchange(&thread->running, 0) & INTERRUPTED) == 0)
		return;
	/* Whoever interrupts holds the lock until the exception is there to be
	 * taken back. */
	pthread_mutex_lock(&threads_lock);
	py.PyThreadState_SetAsyncExc(thread->ident, NULL);
	pthread_mutex_unlock(&threads_lock);
}

long long pyb_running(void)
{
	unsigned long long running = self == NULL ? 0 : atomic_load(&self->running);
	return running == 0 ? -1 : (long long)(running & UINT32_MAX);
}

struct pyb_job *pyb_job(uint32_t number)
{
	struct pyb_job *job = self == NULL ? NULL : self->job;
	return job != NULL && job->request.number == number ? job : NULL;
}

/* running_thread returns the thread that runs the request; threads_lock must be held. */
static struct pyb_thread *running_thread(uint32_t number)
{
	struct pyb_thread *thread = threads;
	while (thread != NULL && atomic_load(&thread->running) != (BUSY | number))
		thread = thread->next;
	return thread;
}

char *pyb_interrupt(uint32_t number)
{
	struct pyb_thread *here = pyb_enter(), *thread;
	if (here == NULL)
		return NULL;
	unsigned long ident = 0;
	char *text = NULL;
	pthread_mutex_lock(&threads_lock);
	if ((thread = running_thread(number)) != NULL)
		ident = thread->ident;
	pthread_mutex_unlock(&threads_lock);
	if (ident != 0) {
		/* Not under the lock: this runs Python, which may let others run. */
		PyObject *argument = py.PyLong_FromLongLong((long long)ident);
		PyObject *stack = py.PyObject_CallFunctionObjArgs(pyb_program.stack, argument, NULL);
		text = stack == NULL ? pyb_error_text("stack of the thread") : pyb_text(stack);
		py.Py_DecRef(stack);
		py.Py_DecRef(argument);
	}
	pthread_mutex_lock(&threads_lock);
	unsigned long long want = BUSY | number;
	if ((thread = running_thread(number)) != NULL &&
	    atomic_compare_exchange_strong(&thread->running, &want, want | INTERRUPTED))
		py.PyThreadState_SetAsyncExc(thread->ident, pyb_program.timeout);
	pthread_mutex_unlock(&threads_lock);
	pyb_leave(here);
	return text;
}

void pyb_beat(void)
{
	struct pyb_thread *here = pyb_enter();
	if (here != NULL)
		pyb_leave(here);
}

static void forget_server(void) { atomic_store(&forked, 1); }

void pyb_check_fork(void)
{
	static const char words[] =
		"overlay: a process that the application forked came back from its request; it ends\n";
	if (atomic_load_explicit(&forked, memory_order_relaxed) == 0)
		return;
	if (write(2, words, sizeof words - 1) < 0)
		_exit(71); /* nobody reads standard error */
	_exit(70);
}

/* choose_encoding does what python itself does before it starts: PEP 538, Locale
 * Coercion, and PEP 540, UTF-8 Mode. Py_InitializeEx does neither. */
static void choose_encoding(void)
{
	static const char *const targets[] = {"C.UTF-8", "C.utf8", "UTF-8"};
	const char *all = getenv("LC_ALL"), *coerce = getenv("PYTHONCOERCECLOCALE"), *mode = getenv("PYTHONUTF8");
	setlocale(LC_CTYPE, "");
	const char *found = setlocale(LC_CTYPE, NULL);
	int plain = found == NULL || strcmp(found, "C") == 0 || strcmp(found, "POSIX") == 0;
	if (plain && (all == NULL || *all == '\0') && (coerce == NULL || strcmp(coerce, "0") != 0)) {
		for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
			if (setlocale(LC_CTYPE, targets[i]) != NULL) {
				setenv("LC_CTYPE", targets[i], 1);
				break;
			}
		}
	}
	if (py.Py_UTF8Mode != NULL)
		*py.Py_UTF8Mode = mode != NULL && *mode != '\0' ? strcmp(mode, "1") == 0 : plain;
}

char *pyb_start(const char *program)
{
	if (pthread_key_create(&thread_key, thread_exit) != 0 || pthread_atfork(NULL, NULL, forget_server) != 0)
		return strdup("no thread key, or no memory");
	choose_encoding();
	wchar_t *name = py.Py_DecodeLocale(program, NULL);
	if (name == NULL)
		return strdup("the interpreter's name cannot be decoded");
	py.Py_SetProgramName(name); /* kept by Python as long as it runs */
	py.Py_InitializeEx(0);      /* 0: signals stay with Go */
	if (pyb_wsgi_init() < 0) {
		char *text = pyb_error_text("prepare the interpreter");
		main_state = py.PyEval_SaveThread();
		return text;
	}
	main_state = py.PyEval_SaveThread();
	return NULL;
}

/* run_source executes the boot text; -1 with an exception. */
static int run_source(uintptr_t go, const char *source, const char *hello, size_t length)
{
	int result = -1;
	PyObject *globals = py.PyDict_New();
	PyObject *builtins = py.PyImport_ImportModule("builtins");
	PyObject *data = py.PyBytes_FromStringAndSize(hello, (ptrdiff_t)length);
	PyObject *native = pyb_streams_native(go);
	PyObject *code = py.Py_CompileString(source, "<overlay>/embed.go", Py_file_input);
	PyObject *done = NULL;
	if (globals == NULL || builtins == NULL || data == NULL || native == NULL || code == NULL)
		goto out;
	if (py.PyDict_SetItemString(globals, "__builtins__", builtins) < 0 ||
	    py.PyDict_SetItemString(globals, "hello", data) < 0 ||
	    py.PyDict_SetItemString(globals, "native", native) < 0)
		goto out;
	done = py.PyEval_EvalCode(code, globals, globals);
	if (done != NULL)
		result = 0;
out:
	py.Py_DecRef(done);
	py.Py_DecRef(code);
	py.Py_DecRef(native);
	py.Py_DecRef(data);
	py.Py_DecRef(builtins);
	py.Py_DecRef(globals);
	return result;
}

/* fetch_program takes what the C core needs out of embedded.py. */
static int fetch_program(void)
{
	const struct {
		PyObject **to;
		const char *name;
	} wanted[] = {
		{&pyb_program.bytes_io, "BytesIO"}, {&pyb_program.open_input, "open_input"},
		{&pyb_program.make, "make"},        {&pyb_program.complete, "complete"},
		{&pyb_program.timeout, "RequestTimeout"}, {&pyb_program.stack, "stack_of"},
		{&pyb_program.partial, "partial"},  {&pyb_program.end_lines, "end_lines"},
	};
	module = py.PyImport_ImportModule("_overlay.embedded");
	if (module == NULL)
		return -1;
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		*wanted[i].to = py.PyObject_GetAttrString(module, wanted[i].name);
		if (*wanted[i].to == NULL)
			return -1;
	}
	return 0;
}

char *pyb_boot(uintptr_t go, const char *source, const char *hello, size_t length)
{
	char *text = NULL;
	py.PyEval_RestoreThread(main_state);
	if (run_source(go, source, hello, length) < 0 || fetch_program() < 0)
		text = pyb_error_text("prepare the interpreter");
	main_state = py.PyEval_SaveThread();
	return text;
}

/* call_module calls a function of embedded.py that takes nothing; a new
 * reference, or NULL with an exception. */
static PyObject *call_module(const char *name)
{
	PyObject *function = py.PyObject_GetAttrString(module, name);
	PyObject *result = function == NULL ? NULL : py.PyObject_CallFunctionObjArgs(function, NULL);
	py.Py_DecRef(function);
	return result;
}

char *pyb_load(void)
{
	char *text = NULL;
	py.PyEval_RestoreThread(main_state);
	PyObject *problem = call_module("load");
	if (problem == NULL) {
		text = pyb_error_text("load the application");
	} else if (problem != py_none) {
		text = pyb_text(problem);
	} else {
		pyb_program.application = py.PyObject_GetAttrString(module, "app");
		pyb_program.shape = py.PyObject_GetAttrString(module, "shape");
		if (pyb_program.application == NULL || pyb_program.shape == NULL)
			text = pyb_error_text("load the application");
	}
	py.Py_DecRef(problem);
	main_state = py.PyEval_SaveThread();
	return text;
}

char *pyb_about(size_t *length)
{
	ptrdiff_t size = 0;
	char *text = NULL;
	py.PyEval_RestoreThread(main_state);
	PyObject *about = call_module("about");
	const char *bytes = about == NULL ? NULL : py.PyUnicode_AsUTF8AndSize(about, &size);
	if (bytes != NULL && (text = malloc((size_t)size)) != NULL)
		memcpy(text, bytes, (size_t)size);
	*length = text == NULL ? 0 : (size_t)size;
	py.PyErr_Clear();
	py.Py_DecRef(about);
	main_state = py.PyEval_SaveThread();
	return text;
}

char *pyb_stop(void)
{
	char *text = NULL;
	py.PyEval_RestoreThread(main_state);
	PyObject *done = call_module("stop");
	if (done == NULL)
		text = pyb_error_text("run the exit handlers");
	py.Py_DecRef(done);
	main_state = py.PyEval_SaveThread();
	atomic_store(&stopped, 1);
	return text;
}
