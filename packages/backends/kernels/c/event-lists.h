/*
 * Events are the non-zero elements of an activation. All weight layers, forward and backward, are sums of matrix rows over events,
 *
 *     y += Σ_e value_e · rows[index_e]
 *
 * so a spike costs one addition of its row, and a silent neuron costs nothing. This covers linear maps and convolutions (rows of weights,
 * events of the input), their input gradients (rows of transposed weights, events of ∂y) and their weight gradients (rows of ∂y, events of
 * one input over samples or pixels). If every element is an event, this takes two to three times as long as a dense product, which loads a
 * row once for several sums: input gradients have a dense variant (dense.h, dense-windows.h).
 */
#pragma once
#include "kernel.h"

typedef struct {
  uint32_t *index;
  /* Null for spikes, whose value is 1. */
  float *value;
} Events;

/* Vectors of a row that are summed in registers at a time. */
enum { STRIP_VECTORS = 8, STRIP = STRIP_VECTORS * LANES };

/* Entries that `collect` may write beyond the last event. */
enum { SLACK = 16 };

/* Whether a product is rounded before it is added (forward: bit-identical on every machine) or fused where the machine has FMA. */
enum { ROUNDED, FUSED };

INLINE size_t event_bytes(int64_t count, int spikes) { return align64((spikes ? 4 : 8) * (size_t)(count + SLACK)); }

/* Room for `count` events in memory of `event_bytes`. */
INLINE Events events_in(uint8_t *memory, int64_t count, int spikes) {
  return (Events){(uint32_t *)memory, spikes ? 0 : (float *)memory + count + SLACK};
}

INLINE Events from_event(Events e, int64_t first) { return (Events){e.index + first, e.value ? e.value + first : 0}; }

enum { SPIKE, PRODUCT, FUSED_PRODUCT };

/* The kind of addition. Without FMA, FUSED is the same as ROUNDED, which saves a copy of the kernel. */
INLINE int kind_of(int spikes, int rounding) { return spikes ? SPIKE : FUSES && rounding == FUSED ? FUSED_PRODUCT : PRODUCT; }

/* sum + value·x */
INLINE vf plus(int kind, vf sum, vf value, vf x) {
  if (kind == SPIKE) return sum + x;
  return kind == PRODUCT ? (vf)(sum + value * x) : multiply_add(value, x, sum);
}

INLINE vf value_of(int kind, Events e, int32_t i) { return kind == SPIKE ? splat(1) : splat(e.value[i]); }

/* Bit i is set if the i-th of `count` elements, at most 64, is not 0. */
INLINE uint64_t nonzero_bits(const float *x, int32_t count) {
  uint64_t bits = 0;
  for (int32_t i = 0; i < count; i += LANES) bits |= (uint64_t)bits_of((vi)(load_up_to(x + i, count - i) != splat(0))) << i;
  return bits;
}

/* Event bits of channels first … first + count − 1 of a row of an operand; at most 64. */
INLINE uint64_t event_bits(const Call *call, int i, size_t row, int32_t first, int32_t count) {
  const int32_t channels = shape(call, i)->channels;
  if (!is_spikes(call, i)) return nonzero_bits(floats(call, i) + row * channels + first, count);
  const int32_t last = words_of(channels) - first / 32, shift = first % 32;
  const uint32_t *at = words(call, i) + row * words_of(channels) + first / 32;
  uint64_t bits = at[0] >> shift;
  if (last > 1) bits |= (uint64_t)at[1] << 32 >> shift;
  if (last > 2 && shift) bits |= (uint64_t)at[2] << (64 - shift);
  return count < 64 ? bits & ((1ull << count) - 1) : bits;
}

/* Writes the events of elements first … first + count − 1 of an operand, with indices that start at `base`; returns their number. */
int32_t NAME(collect)(const Call *call, int i, int32_t first, int32_t count, uint32_t base, Events to);
#define collect NAME(collect)

/* Sums `vectors` vectors of a row in registers; `vectors` is a compile-time constant. */
INLINE void add(int kind, int vectors, float *y, const float *rows, size_t stride, uint32_t skip, Events e, int32_t count) {
  vf sum[STRIP_VECTORS];
#pragma GCC unroll 8
  for (int v = 0; v < vectors; v++) sum[v] = load(y + v * LANES);
  for (int32_t i = 0; i < count; i++) {
    const float *row = rows + (size_t)(e.index[i] - skip) * stride;
    IN_REGISTER(row);
    const vf value = value_of(kind, e, i);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) sum[v] = plus(kind, sum[v], value, load(row + v * LANES));
  }
#pragma GCC unroll 8
  for (int v = 0; v < vectors; v++) store(y + v * LANES, sum[v]);
}

/* The rest of a row, less than a vector. */
INLINE void add_last(int kind, int32_t width, float *y, const float *rows, size_t stride, uint32_t skip, Events e, int32_t count) {
  vf sum = load_some(y, width);
  for (int32_t i = 0; i < count; i++) {
    const vf x = load_some(rows + (size_t)(e.index[i] - skip) * stride, width);
    sum = plus(kind, sum, value_of(kind, e, i), x);
  }
  store_some(y, width, sum);
}

INLINE void add_all(int kind, float *y, int32_t width, const float *rows, size_t stride, uint32_t skip, Events e, int32_t count) {
  int32_t o = 0;
  for (; o + 8 * LANES <= width; o += 8 * LANES) add(kind, 8, y + o, rows + o, stride, skip, e, count);
  if (o + 4 * LANES <= width) add(kind, 4, y + o, rows + o, stride, skip, e, count), o += 4 * LANES;
  if (o + 2 * LANES <= width) add(kind, 2, y + o, rows + o, stride, skip, e, count), o += 2 * LANES;
  if (o + LANES <= width) add(kind, 1, y + o, rows + o, stride, skip, e, count), o += LANES;
  if (o < width) add_last(kind, width - o, y + o, rows + o, stride, skip, e, count);
}

/* y[0 … width − 1] += Σ_e value_e · rows[(index_e − skip)·stride …], in the order of the events. */
void NAME(add_rows)(int rounding, float *y, int32_t width, const float *rows, size_t stride, uint32_t skip, Events events, int32_t count);
#define add_rows NAME(add_rows)
