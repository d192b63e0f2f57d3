/*
 * u = λ·v + x,  s = [u ≥ threshold],  v = reset(u₋₁, s₋₁): see core's neurons/neuron.ts. The spikes are written as bits, in the
 * one pass over memory.
 */
#include "neuron.h"

enum { X, BEFORE, LEARNT_DECAY, MEMBRANE, FIRED };

/* 32 neurons; gives their spikes as bits. Smooth ones go to `fired`. The membranes may be the same memory. */
INLINE uint32_t step(Neuron n, const float *x, const float *before, float *membrane, float *fired) {
  uint32_t bits = 0;
  for (int i = 0; i < 32; i += LANES) {
    const vf u = n.decay * settle(n, load(before + i)) + load(x + i);
    store(membrane + i, u);
    if (fired) store(fired + i, spike(n, u));
    else bits |= bits_of((vi)(u >= n.fire_at)) << i;
  }
  return bits;
}

/* Neurons that are fewer than 32. */
INLINE uint32_t last_step(Neuron n, int32_t count, const float *x, const float *before, float *membrane, float *fired) {
  float in[32] = {0}, was[32] = {0}, is[32], out[32];
  __builtin_memcpy(in, x, 4 * (size_t)count);
  __builtin_memcpy(was, before, 4 * (size_t)count);
  const uint32_t bits = step(n, in, was, is, fired ? out : 0);
  __builtin_memcpy(membrane, is, 4 * (size_t)count);
  if (fired) __builtin_memcpy(fired, out, 4 * (size_t)count);
  return bits & (uint32_t)((1ull << count) - 1);
}

INLINE void rows(const Call *call, Neuron n, int32_t first, int32_t count) {
  const int32_t channels = shape(call, FIRED)->channels, per_row = words_of(channels);
  float *fired = is_spikes(call, FIRED) ? 0 : floats(call, FIRED);
  for (int32_t row = first; row < first + count; row++)
    for (int32_t c = 0; c < channels; c += 32) {
      float buffer[32];
      const int32_t i = row * channels + c, left = smaller(32, channels - c);
      const float *x = values(call, X, i, left, buffer), *before = floats(call, BEFORE) + i;
      float *membrane = floats(call, MEMBRANE) + i, *out = fired ? fired + i : 0;
      const uint32_t bits = left == 32 ? step(n, x, before, membrane, out) : last_step(n, left, x, before, membrane, out);
      if (!fired) words(call, FIRED)[(size_t)row * per_row + (c >> 5)] = bits;
    }
}

/* With the common resets known to the compiler. */
void neuron_rows(const void *context, int32_t first, int32_t count) {
  const Call *call = context;
  Neuron n = neuron_of(call, LEARNT_DECAY);
  if (n.smooth || n.reset == NONE) return rows(call, n, first, count);
  n = (Neuron){n.reset, 0, 0, n.decay, n.threshold, n.fire_at, 0};
  if (n.reset == SOFT) n.reset = SOFT, rows(call, n, first, count);
  else n.reset = HARD, rows(call, n, first, count);
}

static int32_t rows_per_piece(const Call *call) { return larger(1, PIECE / larger(1, shape(call, FIRED)->channels)); }

static void piece_of_rows(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const int32_t first = piece * rows_per_piece(call);
  neuron_rows(call, first, smaller(rows_per_piece(call), shape(call, FIRED)->rows - first));
}

CHECK(neuron_forward) {
  return neuron_fits(call) && same_size(call, X, BEFORE) && same_size(call, X, MEMBRANE) && same_size(call, X, FIRED) &&
         has_size(call, LEARNT_DECAY, 1) && is_spikes(call, FIRED) != call->attributes[SMOOTH];
}
KERNEL(neuron_forward) {
  parallel(call->run, ceiling(shape(call, FIRED)->rows, rows_per_piece(call)), piece_of_rows, (void *)call);
}
