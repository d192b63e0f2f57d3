/*
 * The functions that JavaScript calls. Sessions are identified by numbers; the number of a closed session, or one that never existed, is
 * refused. session.c checks programs and calls; their memory belongs to the library, and the only pointers it returns are those into an
 * arena.
 *
 * The table of sessions is read and changed only under its lock. A running session is marked: a thread that closes it meanwhile leaves
 * freeing its memory to the thread that runs it, and a second run is refused.
 */
#include "dispatch.h"
#include "threads.h"
#include <pthread.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default")))

enum { MAX_SESSIONS = 4096, HUGE_BYTES = 1 << 24 };

typedef struct {
  /* Null if the slot is free. The session comes first, then the arena. */
  Session *session;
  uint8_t *arena;
  size_t bytes;
  /* Number of uses of the slot, which makes the number of a closed session invalid for the slot's next one. */
  int32_t uses;
  int32_t runs, is_closed;
} Slot;

static Slot slots[MAX_SESSIONS];
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static const Kernels *chosen;

const Kernels *kernels_here(void) { return chosen; }

/* With the lock held. */
static Slot *find(int32_t handle) {
  if (handle < 0) return 0;
  Slot *slot = &slots[handle % MAX_SESSIONS];
  return slot->session && !slot->is_closed && slot->uses == handle / MAX_SESSIONS ? slot : 0;
}

static void free_slot(Slot *slot) {
  munmap(slot->session, slot->bytes);
  slot->session = 0;
}

/* Bytes of the widest vectors that this processor supports; 0 if none. */
EXPORT int32_t spikeroute_vector_bytes(int32_t widest) {
  const Kernels *kernels = kernels_for(widest);
  return kernels ? kernels->vector_bytes : 0;
}

/* Starts threads; returns how many there are, at most `threads`. */
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
  /* Access to large arenas is faster on 2 MB pages; small arenas would take more memory than they report. */
  if (own + arena >= HUGE_BYTES) madvise(memory, own + arena, MADV_HUGEPAGE);
#endif
  slot->session = memory;
  slot->arena = (uint8_t *)memory + own;
  slot->bytes = own + arena;
  slot->runs = slot->is_closed = 0;
  slot->uses = (slot->uses + 1) % (INT32_MAX / MAX_SESSIONS);
  session_open(memory, program, threads, slot->arena);
  return (double)slot->uses * MAX_SESSIONS + at;
}

/* Opens a session with vectors of at most `widest` bytes; returns its number, or a refusal of `session_bytes`. */
EXPORT double spikeroute_open(const int32_t *program, double words, int32_t threads, int32_t widest) {
  pthread_mutex_lock(&changing);
  chosen = kernels_for(widest);
  const double handle = chosen && program ? open_session(program, words, threads) : -NOT_A_PROGRAM;
  pthread_mutex_unlock(&changing);
  return handle;
}

/* The address of `bytes` bytes at `offset` in the arena; null if they are not within it. */
EXPORT uint8_t *spikeroute_view(int32_t handle, double offset, double bytes) {
  pthread_mutex_lock(&changing);
  const Slot *slot = find(handle);
  uint8_t *view = 0;
  if (slot && offset >= 0 && bytes >= 0 && offset + bytes <= (double)((uint8_t *)slot->session + slot->bytes - slot->arena))
    view = slot->arena + (size_t)offset;
  pthread_mutex_unlock(&changing);
  return view;
}

/* Bytes of a session, including its arena. */
EXPORT double spikeroute_bytes(int32_t handle) {
  pthread_mutex_lock(&changing);
  const Slot *slot = find(handle);
  const double bytes = slot ? (double)slot->bytes : 0;
  pthread_mutex_unlock(&changing);
  return bytes;
}

/* Marks a session as running: 0, or a refusal. */
static int32_t begin_run(int32_t handle, Slot **slot) {
  pthread_mutex_lock(&changing);
  *slot = find(handle);
  const int32_t refused = !*slot ? NO_SESSION : (*slot)->runs ? IS_RUNNING : 0;
  if (!refused) (*slot)->runs = 1;
  pthread_mutex_unlock(&changing);
  return refused;
}

static void end_run(Slot *slot) {
  pthread_mutex_lock(&changing);
  slot->runs = 0;
  if (slot->is_closed) free_slot(slot);
  pthread_mutex_unlock(&changing);
}

EXPORT int32_t spikeroute_run(int32_t handle, const int32_t *calls, int32_t count) {
  Slot *slot;
  if (!calls) return UNKNOWN_CALL;
  int32_t refusal = begin_run(handle, &slot);
  if (refusal) return refusal;
  refusal = session_run(slot->session, calls, count);
  end_run(slot);
  return refusal;
}

/* See session_is_finite; −1 if the session is closed or running. */
EXPORT int32_t spikeroute_is_finite(int32_t handle, int32_t buffer) {
  Slot *slot;
  if (begin_run(handle, &slot)) return -1;
  const int32_t finite = session_is_finite(slot->session, buffer);
  end_run(slot);
  return finite;
}

EXPORT void spikeroute_close(int32_t handle) {
  pthread_mutex_lock(&changing);
  Slot *slot = find(handle);
  if (slot && slot->runs) slot->is_closed = 1;
  else if (slot) free_slot(slot);
  pthread_mutex_unlock(&changing);
}
