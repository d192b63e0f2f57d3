/*
 * Events: the elements of an activation that are not 0. All maps, in every direction, are sums of rows of a matrix over events,
 *
 *     y += Σ_e value_e · rows[index_e]
 *
 * so a spike costs the additions of its row, and a silent neuron costs nothing. It holds of linear maps and convolutions (rows of
 * weights, events of the input), of their input gradients (rows of transposed weights, events of ∂y) and of their weight gradients
 * (rows of ∂y, events of one input over samples or pixels). Where every element is an event this costs about what a dense product
 * costs: one load of a row a vector, as against one load shared by a few.
 */
#pragma once
#include "kernel.h"

typedef struct {
  uint32_t *index;
  /* Null for spikes, whose value is 1. */
  float *value;
} Events;

/* Vectors of a row that are summed at a time, in registers. */
enum { STRIP_VECTORS = 8, STRIP = STRIP_VECTORS * LANES };

/* Entries that `collect` may write behind the last event. */
enum { SLACK = 16 };

/* How products are added: rounded before (the forward direction: the same bits on every machine), or fused where there is FMA. */
enum { ROUNDED, FUSED };

INLINE size_t event_bytes(int64_t count, int spikes) { return align64((spikes ? 4 : 8) * (size_t)(count + SLACK)); }

/* Room for `count` events in memory of `event_bytes`. */
INLINE Events events_in(uint8_t *memory, int64_t count, int spikes) {
  return (Events){(uint32_t *)memory, spikes ? 0 : (float *)memory + count + SLACK};
}

INLINE Events from_event(Events e, int64_t first) { return (Events){e.index + first, e.value ? e.value + first : 0}; }

#if defined(__FMA__) && VECTOR_BYTES == 64
INLINE vf multiply_add(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
#elif defined(__FMA__) && VECTOR_BYTES == 32
INLINE vf multiply_add(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
#elif defined(__aarch64__)
INLINE vf multiply_add(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
#else
INLINE vf multiply_add(vf a, vf b, vf c) { return a * b + c; }
#endif

enum { SPIKE, PRODUCT, FUSED_PRODUCT };

/* sum + value·x */
INLINE vf plus(int kind, vf sum, vf value, vf x) {
  if (kind == SPIKE) return sum + x;
  return kind == PRODUCT ? (vf)(sum + value * x) : multiply_add(value, x, sum);
}

INLINE vf value_of(int kind, Events e, int32_t i) { return kind == SPIKE ? splat(1) : splat(e.value[i]); }

/* Writes the events among elements first … first + count − 1 of an operand, with indices from `base` on; gives their number. */
int32_t NAME(collect)(const Call *call, int i, int32_t first, int32_t count, uint32_t base, Events to);
#define collect NAME(collect)

/* y[0 … width − 1] += Σ_e value_e · rows[(index_e − skip)·stride …], in the order of the events. */
void NAME(add_rows)(int rounding, float *y, int32_t width, const float *rows, size_t stride, uint32_t skip, Events events, int32_t count);
#define add_rows NAME(add_rows)
