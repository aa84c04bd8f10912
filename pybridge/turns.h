/* What turns.c, whose turn it is, and runners.c, the threads, have in common. */
#ifndef PYB_TURNS_H
#define PYB_TURNS_H

#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "internal.h"

struct pyb_runner {
	struct pyb_turns *turns;
	struct pyb_runner *next; /* that is idle */
	struct pyb_job *job;     /* that it runs, or is to run when it is woken */
	int kernel;              /* gettid() of the thread that runs it; atomic */
	int measured;            /* whether its request waits is to be found out */
	int own;                 /* it has a thread of its own: */
	sem_t wake;
	long long held; /* since when Go has not been told of its answers; 0: it has */
};

struct pyb_turns {
	struct pyb_notes *notes;
	unsigned threads; /* at most so many requests at once */
	int parallel;     /* no GIL: every request gets a runner of its own */

	pthread_mutex_t lock;         /* guards what follows */
	struct pyb_job *first, *last; /* those that wait */
	struct pyb_runner *idle[2];   /* runners on threads of Go, and with their own */
	struct pyb_runner *leader;    /* takes the next request when it has finished its own, or NULL */
	unsigned running, made;       /* requests; threads */
	unsigned long long begun;     /* requests that have been begun */
	unsigned eager;               /* requests that get a runner of their own */
	unsigned memory;              /* eager will be, the next time the application waits */
	long long slow;               /* a mean of more nanoseconds than that is not quick */
	long long mean;               /* nanoseconds that a request takes */
	int quick;                    /* requests are run on threads of Go */

	unsigned long long seen; /* begun at the last look */
	unsigned looks, waits;   /* since nothing has been begun; those that found the leader waiting */
	long long since;         /* the first of them */
};

/* What pyb_next returns. */
enum {
	MORE = 1, /* the runner has another request */
	TELL = 2, /* Go is to be told of answers */
};

/* pyb_next notes that runner has finished its request, which took so many nanoseconds and waited
 * most of that, and looks for another one. A runner that has none belongs to the turns again: others may give it one at once. */
int pyb_next(struct pyb_runner *runner, long long took, int waited, long long now);

/* pyb_runner_new returns a runner, with a thread of its own or without one; NULL when there is no
 * memory. turns->lock must be held. */
struct pyb_runner *pyb_runner_new(struct pyb_turns *turns, int own);

/* pyb_now is a monotonic clock, in nanoseconds. */
static inline long long pyb_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

#endif
