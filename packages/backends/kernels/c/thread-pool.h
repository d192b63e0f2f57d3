/* `parallel` for platforms with threads: distributes the pieces. The platform starts, suspends and wakes the threads. */
#pragma once
#include "runtime.h"

/* --- provided by the platform */

/* Sleeps while `*word` is `seen`; may wake spuriously. */
void pool_sleep(_Atomic uint32_t *word, uint32_t seen);
/* Wakes all threads that sleep on the word. */
void pool_wake(_Atomic uint32_t *word);
/* Hints to the processor, or to the system if `looks` is not 0, that this thread is waiting for others. */
void pool_pause(int32_t looks);
/* Only one thread submits jobs at a time: returns 0 if another is doing so. */
int pool_enter(void);
void pool_leave(void);

/* --- provided to the platform */

/* The main loop of thread 1 … threads − 1, until `pool_close`. */
void pool_work(int32_t thread);
/* Ends `pool_work` in all threads. */
void pool_close(void);
