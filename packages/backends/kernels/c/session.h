/*
 * A session: a checked program with the memory to run it. JavaScript reaches the kernels through these functions only.
 *
 * Nothing from outside is trusted: `session_bytes` checks the program down to the shapes of every instruction's operands, `session_open`
 * stores a copy of it, and `session_run` checks each call. So no program and no call can make a kernel access memory that is not its own.
 */
#pragma once
#include "kernel.h"

/* Errors in a program or a call: src/refusals.ts has a message for each. */
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
  /* Null if the kernel needs none. */
  size_t (*scratch)(const Call *), (*kept)(const Call *);
  void (*run)(const Call *);
} Kernel;

/* The kernels for one vector width, in the order of kernels.def; lif.h's lif_rows; kernel.h's are_finite. */
typedef struct {
  const Kernel *kernels;
  void (*lif_rows)(const void *call, int32_t first, int32_t count);
  int (*are_finite)(const Run *run, const float *x, int32_t count);
  int32_t vector_bytes;
} Kernels;

extern const int32_t kernel_count;

/* The kernels to use on this machine. Each platform has its own implementation. */
const Kernels *kernels_here(void);

typedef struct Session Session;

/*
 * The size in bytes, at least 1, of a session of a packed program of `words` words; or −(refusal + 16·index), with the index of the invalid
 * buffer or instruction.
 */
double session_bytes(const int32_t *program, double words, int32_t threads);
/* Creates a session in `memory`, 64-byte aligned and of `session_bytes` bytes. `arena` has the size that the program states. */
void session_open(void *memory, const int32_t *program, int32_t threads, uint8_t *arena);
/*
 * Runs `count` calls, pairs of a segment's number and a time step, which in a stream may exceed the program's last. Returns 0, or a refusal,
 * in which case nothing has run. Weights that are written from outside take effect with the next `begin`.
 */
int32_t session_run(Session *session, const int32_t *calls, int32_t count);
/* Whether all numbers in a buffer's first slot are finite; 0 if the program has no such buffer of float32. */
int32_t session_is_finite(const Session *session, int32_t buffer);
