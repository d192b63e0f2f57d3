/*
 * What kernels run on: work shared among threads, and memory for the time of one kernel.
 *
 * Results do not depend on the number of threads: what is summed over pieces is cut into pieces by the shapes alone; each leaves
 * its sum in scratch memory, and they are added up in order.
 */
#pragma once
#include "vector.h"

enum { MAX_THREADS = 256 };

typedef struct {
  /* MAX_THREADS at most. */
  int32_t threads;
  /* Memory that a kernel may use while it runs, 64-byte aligned; as much as its SCRATCH asked for. */
  uint8_t *scratch;
} Run;

/* One piece of work: `thread` is 0 … threads − 1, for memory of the thread's own. */
typedef void (*Piece)(void *work, int32_t piece, int32_t thread);

/* Does all pieces, in any order, on all threads, and waits for them. Each platform has its own. */
void parallel(const Run *run, int32_t pieces, Piece piece, void *work);

/* What is done with rows of a result while they are in the cache: see `finish` in kernel.h. */
typedef struct {
  void (*rows)(const void *context, int32_t first, int32_t count);
  const void *context;
} Epilogue;

/* Rows of spikes are padded to whole 32-bit words; padding bits are 0. */
INLINE int32_t words_of(int32_t channels) { return (channels + 31) >> 5; }
INLINE size_t align64(size_t bytes) { return (bytes + 63) & ~(size_t)63; }
