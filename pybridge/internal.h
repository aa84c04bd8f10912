/* What the C files of pybridge share among themselves. */
#ifndef PYB_INTERNAL_H
#define PYB_INTERNAL_H

#include "pyapi.h"
#include "pybridge.h"

enum { PYB_SHAPES = 64 };

/* A key of an environ, and the last value that it had: most values are those of
 * the request before. */
struct pyb_entry {
	PyObject *key;   /* borrowed from the shape's keys */
	PyObject *value; /* new reference to an ASCII str, or NULL */
	const char *bytes;
	size_t length; /* of bytes, which are the value's */
};

/* The environ keys of requests with the same field names. */
struct pyb_shape {
	char *names; /* owned; NULL in an empty place */
	size_t length;
	PyObject *keys;     /* new reference to a tuple of count strings */
	PyObject *template; /* new reference to a dict that has them, and what each environ has */
	size_t count;
	struct pyb_entry *entries; /* owned array */
};

/* An operating system thread that has run Python here. Its thread state lives
 * as long as it does, so that threading.local does, too. */
struct pyb_thread {
	PyThreadState *state;
	int gil;             /* what PyGILState_Ensure said */
	unsigned long ident; /* threading.get_ident() */
	int kernel;          /* gettid() */
	struct pyb_shape shapes[PYB_SHAPES];
	struct pyb_job *job; /* that it runs, or NULL; its own */

	_Atomic unsigned long long running; /* the request that it runs, see interp.c; 0 for none */
	struct pyb_thread *next, *previous;
};

/* What the program in embedded.py gives the C core: new references, kept for ever. */
struct pyb_program {
	PyObject *application;
	PyObject *shape;      /* field names to keys and template of an environ */
	PyObject *bytes_io;   /* io.BytesIO */
	PyObject *open_input; /* descriptor to input stream */
	PyObject *make;       /* Exchange of a request that leaves the quick way */
	PyObject *complete;   /* the rest of such a request */
	PyObject *timeout;    /* RequestTimeout */
	PyObject *stack;      /* stack of a thread as text */
	PyObject *partial;    /* dict: lines of output that have no end yet */
	PyObject *end_lines;  /* ends those of this thread */
};
extern struct pyb_program pyb_program;

/* pyb_enter takes the GIL; it makes a thread state for a new thread. Returns
 * NULL when there is no memory for that. pyb_leave gives the GIL back. */
struct pyb_thread *pyb_enter(void);
void pyb_leave(struct pyb_thread *thread);

/* pyb_run runs the application for one request, close() of its response included, and returns
 * what becomes of the job. Needs the GIL. */
int pyb_run(struct pyb_thread *thread, const struct pyb_request *request, const char *frame, char *out,
	    size_t capacity, struct pyb_reply *reply);

/* pyb_notes_open makes notes->event: 0, or -1. pyb_notes_add adds to the list, and
 * pyb_notes_tell wakes Go for it. All are for any thread, with the GIL or without. */
int pyb_notes_open(struct pyb_notes *notes);
void pyb_notes_add(struct pyb_notes *notes, struct pyb_note *note);
void pyb_notes_tell(struct pyb_notes *notes);

/* pyb_send_later sends a copy of a frame of the job's response as a note: PYB_TAKEN, PYB_GONE, or
 * PYB_FULL when it has to go by pyb_go_frame. For the job's thread. */
int pyb_send_later(struct pyb_job *job, const char *frame, size_t length);

/* pyb_job returns the job that the calling thread runs if its number is this one, or NULL. */
struct pyb_job *pyb_job(uint32_t number);

/* pyb_begin and pyb_end mark what a thread runs, for pyb_interrupt. pyb_end takes
 * back an exception that is still to be raised. Both need the GIL. */
void pyb_begin(struct pyb_thread *thread, uint32_t number);
void pyb_end(struct pyb_thread *thread);

/* pyb_running returns the number of the request that the calling thread runs, or -1. */
long long pyb_running(void);

/* pyb_check_fork ends this process if it was forked from the one with the Go
 * runtime: there is no server in it to go back to. */
void pyb_check_fork(void);

/* pyb_error_take clears the exception being raised and returns a new reference
 * to it, with its traceback; NULL when there is none. Needs the GIL. */
PyObject *pyb_error_take(void);

/* pyb_error_text does the same and returns it as text for the log. Needs the GIL. */
char *pyb_error_text(const char *doing);

/* pyb_text copies a str into a string; NULL when it is none. Needs the GIL. */
char *pyb_text(PyObject *text);

/* pyb_wsgi_init makes the types and keys of wsgi.c; -1 with an exception. Needs the GIL. */
int pyb_wsgi_init(void);
void pyb_shapes_clear(struct pyb_thread *thread);

/* pyb_streams_native returns a new dict of the functions that Python calls, go
 * being passed on to Go; NULL with an exception. Needs the GIL. */
PyObject *pyb_streams_native(uintptr_t go);

/* pyb_input returns a new reference to the input stream of a request, whose
 * file it takes over; NULL with an exception. Needs the GIL. */
PyObject *pyb_input(const struct pyb_request *request, const char *body);

/* pyb_input_close closes an input stream that has a file. Needs the GIL. */
void pyb_input_close(PyObject *input);

#endif
