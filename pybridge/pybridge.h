/* The C core of embedded mode as embed_cgo.go sees it. There is one interpreter
 * per process, so the state is static.
 *
 * Who owns a pointer:
 *   char * results       owned by the caller, NULL when there is nothing to say;
 *                        release with free
 *   const arguments      borrowed until the function returns
 *   a pyb_job            Go's, with all its memory, which is C's; its thread's until it
 *                        comes back, from pyb_take_turn or as a note
 *
 * The GIL is taken and released inside: no function wants it held, and none
 * returns with it. pyb_start, pyb_boot, pyb_load and pyb_stop are for the main
 * thread of Python, which is the one that called pyb_start; the others are for
 * any thread. pyb_take_turn, pyb_interrupt and pyb_beat keep a thread state of Python
 * for it until it ends.
 */
#ifndef PYBRIDGE_H
#define PYBRIDGE_H

#include <stddef.h>
#include <stdint.h>

/* What becomes of a pyb_job. */
enum {
	PYB_COMPLETE = 0, /* the whole response is in out */
	PYB_SENT = 1,     /* everything went as frames, the end too */
	PYB_REFUSED = 2,  /* it has not been run: every thread is in the application */
	PYB_DROPPED = 3,  /* it has not been run: it was marked as gone */
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
	int file; /* descriptor with the body instead, or -1; owned by the job's thread once it runs */
};

struct pyb_reply {
	size_t head, body; /* of PYB_COMPLETE: lengths in out */
	char *error;       /* of PYB_FAILED: why, or NULL; owned by the caller */
};

/* A note is what Python tells Go without calling it. */
struct pyb_note {
	struct pyb_note *previous;
	struct pyb_job *job; /* that has come to its end, and holds this note; NULL: */
	size_t length;       /* of frame */
	char *frame;         /* about a response that is being made; Go frees the note */
};

/* Notes are a list from many threads, the last one first, that Go empties by exchanging last for
 * NULL. All but event are read and written atomically. */
struct pyb_notes {
	struct pyb_note *last;
	int32_t asleep; /* Go sets it before it waits for event, an eventfd */
	int32_t looked; /* pyb_look is going to be called, and tells Go of what there is */
	int32_t patient; /* requests are quick enough for notes to wait for that */
	int32_t event;
};

/* A request on its way through Python. */
struct pyb_job {
	struct pyb_request request;
	char *buffer;      /* memory of the frame */
	const char *frame; /* in it, as pyb_request has it */
	char *out;         /* where a response that is complete goes */
	size_t capacity;   /* of out */
	struct pyb_reply reply;
	int32_t outcome;
	uint32_t index;           /* Go's own */
	uint32_t gone;            /* atomic: nobody reads the response any more; Go sets it */
	size_t later;             /* bytes of its response that were sent as notes */
	struct pyb_notes *notes;  /* where they go; NULL when no more may */
	struct pyb_job *next;     /* that waits */
	struct pyb_note done;
};

struct pyb_turns;
struct pyb_runner;

/* pyb_turns_new returns the turns of up to so many requests at once, side by side if there is no
 * GIL, or NULL. notes is Go's, zero, and written as long as the process lives. */
struct pyb_turns *pyb_turns_new(unsigned threads, int parallel, struct pyb_notes *notes);

/* pyb_turns_slow says how long requests take at most, in the mean, that are run on threads of Go;
 * none are before. What has been learnt of the application is forgotten. */
void pyb_turns_slow(struct pyb_turns *turns, long long nanoseconds);

/* What the caller of pyb_submit has to do. */
struct pyb_turn {
	struct pyb_runner *runner; /* pyb_take_turn, on a thread that is free for it; or NULL */
	int32_t look;              /* pyb_look, in a millisecond */
};

/* pyb_submit lets a request take its turn. It does not wait for that. */
struct pyb_turn pyb_submit(struct pyb_turns *turns, struct pyb_job *job);

/* pyb_take_turn runs the request of runner on this thread, and returns it. It sets more when
 * runner has another one, for which it is to be called again. */
struct pyb_job *pyb_take_turn(struct pyb_runner *runner, int *more);

/* pyb_look finds out why requests wait, if none has been begun since the last look. It reports
 * whether it is to be called again in a millisecond. */
int pyb_look(struct pyb_turns *turns);

/* pyb_quick reports whether requests are so quick that threads of Go run them. */
int pyb_quick(struct pyb_turns *turns);

/* pyb_interrupt raises overlay.RequestTimeout in the thread that runs the
 * request, and returns the stack of that thread, for the log. It waits for the GIL. */
char *pyb_interrupt(uint32_t number);

/* pyb_beat returns when it has had the GIL. */
void pyb_beat(void);

#endif
