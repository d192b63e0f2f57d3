/*
 * ∂u = (∂s + ∂v·∂v/∂s)·g(u − threshold) + ∂v·∂v/∂u,  ∂x += ∂u,  ∂v₋₁ = λ·∂u,  ∂λ += Σ ∂u·v₋₁: see core's neurons/neuron.ts.
 */
#include "neuron.h"
#include "pooling.h"

enum { MEMBRANE, DY, CARRY, BEFORE, LEARNT_DECAY, DX, DDECAY };

/* ∂u of LANES neurons, and what is carried to the step before. */
INLINE vf gradient(Neuron n, int reset_gradient, vf u, vf dy, int carries, vf arriving) {
  const vf g = surrogate_gradient(n.surrogate, n.parameter, u - n.threshold);
  vf du = dy * g;
  if (!carries) return du;
  if (reset_gradient && n.reset == SOFT) du += arriving * -n.threshold * g;
  if (reset_gradient && n.reset == HARD) du += arriving * -u * g;
  if (n.reset == HARD) arriving *= 1.0f - spike(n, u);
  return du + arriving;
}

static const float zeros[BLOCK];

/* `du` of at most BLOCK neurons, whole vectors; `carry` becomes λ·∂u. */
INLINE void block_of(Neuron n, int reset_gradient, int32_t count, const float *u, const float *dy, float *carry, float *du) {
  int32_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    const vf d = gradient(n, reset_gradient, load(u + i), load(dy + i), carry != 0, carry ? load(carry + i) : splat(0));
    store(du + i, d);
    if (carry) store(carry + i, n.decay * d);
  }
  if (i == count) return;
  const size_t left = 4 * (size_t)(count - i);
  float last[4][LANES] = {{0}};
  __builtin_memcpy(last[0], u + i, left);
  __builtin_memcpy(last[1], dy + i, left);
  if (carry) __builtin_memcpy(last[2], carry + i, left);
  const vf d = gradient(n, reset_gradient, load(last[0]), load(last[1]), carry != 0, load(last[2]));
  store(last[3], d);
  __builtin_memcpy(du + i, last[3], left);
  store(last[2], n.decay * d);
  if (carry) __builtin_memcpy(carry + i, last[2], left);
}

/* The same with the surrogate and the reset known to the compiler. */
static void any_block(Neuron n, int reset_gradient, int32_t count, const float *u, const float *dy, float *carry, float *du) {
  if (n.smooth) return block_of(n, reset_gradient, count, u, dy, carry, du);
  n.smooth = 0;
#define KNOWN(S, R)                                 \
  case S * RESETS + R:                              \
    n.surrogate = S, n.reset = R;                   \
    if (carry) return block_of(n, reset_gradient, count, u, dy, carry, du); \
    return block_of(n, 0, count, u, dy, 0, du);
#define KNOWN_SURROGATE(S) KNOWN(S, SOFT) KNOWN(S, HARD) KNOWN(S, NONE)
  switch (n.surrogate * RESETS + n.reset) {
    KNOWN_SURROGATE(TRIANGLE)
    KNOWN_SURROGATE(RECTANGLE)
    KNOWN_SURROGATE(SIGMOID)
    KNOWN_SURROGATE(ATAN)
    KNOWN_SURROGATE(FAST_SIGMOID)
  }
}

/* Whether the output gradient is that of an average pool behind the neurons, whose windows lie side by side. */
INLINE int is_pooled(const Call *call) { return given(call, DY) && call->attributes[POOL] != 0; }

static int output_gradient_fits(const Call *call) {
  if (!is_pooled(call)) return same_size(call, MEMBRANE, DY);
  const int32_t size = call->attributes[POOL], *in = shape(call, MEMBRANE)->extent, *out = shape(call, DY)->extent;
  return size > 0 && shape(call, MEMBRANE)->rank == 4 && shape(call, DY)->rank == 4 && in[0] == out[0] && in[3] == out[3] &&
         in[1] / size == out[1] && in[2] / size == out[2];
}

static void neuron_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const Neuron n = neuron_of(call, LEARNT_DECAY);
  const int32_t begin = piece * SUM_PIECE, end = begin + smaller(SUM_PIECE, shape(call, MEMBRANE)->size - begin);
  double sum = 0;
  for (int32_t first = begin; first < end; first += BLOCK) {
    const int32_t count = smaller(BLOCK, end - first);
    float arrived[BLOCK];
    const float *dy = !given(call, DY) ? zeros : is_pooled(call) ? arrived : floats(call, DY) + first;
    if (dy == arrived) unpool(floats(call, DY), shape(call, DY), shape(call, MEMBRANE), call->attributes[POOL], first, count, arrived);
    float *carry = given(call, CARRY) ? floats(call, CARRY) + first : 0;
    float du[BLOCK], v[BLOCK];
    /* Where the gradient is set rather than added to, it needs no room of its own. */
    float *to = given(call, DX) && !call->operands[DX].accumulate ? floats(call, DX) + first : du;
    any_block(n, call->attributes[RESET_GRADIENT], count, floats(call, MEMBRANE) + first, dy, carry, to);
    if (to == du && given(call, DX)) give(call, DX, first, count, du);
    if (!given(call, BEFORE) || !given(call, DDECAY)) continue;
    const float *before = floats(call, BEFORE) + first;
    for (int32_t i = 0; i < count; i += LANES) {
      float last[LANES] = {0};
      __builtin_memcpy(last, before + i, 4 * (size_t)smaller(LANES, count - i));
      store(v + i, settle(n, load(last)));
    }
    sum += dot(to, v, count);
  }
  if (given(call, DDECAY)) ((double *)call->run->scratch)[piece] = sum;
}

CHECK(neuron_backward) {
  return neuron_fits(call) && output_gradient_fits(call) && same_size(call, MEMBRANE, CARRY) && same_size(call, MEMBRANE, BEFORE) &&
         same_size(call, MEMBRANE, DX) && has_size(call, LEARNT_DECAY, 1) && has_size(call, DDECAY, 1);
}
SCRATCH(neuron_backward) { return given(call, DDECAY) ? sizeof(double) * (size_t)sum_pieces(shape(call, MEMBRANE)->size) : 0; }
KERNEL(neuron_backward) {
  const int32_t pieces = sum_pieces(shape(call, MEMBRANE)->size);
  parallel(call->run, pieces, neuron_piece, (void *)call);
  if (!given(call, DDECAY)) return;
  double sum = 0;
  for (int32_t i = 0; i < pieces; i++) sum += ((double *)call->run->scratch)[i];
  const float total = (float)sum;
  give(call, DDECAY, 0, 1, &total);
}
