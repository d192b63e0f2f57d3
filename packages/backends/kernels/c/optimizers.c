/* Updates of parameters: see core's optimizers/. In one pass over memory each. */
#include "kernel.h"

/* m ← μ·m + (∂w + δ·w),  w ← w − rate·m */
enum { PARAMETER, GRADIENT, VELOCITY, SGD_RATE };
static void sgd_block(const Call *call, int32_t first, int32_t count) {
  float *restrict w = floats(call, PARAMETER) + first, *restrict m = floats(call, VELOCITY) + first;
  const float *restrict g = floats(call, GRADIENT) + first;
  const float momentum = number(call, 0), decay = number(call, 1), rate = floats(call, SGD_RATE)[0];
  for (int32_t i = 0; i < count; i++) {
    m[i] = momentum * m[i] + (g[i] + decay * w[i]);
    w[i] -= rate * m[i];
  }
}
CHECK(sgd) {
  return same_size(call, PARAMETER, GRADIENT) && same_size(call, PARAMETER, VELOCITY) && shape(call, SGD_RATE)->size >= 1;
}
KERNEL(sgd) { each_block(call, shape(call, PARAMETER)->size, sgd_block); }

/*
 * g = ∂w (+ δ·w for Adam);   for AdamW first w ← w·(1 − rate·δ)
 * m ← β₁·m + (1 − β₁)·g,  v ← β₂·v + (1 − β₂)·g²
 * w ← w − rate·(m/(1 − β₁ⁿ)) / (√(v/(1 − β₂ⁿ)) + ε)
 */
enum { FIRST = 2, SECOND, RATES };
enum { BETA1, REST1, BETA2, REST2, EPSILON, DECAY, DECOUPLED };
static void adam_block(const Call *call, int32_t first, int32_t count) {
  float *restrict w = floats(call, PARAMETER) + first, *restrict m = floats(call, FIRST) + first, *restrict v = floats(call, SECOND) + first;
  const float *restrict g = floats(call, GRADIENT) + first, *rates = floats(call, RATES);
  const float beta1 = number(call, BETA1), rest1 = number(call, REST1), beta2 = number(call, BETA2), rest2 = number(call, REST2);
  const float epsilon = number(call, EPSILON), rate = rates[0];
  const float by1 = 1 / rates[1], by2 = 1 / rates[2];
  const int decoupled = call->attributes[DECOUPLED];
  const float shrink = decoupled ? 1 - rate * number(call, DECAY) : 1, decay = decoupled ? 0 : number(call, DECAY);
  for (int32_t i = 0; i < count; i++) {
    const float was = w[i] * shrink, gradient = g[i] + decay * was;
    m[i] = beta1 * m[i] + rest1 * gradient;
    v[i] = beta2 * v[i] + rest2 * gradient * gradient;
    w[i] = was - rate * (m[i] * by1) / (__builtin_sqrtf(v[i] * by2) + epsilon);
  }
}
CHECK(adam) {
  return same_size(call, PARAMETER, GRADIENT) && same_size(call, PARAMETER, FIRST) && same_size(call, PARAMETER, SECOND) &&
         shape(call, RATES)->size >= 3;
}
KERNEL(adam) { each_block(call, shape(call, PARAMETER)->size, adam_block); }
