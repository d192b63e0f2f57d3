/*
 * A session: a program, checked, with the memory to run it. What JavaScript can reach of the kernels are these functions.
 *
 * Nothing is trusted that comes from outside: `session_bytes` checks the program down to the shapes of every instruction's operands,
 * and `session_open` keeps a copy of it; `session_run` checks each call. So no program and no call can make a kernel touch memory
 * that is not its own.
 */
#pragma once
#include "kernel.h"

/* What is wrong with a program or a call: src/refusals.ts has a sentence for each. */
enum {
  NOT_A_PROGRAM = 1,
  BAD_BUFFER,
  BAD_SEGMENT,
  UNKNOWN_OPCODE,
  BAD_OPERAND,
  MISSING_OPERAND,
  WRONG_ELEMENTS,
  WRONG_SHAPES,
  NO_SESSION,
  UNKNOWN_CALL,
  NO_MEMORY,
  IS_RUNNING,
};

typedef struct {
  /* A letter for each operand: see kernels.def. */
  const char *operands;
  int32_t attributes;
  int (*check)(const Call *);
  /* Null where the kernel needs none. */
  size_t (*scratch)(const Call *), (*kept)(const Call *);
  void (*run)(const Call *);
} Kernel;

/* The kernels for one width of vectors, in the order of kernels.def; what runs a lif.forward on rows of its input; kernel.h's are_finite. */
typedef struct {
  const Kernel *kernels;
  void (*lif_rows)(const void *call, int32_t first, int32_t count);
  int (*are_finite)(const Run *run, const float *x, int32_t count);
  int32_t vector_bytes;
} Kernels;

extern const int32_t kernel_count;

/* The kernels to use on this machine. Each platform has its own. */
const Kernels *kernels_here(void);

typedef struct Session Session;

/* Bytes for a session of a packed program of `words` words, at least 1; or −(refusal + 16·index), of the buffer or instruction at fault. */
double session_bytes(const int32_t *program, double words, int32_t threads);
/* Makes a session in `memory`, 64-byte aligned and of as many bytes as `session_bytes` said. `arena` has those that the program says. */
void session_open(void *memory, const int32_t *program, int32_t threads, uint8_t *arena);
/*
 * Runs `count` calls, pairs of a segment's number and a time step, which in a stream may be beyond the program's last. 0, or a
 * refusal: then nothing has run. Weights that are written otherwise count from the next `begin` on.
 */
int32_t session_run(Session *session, const int32_t *calls, int32_t count);
/* Whether all numbers of a buffer's first slot are finite; 0 where the program has no such buffer of float32. */
int32_t session_is_finite(const Session *session, int32_t buffer);
