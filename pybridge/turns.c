//go:build cgo

/* Which thread runs which request.
 *
 * With a GIL, requests that only compute cannot run side by side, and a thread that waits for the
 * GIL costs more than a quick request. So one runner leads: it runs what has come one after the
 * other, and keeps the GIL from one to the next. That is right only while the application computes.
 * When the leader's request waits, for a database say, another runner leads, and for some requests
 * to come each gets a runner of its own. That is found out when it has ended, or by a look each
 * millisecond while requests wait. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "turns.h"

enum {
	/* For how many requests an application that waits is remembered at first, and when it
	 * waits each time it is tried. */
	FORGET = 64,
	REMEMBER = 512,
	MICROSECOND = 1000,
	/* How long an application may compute before others run beside it: they only compete for
	 * the GIL. */
	PATIENCE = 10000 * MICROSECOND,
	/* How long the thread of a leader keeps an answer for itself that is followed by others:
	 * telling Go costs as much as a quick request. */
	HOLD = 500 * MICROSECOND,
	/* One request counts for one part in so many of the mean, */
	WEIGHT = 64,
	/* and for no more than so many times what is slow. */
	COUNTED = 3,
	/* Whether a request of the leader waits is measured when the mean is more than so many
	 * times what is slow: that takes a microsecond. */
	MEASURED = 2,
};

/* lead notes that runner begins a request. turns->lock must be held. */
static void lead(struct pyb_turns *turns, struct pyb_runner *runner)
{
	turns->begun++;
	turns->leader = runner;
	if (turns->parallel) {
		turns->leader = NULL;
	} else if (turns->eager > 0) {
		turns->eager--;
		turns->leader = NULL;
	}
	runner->measured = turns->leader == runner && turns->mean > MEASURED * turns->slow;
	__atomic_store_n(&turns->notes->patient, turns->leader != NULL, __ATOMIC_RELAXED);
}

/* pop returns the request that has waited longest, or NULL. turns->lock must be held. */
static struct pyb_job *pop(struct pyb_turns *turns)
{
	struct pyb_job *job = turns->first;
	if (job != NULL && (turns->first = job->next) == NULL)
		turns->last = NULL;
	return job;
}

/* begin gives the request that has waited longest to a runner, which it returns; NULL when there is
 * none. turns->lock must be held. */
static struct pyb_runner *begin(struct pyb_turns *turns, int own)
{
	struct pyb_runner *runner = turns->idle[own];
	if (runner != NULL)
		turns->idle[own] = runner->next;
	else if (own && turns->made >= turns->threads)
		return NULL;
	else if ((runner = pyb_runner_new(turns, own)) == NULL)
		return NULL;
	turns->running++;
	lead(turns, runner);
	runner->job = pop(turns);
	if (own)
		sem_post(&runner->wake);
	return runner;
}

/* may_begin reports whether a request waits for nobody. turns->lock must be held. */
static int may_begin(const struct pyb_turns *turns)
{
	return turns->leader == NULL && turns->first != NULL && turns->running < turns->threads;
}

/* fill begins waiting requests as long as nobody leads. turns->lock must be held. */
static void fill(struct pyb_turns *turns)
{
	while (may_begin(turns) && begin(turns, 1) != NULL)
		;
}

/* learn notes how long a request took. turns->lock must be held. */
static void learn(struct pyb_turns *turns, long long took)
{
	const long long most = COUNTED * turns->slow;
	turns->mean += ((took < most ? took : most) - turns->mean) / WEIGHT;
	/* What is between the two stays as it is. */
	turns->quick = !turns->parallel && turns->mean < (turns->quick ? turns->slow : turns->slow / 2);
}

/* remember lets some requests to come run side by side, since one has waited. turns->lock must be
 * held. */
static void remember(struct pyb_turns *turns)
{
	turns->eager = turns->memory;
	turns->memory = 2 * turns->memory < REMEMBER ? 2 * turns->memory : REMEMBER;
}

int pyb_next(struct pyb_runner *runner, long long took, int waited, long long now)
{
	struct pyb_turns *turns = runner->turns;
	struct pyb_job *done = runner->job;
	int result = TELL;
	pthread_mutex_lock(&turns->lock);
	learn(turns, took);
	if (turns->leader == runner) {
		turns->leader = NULL;
		if (waited)
			remember(turns);
		else
			turns->memory = FORGET;
	}
	if (runner->own)
		pyb_notes_add(turns->notes, &done->done); /* here: no look comes between */
	if (turns->leader == NULL && turns->first != NULL && (runner->own || turns->quick)) {
		runner->job = pop(turns);
		lead(turns, runner);
		if (runner->held == 0)
			runner->held = now;
		/* Unless the next one is as quick, as far as is known. */
		if (turns->leader == runner && now - runner->held <= HOLD)
			result = 0;
		result |= MORE;
	} else {
		turns->running--;
		runner->next = turns->idle[runner->own];
		turns->idle[runner->own] = runner;
	}
	if ((result & TELL) != 0)
		runner->held = 0;
	fill(turns);
	pthread_mutex_unlock(&turns->lock);
	return result;
}

struct pyb_turns *pyb_turns_new(unsigned threads, int parallel, struct pyb_notes *notes)
{
	struct pyb_turns *turns = calloc(1, sizeof *turns);
	if (turns == NULL || pyb_notes_open(notes) < 0 || pthread_mutex_init(&turns->lock, NULL) != 0) {
		free(turns);
		return NULL;
	}
	turns->notes = notes;
	turns->threads = threads;
	turns->parallel = parallel;
	turns->memory = FORGET;
	return turns;
}

void pyb_turns_slow(struct pyb_turns *turns, long long nanoseconds)
{
	pthread_mutex_lock(&turns->lock);
	turns->slow = turns->mean = nanoseconds;
	turns->quick = 0;
	pthread_mutex_unlock(&turns->lock);
}

struct pyb_turn pyb_submit(struct pyb_turns *turns, struct pyb_job *job)
{
	struct pyb_turn turn = {NULL, 0};
	job->next = NULL;
	job->later = 0;
	job->done.job = job;
	pthread_mutex_lock(&turns->lock);
	if (turns->last == NULL)
		turns->first = job;
	else
		turns->last->next = job;
	turns->last = job;
	if (turns->quick && turns->eager == 0) {
		/* A leader with its own thread would go on as long as requests wait. */
		if (turns->leader != NULL && turns->leader->own)
			turns->leader = NULL;
		if (may_begin(turns))
			turn.runner = begin(turns, 0);
	}
	fill(turns);
	if (turns->first != NULL && turns->notes->looked == 0) {
		turn.look = 1;
		__atomic_store_n(&turns->notes->looked, 1, __ATOMIC_SEQ_CST);
		turns->seen = turns->begun - 1; /* the first look is at a request that may just have begun */
	}
	pthread_mutex_unlock(&turns->lock);
	return turn;
}

/* computes reports whether a thread computes, or would if it had a processor; false for a kernel
 * that does not say, where every thread seems to wait. */
static int computes(int kernel)
{
	char name[64], text[128];
	snprintf(name, sizeof name, "/proc/self/task/%d/stat", kernel);
	int file = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
	if (file >= 0)
		close(file);
	text[length < 0 ? 0 : length] = '\0';
	const char *end = strrchr(text, ')'); /* of the name of the thread; then the state */
	return end != NULL && strncmp(end, ") R", 3) == 0;
}

/* judge lets others run beside the leader, whose request keeps them waiting, if they should.
 * turns->lock must be held. */
static void judge(struct pyb_turns *turns)
{
	long long now = pyb_now();
	if (turns->looks++ == 0)
		turns->since = now;
	turns->waits += !computes(__atomic_load_n(&turns->leader->kernel, __ATOMIC_RELAXED));
	if (turns->looks == 1)
		return; /* it may be a short pause */
	if (2 * turns->waits > turns->looks) {
		remember(turns);
	} else if (now - turns->since < PATIENCE) {
		return;
	}
	turns->leader = NULL;
	fill(turns);
}

int pyb_look(struct pyb_turns *turns)
{
	struct pyb_job *refused = NULL;
	pthread_mutex_lock(&turns->lock);
	if (turns->first == NULL) {
		;
	} else if (turns->begun != turns->seen) {
		turns->seen = turns->begun;
		turns->looks = turns->waits = 0;
	} else if (turns->leader == NULL) { /* every thread is in the application */
		refused = turns->first;
		turns->first = turns->last = NULL;
	} else {
		judge(turns);
	}
	int again = turns->first != NULL;
	__atomic_store_n(&turns->notes->looked, again, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&turns->lock);
	while (refused != NULL) {
		struct pyb_job *job = refused;
		refused = job->next;
		job->outcome = PYB_REFUSED;
		pyb_notes_add(turns->notes, &job->done);
	}
	if (__atomic_load_n(&turns->notes->last, __ATOMIC_SEQ_CST) != NULL)
		pyb_notes_tell(turns->notes);
	return again;
}

int pyb_quick(struct pyb_turns *turns)
{
	pthread_mutex_lock(&turns->lock);
	int quick = turns->quick;
	pthread_mutex_unlock(&turns->lock);
	return quick;
}
