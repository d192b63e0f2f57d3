/*
 * `parallel` for platforms with threads: the handing out of pieces. How threads are started, sleep and are woken is the platform's.
 */
#pragma once
#include "runtime.h"

/* --- what the platform gives */

/* Sleeps while `*word` is `seen`; may wake for nothing. */
void pool_sleep(_Atomic uint32_t *word, uint32_t seen);
/* Wakes all that sleep on the word. */
void pool_wake(_Atomic uint32_t *word);
/* Tells the processor, or the system, that this thread waits for others; `looks` counts how often it has. */
void pool_pause(int32_t looks);
/* Only one thread submits jobs at a time: 0 where another is at it. */
int pool_enter(void);
void pool_leave(void);

/* --- what it gets */

/* What a thread does, 1 … threads − 1, until `pool_close`. */
void pool_work(int32_t thread);
/* Ends `pool_work` in all threads. */
void pool_close(void);
