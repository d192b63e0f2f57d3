/*
 * What kernels run on: work shared among threads, and memory for the time of one kernel.
 *
 * Results do not depend on the number of threads: work is cut into pieces by the shapes alone, and a piece writes what no
 * other piece writes. What pieces have to sum they leave in scratch memory, and one piece adds it up in order.
 */
#pragma once
#include "vector.h"

typedef struct Run {
  int32_t threads;
  /* Memory that a kernel may use while it runs, 64-byte aligned; as much as its `scratch` function asked for. */
  uint8_t *scratch;
} Run;

/* One piece of work: `thread` is 0 … threads − 1, for memory of the thread's own. */
typedef void (*Piece)(void *work, int32_t piece, int32_t thread);

/* Does all pieces, on all threads, and waits for them. */
void parallel(const Run *run, int32_t pieces, Piece piece, void *work);

/* Rows of spikes are padded to whole 32-bit words; padding bits are 0. */
INLINE int32_t words_of(int32_t channels) { return (channels + 31) / 32; }
INLINE size_t align64(size_t bytes) { return (bytes + 63) & ~(size_t)63; }
