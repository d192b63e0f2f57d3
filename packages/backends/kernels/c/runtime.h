/*
 * The runtime of kernels: work divided among threads, and scratch memory.
 *
 * Results do not depend on the number of threads: sums are divided into pieces by shapes alone; each piece writes its sum to scratch
 * memory, and these are added in order.
 */
#pragma once
#include "vector.h"

enum { MAX_THREADS = 256 };

typedef struct {
  /* At most MAX_THREADS. */
  int32_t threads;
  /* Memory that a kernel may use while it runs: 64-byte aligned, of the size that its SCRATCH returned. */
  uint8_t *scratch;
} Run;

/* One piece of work. `thread` is 0 … threads − 1, for memory of the thread's own. */
typedef void (*Piece)(void *work, int32_t piece, int32_t thread);

/* Runs all pieces, in any order, on all threads, and waits for them. Each platform has its own implementation. */
void parallel(const Run *run, int32_t pieces, Piece piece, void *work);

/* A function to run on rows of a result while they are in the cache: see `finish` in kernel.h. */
typedef struct {
  void (*rows)(const void *context, int32_t first, int32_t count);
  const void *context;
} Epilogue;

/* Rows of spikes are padded to whole 32-bit words; padding bits are 0. */
INLINE int32_t words_of(int32_t channels) { return (channels + 31) >> 5; }
INLINE size_t align64(size_t bytes) { return (bytes + 63) & ~(size_t)63; }
