//go:build cgo

/* What Python has to tell Go, in a list that Go empties: a thread of Python calls no function of
 * Go for that. Such a call waits, with the GIL, until Go has a processor for it. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"

/* The most bytes of one response in such notes; what follows is handed over by pyb_go_frame, which
 * says when Go holds enough. Less than the least that Go holds of a response (minResponseBuffer). */
enum { LATER_BYTES = 64 << 10 };

int pyb_notes_open(struct pyb_notes *notes)
{
	notes->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return notes->event < 0 ? -1 : 0;
}

void pyb_notes_add(struct pyb_notes *notes, struct pyb_note *note)
{
	struct pyb_note *last = __atomic_load_n(&notes->last, __ATOMIC_RELAXED);
	do
		note->previous = last;
	while (!__atomic_compare_exchange_n(&notes->last, &last, note, 1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

void pyb_notes_tell(struct pyb_notes *notes)
{
	const uint64_t one = 1;
	if (__atomic_load_n(&notes->asleep, __ATOMIC_SEQ_CST) == 0 ||
	    __atomic_exchange_n(&notes->asleep, 0, __ATOMIC_SEQ_CST) == 0)
		return; /* Go is awake, or has been told */
	while (write(notes->event, &one, sizeof one) < 0 && errno == EINTR)
		;
}

int pyb_send_later(struct pyb_job *job, const char *frame, size_t length)
{
	if (__atomic_load_n(&job->gone, __ATOMIC_RELAXED) != 0)
		return PYB_GONE;
	if (length > LATER_BYTES - job->later)
		return PYB_FULL;
	struct pyb_note *note = malloc(sizeof *note + length);
	if (note == NULL)
		return PYB_FULL;
	job->later += length;
	note->job = NULL;
	note->length = length;
	note->frame = (char *)(note + 1);
	memcpy(note->frame, frame, length);
	pyb_notes_add(job->notes, note);
	if (__atomic_load_n(&job->notes->looked, __ATOMIC_SEQ_CST) == 0 ||
	    __atomic_load_n(&job->notes->patient, __ATOMIC_RELAXED) == 0)
		pyb_notes_tell(job->notes);
	return PYB_TAKEN;
}
