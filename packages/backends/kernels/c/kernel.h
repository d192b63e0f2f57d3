/*
 * A kernel receives operands and attributes, and runs on all threads. It consists of up to four functions, which a row of kernels.def
 * names: KERNEL does the work, CHECK says beforehand whether shapes and attributes are consistent, SCRATCH returns the bytes of scratch
 * memory that the work needs, KEPT the bytes that it keeps from one time step to the next. Core's kernel of the same name defines the
 * semantics in plain loops.
 */
#pragma once
#include "simd.h"
#include "program.h"
#include "runtime.h"

/* The same sources are compiled for several vector widths into one library: VARIANT distinguishes their names. */
#ifndef VARIANT
#define VARIANT only
#endif
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(name) JOIN(name, VARIANT)

typedef struct {
  /* Null if the operand is absent, and while a call is checked or its scratch memory is measured. */
  void *data;
  /* Null if the operand is absent. */
  const Buffer *buffer;
  /* For a gradient: add to the present value. */
  int32_t accumulate;
} Operand;

/* Data that a kernel has derived from its operand KEPT_OPERAND, a weight, for all time steps of a micro-batch. */
typedef struct {
  float *values;
  /* Whether it has been computed since the micro-batch began. */
  int32_t is_made;
} Kept;

enum { KEPT_OPERAND = 1 };

typedef struct {
  const Run *run;
  const int32_t *attributes;
  /* Words of the program from the attributes on; set only while a call is checked. */
  int32_t words;
  /* Null if nothing is kept. */
  Kept *kept;
  /* Null, or the next kernel, which a producer calls for rows as they are completed and still in the cache. */
  const Epilogue *then;
  Operand operands[MAX_OPERANDS];
} Call;

#define KERNEL(name) void NAME(kernel_##name)(const Call *call)
/* Required operands are present, have the element type that kernels.def states, and consistent sizes; CHECK verifies the rest. */
#define CHECK(name) int NAME(check_##name)(const Call *call)
#define SCRATCH(name) size_t NAME(scratch_##name)(const Call *call)
#define KEPT(name) size_t NAME(kept_##name)(const Call *call)

INLINE const Buffer *shape(const Call *call, int i) { return call->operands[i].buffer; }
INLINE int32_t extent(const Call *call, int i, int axis) { return call->operands[i].buffer->extent[axis]; }
INLINE float *floats(const Call *call, int i) { return call->operands[i].data; }
INLINE uint32_t *words(const Call *call, int i) { return call->operands[i].data; }
INLINE int given(const Call *call, int i) { return call->operands[i].buffer != 0; }
INLINE int is_spikes(const Call *call, int i) { return call->operands[i].buffer->elements == SPIKES; }
INLINE float number(const Call *call, int i) {
  union {
    int32_t bits;
    float value;
  } a = {.bits = call->attributes[i]};
  return a.value;
}

/* Images [batch, height, width, channels], or sequences [batch, width, channels], which are images of one row. */
typedef struct {
  int32_t batch, height, width, channels;
} Image;
INLINE Image image_of(const Buffer *b) {
  const int32_t *e = b->extent;
  return b->rank == 3 ? (Image){e[0], 1, e[1], e[2]} : (Image){e[0], e[1], e[2], e[3]};
}

/* For checks; an absent operand passes. */
INLINE int has_size(const Call *call, int i, int64_t size) { return !given(call, i) || shape(call, i)->size == size; }
INLINE int same_size(const Call *call, int i, int j) { return !given(call, i) || has_size(call, j, shape(call, i)->size); }

/* Reports that rows first … first + count − 1 of the result are written and will not be read again. From any thread; once for each row. */
INLINE void finish(const Call *call, int32_t first, int32_t count) {
  if (call->then) call->then->rows(call->then->context, first, count);
}

INLINE int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }
INLINE int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }
INLINE int32_t ceiling(int32_t a, int32_t b) { return (int32_t)(((int64_t)a + b - 1) / b); }

/* Elements processed at a time: they stay in the first-level cache. */
enum { BLOCK = 1024, PIECE = 16 * BLOCK };

/* Unpacks spikes first … first + count − 1 of an operand to 0 and 1. */
void NAME(unpack)(const Call *call, int i, int32_t first, int32_t count, float *to);
#define unpack NAME(unpack)

/* Elements first … first + count − 1 of an operand as floats: in place, or spikes unpacked into `buffer`. */
INLINE const float *values(const Call *call, int i, int32_t first, int32_t count, float *buffer) {
  if (!is_spikes(call, i)) return floats(call, i) + first;
  unpack(call, i, first, count, buffer);
  return buffer;
}

/* Calls `block` for all elements, at most BLOCK at a time; no block crosses a piece boundary. */
typedef void (*Block)(const Call *call, int32_t first, int32_t count);
void NAME(each_block)(const Call *call, int32_t size, Block block);
#define each_block NAME(each_block)

/* Whether `count` numbers are all finite. */
int NAME(are_finite)(const Run *run, const float *x, int32_t count);
#define are_finite NAME(are_finite)

/* Adds `count` numbers to a gradient, or overwrites it with them. */
INLINE void write_gradient(const Call *call, int i, int32_t first, int32_t count, const float *restrict from) {
  float *restrict to = floats(call, i) + first;
  if (call->operands[i].accumulate)
    for (int32_t k = 0; k < count; k++) to[k] += from[k];
  else
    __builtin_memcpy(to, from, 4 * (size_t)count);
}

/* Sums over all elements: one for each piece in scratch memory, then added in order. */
enum { SUM_PIECE = PIECE };
INLINE int32_t sum_pieces(int32_t size) { return ceiling(size, SUM_PIECE); }

/* Σ a·b in the same order at every vector width: sixteen interleaved sums, then their sum. */
INLINE double dot(const float *a, const float *b, int32_t count) {
  float sums[16] = {0};
  int32_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (int k = 0; k < 16; k++) sums[k] += a[i + k] * b[i + k];
  for (int k = 0; i < count; i++, k++) sums[k] += a[i] * b[i];
  double sum = 0;
  for (int k = 0; k < 16; k++) sum += sums[k];
  return sum;
}
