/*
 * Starting a thread that the application's signals leave alone.
 * Leaves what it does, and joining it, to who starts it.
 */
#include "core/thread.h"

#include <signal.h>

bool amend_thread_start(pthread_t *thread, void *(*run)(void *context), void *context)
{
	sigset_t every, before;
	bool started;

	sigfillset(&every);
	if (pthread_sigmask(SIG_SETMASK, &every, &before) != 0)
		return false;
	started = pthread_create(thread, NULL, run, context) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}
