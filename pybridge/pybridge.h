/* The C core of embedded mode as embed_cgo.go sees it. There is one interpreter
 * per process, so the state is static.
 *
 * Who owns a pointer:
 *   char * results       owned by the caller, NULL when there is nothing to say;
 *                        release with free
 *   const arguments      borrowed until the function returns
 *   out of pyb_run       Go's, written until pyb_run returns
 *
 * The GIL is taken and released inside: no function wants it held, and none
 * returns with it. pyb_start, pyb_boot, pyb_load and pyb_stop are for the main
 * thread of Python, which is the one that called pyb_start; the others are for
 * any thread, and keep a thread state of Python for it until it ends.
 */
#ifndef PYBRIDGE_H
#define PYBRIDGE_H

#include <stddef.h>
#include <stdint.h>

/* What pyb_run returns. */
enum {
	PYB_COMPLETE = 0, /* the whole response is in out */
	PYB_SENT = 1,     /* everything went by pyb_go_frame, the end too */
	PYB_FAILED = -1,  /* error says why; nothing has said so to Go yet */
};

/* What pyb_go_frame returns. */
enum {
	PYB_TAKEN = 0,
	PYB_FULL = 1,  /* the same again after pyb_go_wait */
	PYB_GONE = -1, /* nobody reads this response any more */
};

/* pyb_open loads libpython. Once per process; nothing else works before. */
char *pyb_open(const char *path);

/* pyb_start starts the interpreter as the program of this name would run. */
char *pyb_start(const char *program);

/* pyb_boot runs source, the text that makes the package _overlay. It finds the
 * marshal data as "hello" and the functions of this core as "native".
 * go is passed to each pyb_go_ function. */
char *pyb_boot(uintptr_t go, const char *source, const char *hello, size_t length);

/* pyb_load loads the application: the traceback, or NULL when it is there. */
char *pyb_load(void);

/* pyb_about returns what pybridge.Interpreter tells, NUL between the fields, in
 * length bytes. */
char *pyb_about(size_t *length);

/* pyb_stop runs the exit handlers. The interpreter is not finalised: threads
 * may be in it, which CPython would kill or hang. */
char *pyb_stop(void);

struct pyb_request {
	uint32_t number; /* of the exchange */
	uint32_t is_head;
	double received, queued; /* when: seconds since the epoch */
	size_t names;  /* frame is names, values and body, as frame.go has it, */
	size_t values; /* without the header and the times */
	size_t body;
	int file; /* descriptor with the body instead, or -1; owned by pyb_run */
};

struct pyb_reply {
	size_t head, body; /* of PYB_COMPLETE: lengths in out */
	char *error;       /* of PYB_FAILED: why, or NULL; owned by the caller */
	int32_t thread;    /* gettid() of the thread, once it has the GIL; to be read at any time */
};

/* pyb_run runs the application for one request, close() of its response
 * included. */
int pyb_run(const struct pyb_request *request, const char *frame, char *out, size_t capacity,
	    struct pyb_reply *reply);

/* pyb_interrupt raises overlay.RequestTimeout in the thread that runs the
 * request, and returns the stack of that thread, for the log. It waits for the GIL. */
char *pyb_interrupt(uint32_t number);

/* pyb_beat returns when it has had the GIL. */
void pyb_beat(void);

#endif
