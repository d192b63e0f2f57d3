/*
 * A program as src/encode.ts packs it: a header, buffers, instructions, all of them 32-bit words.
 *
 * An instruction is its opcode (a row of kernels.def), an operand for each of the kernel's, and its attributes. An operand is −1
 * where it is absent, else 2¹³·buffer + 2¹²·accumulate + lag, the time steps by which it is older.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { PROGRAM_MAGIC = 0x53524b33, SEGMENTS = 17, MAX_RANK = 8, MAX_OPERANDS = 26 };

/* How elements are stored: see core's spikes.ts. */
enum { FLOAT32, SPIKES, WORDS };

typedef struct {
  /* In units of 64 bytes: where slot 0 begins in the arena, and the distance to the next. */
  int32_t offset, stride;
  /* Time step t lies in slot ⌊t/every⌋ mod slots. */
  int32_t slots, every, elements;
  int32_t rank, extent[MAX_RANK];
  /* The number of elements; the last extent (1 of a scalar); and how many rows of so many channels there are. */
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

/* What an operand that is there says. */
static inline int32_t buffer_of(int32_t operand) { return operand >> 13; }
static inline int32_t accumulates(int32_t operand) { return operand >> 12 & 1; }
static inline int32_t lag_of(int32_t operand) { return operand & 4095; }

static inline const Buffer *buffers_of(const Program *program) { return (const Buffer *)(program + 1); }
