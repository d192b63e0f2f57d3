/* A membrane that never fires, and the decay of neurons that learn it. */
#include "elementary.h"
#include "kernel.h"

/* y = v = λ·v₋₁ + x; the membranes may be the same memory. */
static void readout_block(const Call *call, int32_t first, int32_t count) {
  float x_buffer[BLOCK], v[BLOCK];
  const float *x = values(call, 0, first, count, x_buffer), *before = floats(call, 1) + first, decay = number(call, 0);
  for (int32_t i = 0; i < count; i++) v[i] = decay * before[i] + x[i];
  __builtin_memcpy(floats(call, 2) + first, v, 4 * (size_t)count);
  __builtin_memcpy(floats(call, 3) + first, v, 4 * (size_t)count);
}
CHECK(readout_forward) { return same_size(call, 0, 1) && same_size(call, 0, 2) && same_size(call, 0, 3); }
KERNEL(readout_forward) { each_block(call, shape(call, 2)->size, readout_block); }

/* ∂x += ∂y + ∂v,  ∂v₋₁ = λ·(∂y + ∂v) */
enum { DY, CARRY, DX };
static void readout_backward_block(const Call *call, int32_t first, int32_t count) {
  float sum[BLOCK] = {0};
  const float decay = number(call, 0);
  if (given(call, DY)) __builtin_memcpy(sum, floats(call, DY) + first, 4 * (size_t)count);
  if (given(call, CARRY)) {
    float *carry = floats(call, CARRY) + first;
    for (int32_t i = 0; i < count; i++) sum[i] += carry[i];
    for (int32_t i = 0; i < count; i++) carry[i] = decay * sum[i];
  }
  give(call, DX, first, count, sum);
}
CHECK(readout_backward) { return same_size(call, DX, DY) && same_size(call, DX, CARRY); }
KERNEL(readout_backward) { each_block(call, shape(call, DX)->size, readout_backward_block); }

/* λ = 1/(1 + eʷ) */
CHECK(decay_forward) { return has_size(call, 0, 1) && has_size(call, 1, 1); }
KERNEL(decay_forward) { *floats(call, 1) = (float)(1 / (1 + exp_scalar(*floats(call, 0)))); }

/* ∂w −= λ·(1 − λ)·∂λ */
CHECK(decay_backward) { return has_size(call, 0, 1) && has_size(call, 1, 1) && has_size(call, 2, 1); }
KERNEL(decay_backward) {
  const double decay = *floats(call, 0);
  const float gradient = (float)-(decay * (1 - decay) * *floats(call, 1));
  give(call, 2, 0, 1, &gradient);
}
