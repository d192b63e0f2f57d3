/*
 * `parallel` on POSIX threads.
 *
 * One job runs at a time. Its pieces are handed out by one atomic word, the job's number above the next piece: whoever moves the
 * word on has the piece. A thread that wakes late finds no piece left and nobody waits for it, so a busy machine costs its share of
 * the work and no more. Threads without work look out for a while, then sleep.
 */
#include "threads.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

enum { MAX_THREADS = 256, LOOKS = 4000 };

/* The job at hand; changes only while no piece of it is left. */
static _Atomic(Piece) job_piece;
static _Atomic(void *) job_work;
static _Atomic int32_t job_pieces, job_threads, finished;
/* The job's number in the upper half, its next piece in the lower. */
static _Atomic uint64_t next;

static pthread_mutex_t submitting = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t sleeping = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static _Atomic int32_t sleepers;
static int32_t workers;

static void look_again(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Does pieces of the job with this number while there are any. */
static void take_pieces(uint32_t number, int32_t thread) {
  for (;;) {
    uint64_t at = atomic_load(&next);
    const Piece piece = atomic_load(&job_piece);
    void *work = atomic_load(&job_work);
    const int32_t pieces = atomic_load(&job_pieces), threads = atomic_load(&job_threads), mine = (int32_t)(uint32_t)at;
    if ((uint32_t)(at >> 32) != number || mine >= pieces || thread >= threads) return;
    if (!atomic_compare_exchange_weak(&next, &at, at + 1)) continue;
    piece(work, mine, thread);
    atomic_fetch_add(&finished, 1);
  }
}

static void *worker(void *argument) {
  const int32_t thread = (int32_t)(intptr_t)argument;
  uint32_t seen = 0;
  for (;;) {
    uint32_t number = (uint32_t)(atomic_load(&next) >> 32);
    for (int i = 0; number == seen && i < LOOKS; i++) {
      look_again();
      number = (uint32_t)(atomic_load(&next) >> 32);
    }
    if (number == seen) {
      pthread_mutex_lock(&sleeping);
      atomic_fetch_add(&sleepers, 1);
      while ((number = (uint32_t)(atomic_load(&next) >> 32)) == seen) pthread_cond_wait(&news, &sleeping);
      atomic_fetch_sub(&sleepers, 1);
      pthread_mutex_unlock(&sleeping);
    }
    seen = number;
    take_pieces(number, thread);
  }
  return 0;
}

int32_t start_threads(int32_t threads) {
  if (threads > MAX_THREADS) threads = MAX_THREADS;
  pthread_mutex_lock(&submitting);
  /* Signals are for the threads of the runtime. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (workers < threads - 1) {
    pthread_t thread;
    if (pthread_create(&thread, 0, worker, (void *)(intptr_t)(workers + 1)) != 0) break;
    pthread_detach(thread);
    workers++;
  }
  pthread_sigmask(SIG_SETMASK, &before, 0);
  const int32_t available = workers + 1;
  pthread_mutex_unlock(&submitting);
  return threads < available ? threads : available;
}

void parallel(const Run *run, int32_t pieces, Piece piece, void *work) {
  /* Another thread of the runtime may be at it: then this one works alone. */
  if (pieces <= 1 || run->threads <= 1 || pthread_mutex_trylock(&submitting) != 0) {
    for (int32_t i = 0; i < pieces; i++) piece(work, i, 0);
    return;
  }
  atomic_store(&job_piece, piece);
  atomic_store(&job_work, work);
  atomic_store(&job_pieces, pieces);
  atomic_store(&job_threads, run->threads);
  atomic_store(&finished, 0);
  const uint32_t number = (uint32_t)(atomic_load(&next) >> 32) + 1;
  atomic_store(&next, (uint64_t)number << 32);
  if (atomic_load(&sleepers) > 0) {
    pthread_mutex_lock(&sleeping);
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&sleeping);
  }
  take_pieces(number, 0);
  for (int i = 0; atomic_load(&finished) < pieces; i++)
    if (i < LOOKS) look_again();
    else sched_yield();
  pthread_mutex_unlock(&submitting);
}
