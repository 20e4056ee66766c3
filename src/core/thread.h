/* Threads of our own: few, joined before the call returns that began them. */
#ifndef AMEND_CORE_THREAD_H
#define AMEND_CORE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* No signal is delivered to it: handlers are for the application's own threads. False: there is none. */
bool amend_thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

#endif
