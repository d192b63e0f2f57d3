/*
 * A program as packed by src/encode.ts: a header, buffers, instructions, all in 32-bit words.
 *
 * An instruction is its opcode (a row of kernels.def), one word for each operand of the kernel, and its attributes. An operand is −1 if
 * absent, else 2¹³·buffer + 2¹²·accumulate + lag, where lag is its age in time steps.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { PROGRAM_MAGIC = 0x53524b33, SEGMENTS = 17, MAX_RANK = 8, MAX_OPERANDS = 26 };

/* How elements are stored: see core's spikes.ts. */
enum { FLOAT32, SPIKES, WORDS };

typedef struct {
  /* In units of 64 bytes: offset of slot 0 in the arena, and distance between slots. */
  int32_t offset, stride;
  /* Time step t is in slot ⌊t/every⌋ mod slots. */
  int32_t slots, every, elements;
  int32_t rank, extent[MAX_RANK];
  /* The number of elements; the last extent (1 for a scalar); the number of rows of `channels` elements. */
  int32_t size, channels, rows;
} Buffer;

typedef struct {
  /* The word at which the first instruction begins, and their number. */
  int32_t begin, count;
} Segment;

typedef struct {
  int32_t magic, words, buffers, time_steps;
  /* In units of 64 bytes. */
  int32_t arena;
  Segment segments[SEGMENTS];
} Program;

/* Fields of an operand that is present. */
static inline int32_t buffer_of(int32_t operand) { return operand >> 13; }
static inline int32_t accumulates(int32_t operand) { return operand >> 12 & 1; }
static inline int32_t lag_of(int32_t operand) { return operand & 4095; }

static inline const Buffer *buffers_of(const Program *program) { return (const Buffer *)(program + 1); }
