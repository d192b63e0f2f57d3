/* The thread pool on shared memory: JavaScript workers that stay in `pool_work`. */
#include "thread-pool.h"
#include <stdatomic.h>

static _Atomic int32_t submitting;

int pool_enter(void) { return atomic_exchange(&submitting, 1) == 0; }
void pool_leave(void) { atomic_store(&submitting, 0); }

void pool_sleep(_Atomic uint32_t *word, uint32_t seen) { __builtin_wasm_memory_atomic_wait32((int *)word, (int)seen, -1); }
void pool_wake(_Atomic uint32_t *word) { __builtin_wasm_memory_atomic_notify((int *)word, UINT32_MAX); }
void pool_pause(int32_t looks) { (void)looks; }
