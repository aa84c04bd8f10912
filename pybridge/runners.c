//go:build cgo

/* The threads that run requests: those that Python has for that, and whichever calls pyb_take_turn. */

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "turns.h"

/* run runs the request of a runner; thread is that of the caller, with the GIL, or NULL. */
static void run(struct pyb_runner *runner, struct pyb_thread *thread)
{
	struct pyb_job *job = runner->job;
	if (__atomic_load_n(&job->gone, __ATOMIC_RELAXED) != 0) {
		job->outcome = PYB_DROPPED;
		return;
	}
	if (thread == NULL) {
		if (job->request.file >= 0)
			close(job->request.file);
		job->outcome = PYB_FAILED;
		job->reply.error = strdup("run the request: no memory for a thread of Python");
		return;
	}
	job->notes = runner->own ? runner->turns->notes : NULL;
	__atomic_store_n(&runner->kernel, thread->kernel, __ATOMIC_RELAXED);
	thread->job = job;
	job->outcome = pyb_run(thread, &job->request, job->frame, job->out, job->capacity, &job->reply);
	thread->job = NULL;
}

/* What a thread has spent so far. */
struct spent {
	long long computed; /* nanoseconds */
	long pauses;        /* how often it has waited for something other than a processor */
};

static struct spent spent(void)
{
	struct rusage usage;
	if (getrusage(RUSAGE_THREAD, &usage) != 0)
		return (struct spent){0, 0};
	long long microseconds = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
				 usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	return (struct spent){microseconds * 1000, usage.ru_nvcsw};
}

/* waited reports whether a request that took so long, and has spent what was spent since before,
 * waited for most of that. One that does not pause waits for a processor at most. */
static int waited(struct spent before, long long took)
{
	struct spent after = spent();
	return after.pauses > before.pauses && 2 * (after.computed - before.computed) < took;
}

/* serve is the life of a thread. */
static void *serve(void *argument)
{
	struct pyb_runner *runner = argument;
	struct pyb_turns *turns = runner->turns;
	for (;;) {
		while (sem_wait(&runner->wake) != 0)
			; /* a signal */
		struct pyb_thread *thread = pyb_enter();
		long long before = pyb_now();
		for (int result = MORE; (result & MORE) != 0;) {
			int measured = runner->measured;
			struct spent start = measured ? spent() : (struct spent){0, 0};
			run(runner, thread);
			long long now = pyb_now(), took = now - before;
			result = pyb_next(runner, took, measured && waited(start, took), now);
			if ((result & TELL) != 0)
				pyb_notes_tell(turns->notes);
			before = now;
		}
		if (thread != NULL)
			pyb_leave(thread);
	}
	return NULL;
}

struct pyb_runner *pyb_runner_new(struct pyb_turns *turns, int own)
{
	pthread_t thread;
	struct pyb_runner *runner = calloc(1, sizeof *runner);
	if (runner == NULL || sem_init(&runner->wake, 0, 0) != 0)
		goto fail;
	runner->turns = turns;
	runner->own = own;
	if (own) {
		if (pthread_create(&thread, NULL, serve, runner) != 0)
			goto fail;
		pthread_detach(thread); /* it never ends, as the interpreter does not */
		turns->made++;
	}
	return runner;
fail:
	free(runner);
	return NULL;
}

struct pyb_job *pyb_take_turn(struct pyb_runner *runner, int *more)
{
	struct pyb_job *job = runner->job;
	struct pyb_thread *thread = pyb_enter();
	long long before = pyb_now();
	run(runner, thread);
	if (thread != NULL)
		pyb_leave(thread);
	long long now = pyb_now();
	*more = (pyb_next(runner, now - before, 0, now) & MORE) != 0;
	return job;
}
