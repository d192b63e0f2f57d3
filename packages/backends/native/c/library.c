/*
 * What JavaScript calls. Sessions are known by numbers: one that was closed, or never was, is refused. Programs and calls are
 * checked by session.c; their memory belongs to the library, so that no pointer but that of the arena leaves it.
 */
#include "dispatch.h"
#include "threads.h"
#include <pthread.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default")))

enum { MAX_SESSIONS = 4096, HUGE_BYTES = 1 << 24 };

typedef struct {
  /* Null where the slot is free. The session comes first, then the arena. */
  Session *session;
  uint8_t *arena;
  size_t bytes;
  /* How often the slot was used: a number that was closed is not valid for the next session there. */
  int32_t uses;
} Slot;

static Slot slots[MAX_SESSIONS];
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static const Kernels *chosen;

const Kernels *kernels_here(void) { return chosen; }

static Slot *find(int32_t handle) {
  if (handle < 0) return 0;
  Slot *slot = &slots[handle % MAX_SESSIONS];
  return slot->session && slot->uses == handle / MAX_SESSIONS ? slot : 0;
}

/* Bytes of the widest vectors that this processor runs, 0 where it runs none. */
EXPORT int32_t spikeroute_vector_bytes(int32_t widest) {
  const Kernels *kernels = kernels_for(widest);
  return kernels ? kernels->vector_bytes : 0;
}

/* How many threads there are, at most `threads`. */
EXPORT int32_t spikeroute_start(int32_t threads) { return start_threads(threads); }

static double open_session(const int32_t *program, double words, int32_t threads) {
  const double needed = session_bytes(program, words, threads);
  if (needed < 0) return needed;
  int32_t at = 0;
  while (at < MAX_SESSIONS && slots[at].session) at++;
  if (at == MAX_SESSIONS) return -NO_MEMORY;
  Slot *slot = &slots[at];
  const size_t own = align64((size_t)needed), arena = 64 * (size_t)((const Program *)program)->arena;
  void *memory = mmap(0, own + arena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return -NO_MEMORY;
#ifdef MADV_HUGEPAGE
  /* Large arenas are gone through faster on pages of 2 MB; small ones would take more memory than they say. */
  if (own + arena >= HUGE_BYTES) madvise(memory, own + arena, MADV_HUGEPAGE);
#endif
  slot->session = memory;
  slot->arena = (uint8_t *)memory + own;
  slot->bytes = own + arena;
  slot->uses = (slot->uses + 1) % (INT32_MAX / MAX_SESSIONS);
  session_open(memory, program, threads, slot->arena);
  return (double)slot->uses * MAX_SESSIONS + at;
}

/* Opens a session with vectors of at most `widest` bytes: its number, or a refusal of `session_bytes`. */
EXPORT double spikeroute_open(const int32_t *program, double words, int32_t threads, int32_t widest) {
  pthread_mutex_lock(&changing);
  chosen = kernels_for(widest);
  const double handle = chosen && program ? open_session(program, words, threads) : -NOT_A_PROGRAM;
  pthread_mutex_unlock(&changing);
  return handle;
}

EXPORT uint8_t *spikeroute_arena(int32_t handle) {
  const Slot *slot = find(handle);
  return slot ? slot->arena : 0;
}

/* All bytes of a session, its arena's included. */
EXPORT double spikeroute_bytes(int32_t handle) {
  const Slot *slot = find(handle);
  return slot ? (double)slot->bytes : 0;
}

EXPORT int32_t spikeroute_run(int32_t handle, const int32_t *calls, int32_t count) {
  const Slot *slot = find(handle);
  if (!slot) return NO_SESSION;
  return calls ? session_run(slot->session, calls, count) : UNKNOWN_CALL;
}

EXPORT void spikeroute_close(int32_t handle) {
  pthread_mutex_lock(&changing);
  Slot *slot = find(handle);
  if (slot) {
    munmap(slot->session, slot->bytes);
    slot->session = 0;
  }
  pthread_mutex_unlock(&changing);
}
