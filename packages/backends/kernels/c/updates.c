/*
 * Fast paths for the updates of SGD and Adam: in place, in one pass over memory, bit-identical to their expressions; see core's
 * optimizers/.
 */
#include "kernel.h"

enum { GRADIENT, WEIGHT, STATES, NUMBERS };

INLINE int fits(const Call *call, int32_t states, int32_t numbers) {
  return same_size(call, GRADIENT, WEIGHT) && has_size(call, STATES, (int64_t)states * shape(call, WEIGHT)->size) &&
         shape(call, NUMBERS)->size >= numbers;
}

/* m ← m·μ + ∂w,  w ← w − rate·m */
static void sgd_block(const Call *call, int32_t first, int32_t count) {
  float *restrict w = floats(call, WEIGHT) + first, *restrict m = floats(call, STATES) + first;
  const float *restrict g = floats(call, GRADIENT) + first;
  const float momentum = number(call, 0), rate = floats(call, NUMBERS)[0];
  for (int32_t i = 0; i < count; i++) {
    m[i] = m[i] * momentum + g[i];
    w[i] -= rate * m[i];
  }
}
CHECK(sgd) { return fits(call, 1, 1); }
KERNEL(sgd) { each_block(call, shape(call, WEIGHT)->size, sgd_block); }

/* m ← m·β₁ + ∂w·(1 − β₁),  v ← v·β₂ + ∂w·(1 − β₂)·∂w,  w ← w·shrink − size·m/(√v·scale + ε); size, scale, shrink are numbers 1, 2, 3. */
enum { BETA1, REST1, BETA2, REST2, EPSILON, SHRINKS };
static void adam_block(const Call *call, int32_t first, int32_t count) {
  float *restrict w = floats(call, WEIGHT) + first, *restrict m = floats(call, STATES) + first;
  float *restrict v = floats(call, STATES) + shape(call, WEIGHT)->size + first;
  const float *restrict g = floats(call, GRADIENT) + first, *numbers = floats(call, NUMBERS);
  const float beta1 = number(call, BETA1), rest1 = number(call, REST1), beta2 = number(call, BETA2), rest2 = number(call, REST2);
  const float epsilon = number(call, EPSILON), size = numbers[1], scale = numbers[2], shrink = call->attributes[SHRINKS] ? numbers[3] : 1;
  for (int32_t i = 0; i < count; i++) {
    m[i] = m[i] * beta1 + g[i] * rest1;
    v[i] = v[i] * beta2 + g[i] * rest2 * g[i];
    w[i] = w[i] * shrink - size * m[i] / (__builtin_sqrtf(v[i]) * scale + epsilon);
  }
}
CHECK(adam) { return fits(call, 2, 4); }
KERNEL(adam) { each_block(call, shape(call, WEIGHT)->size, adam_block); }
