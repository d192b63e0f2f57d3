/*
 * One job runs at a time. Its pieces are divided evenly among the threads, so that a thread processes the same images or columns in
 * successive jobs and finds them in its own cache; a thread that has finished its share helps the others. Each share is handed out through
 * one atomic word, the job's number above the next piece: the thread that increments the word owns the piece. A thread that wakes late
 * finds no piece left and nobody waits for it, so a busy machine loses only its share of the work. Idle threads spin for a while, then
 * sleep.
 */
#include "thread-pool.h"
#include <stdatomic.h>

enum { SPINS = 1 << 14, PATIENCE = 1 << 12, CLOSED = INT32_MAX };

/* The current job; changes only while no share has a next piece. */
static _Atomic(Piece) job_piece;
static _Atomic(void *) job_work;
static _Atomic int32_t job_pieces, job_threads, finished;
/* A thread's share: the job's number in the upper half, its next piece in the lower. Each share has its own cache line. */
typedef struct {
  _Alignas(64) _Atomic uint64_t next;
} Share;
static Share shares[MAX_THREADS];
/* The job's number again, as the word to sleep on; the number of threads that may be asleep. */
static _Atomic uint32_t newest;
static _Atomic int32_t sleepers, closing;

static int32_t share_begins(int32_t pieces, int32_t threads, int32_t share) { return (int32_t)((int64_t)pieces * share / threads); }

/* Runs pieces of the job with this number while there are any: first the thread's own share, then the others'. */
static void take_pieces(uint32_t number, int32_t thread) {
  for (int32_t passed = 0;;) {
    const int32_t threads = atomic_load(&job_threads);
    if (passed >= threads || thread >= threads) return;
    const int32_t share = (thread + passed) % threads;
    uint64_t at = atomic_load(&shares[share].next);
    const Piece piece = atomic_load(&job_piece);
    void *work = atomic_load(&job_work);
    const int32_t pieces = atomic_load(&job_pieces), mine = (int32_t)(uint32_t)at;
    if ((uint32_t)(at >> 32) != number || atomic_load(&job_threads) != threads) return;
    if (mine >= share_begins(pieces, threads, share + 1)) {
      passed++;
      continue;
    }
    /* If the word is unchanged, everything read since belongs to this job. */
    if (!atomic_compare_exchange_weak(&shares[share].next, &at, at + 1)) continue;
    piece(work, mine, thread);
    atomic_fetch_add(&finished, 1);
  }
}

void pool_work(int32_t thread) {
  uint32_t seen = 0;
  while (!atomic_load(&closing)) {
    uint32_t number = atomic_load(&newest);
    for (int32_t i = 0; number == seen && i < SPINS; i++) {
      pool_pause(0);
      number = atomic_load(&newest);
    }
    if (number == seen) {
      atomic_fetch_add(&sleepers, 1);
      pool_sleep(&newest, seen);
      atomic_fetch_sub(&sleepers, 1);
      continue;
    }
    seen = number;
    take_pieces(number, thread);
  }
}

void pool_close(void) {
  atomic_store(&closing, 1);
  atomic_fetch_add(&newest, 1);
  pool_wake(&newest);
}

void parallel(const Run *run, int32_t pieces, Piece piece, void *work) {
  if (pieces <= 1 || run->threads <= 1 || !pool_enter()) {
    for (int32_t i = 0; i < pieces; i++) piece(work, i, 0);
    return;
  }
  const uint32_t number = atomic_load(&newest) + 1;
  const int32_t before = atomic_load(&job_threads), shared = before > run->threads ? before : run->threads;
  for (int32_t i = 0; i < shared; i++)
    atomic_store(&shares[i].next, (uint64_t)(number - 1) << 32 | CLOSED);
  atomic_store(&job_piece, piece);
  atomic_store(&job_work, work);
  atomic_store(&job_pieces, pieces);
  atomic_store(&job_threads, run->threads);
  atomic_store(&finished, 0);
  for (int32_t i = 0; i < run->threads; i++)
    atomic_store(&shares[i].next, (uint64_t)number << 32 | (uint32_t)share_begins(pieces, run->threads, i));
  atomic_store(&newest, number);
  if (atomic_load(&sleepers) > 0) pool_wake(&newest);
  take_pieces(number, 0);
  for (int32_t i = 0; atomic_load(&finished) < pieces; i++) pool_pause(i < PATIENCE ? 0 : i);
  pool_leave();
}
