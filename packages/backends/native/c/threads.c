/* The thread pool on POSIX threads. */
#define _GNU_SOURCE
#include "threads.h"
#include "thread-pool.h"
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

static pthread_mutex_t submitting = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t sleeping = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static int32_t workers;

int pool_enter(void) { return pthread_mutex_trylock(&submitting) == 0; }
void pool_leave(void) { pthread_mutex_unlock(&submitting); }

void pool_sleep(_Atomic uint32_t *word, uint32_t seen) {
  pthread_mutex_lock(&sleeping);
  while (atomic_load(word) == seen) pthread_cond_wait(&news, &sleeping);
  pthread_mutex_unlock(&sleeping);
}

void pool_wake(_Atomic uint32_t *word) {
  (void)word;
  pthread_mutex_lock(&sleeping);
  pthread_cond_broadcast(&news);
  pthread_mutex_unlock(&sleeping);
}

void pool_pause(int32_t looks) {
  if (looks) sched_yield();
#if defined(__x86_64__)
  else __builtin_ia32_pause();
#elif defined(__aarch64__)
  else __asm__ volatile("yield");
#endif
}

static void *worker(void *thread) {
  pool_work((int32_t)(intptr_t)thread);
  return 0;
}

/*
 * Marks this library as never to be unloaded, so that the code of its threads stays mapped: a runtime may close and reload it, as Deno does
 * at the end of a worker or of a test file.
 */
static void stay_loaded(void) {
  Dl_info self;
  if (dladdr(&workers, &self)) dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

int32_t start_threads(int32_t threads) {
  if (threads > MAX_THREADS) threads = MAX_THREADS;
  pthread_mutex_lock(&submitting);
  /* Leaves signals to the runtime's threads. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  if (workers == 0 && threads > 1) stay_loaded();
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
