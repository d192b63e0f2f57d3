/* Surrogates and resets: core's surrogates/ and neurons/reset.ts, for vectors of floats. */
#pragma once
#include "elementary.h"
#include "kernel.h"

enum { TRIANGLE, RECTANGLE, SIGMOID, ATAN, FAST_SIGMOID, SURROGATES };
enum { SOFT, HARD, NONE, RESETS };

/*
 * Attributes of both directions, and two of the backward one's own. `fire_at` is the least float32 that reaches the threshold;
 * `parameter` is α or the width; a pool of 0 is none.
 */
enum { RESET, SURROGATE, SMOOTH, DECAY, THRESHOLD, FIRE_AT, PARAMETER, RESET_GRADIENT, POOL };

typedef struct {
  int reset, surrogate, smooth;
  float decay, threshold, fire_at, parameter;
} Neuron;

INLINE Neuron neuron_of(const Call *call, int decay) {
  const int32_t *a = call->attributes;
  return (Neuron){a[RESET], a[SURROGATE], a[SMOOTH], given(call, decay) ? *floats(call, decay) : number(call, DECAY),
                  number(call, THRESHOLD), number(call, FIRE_AT), number(call, PARAMETER)};
}

/* g(z) */
INLINE vf surrogate_gradient(int surrogate, float p, vf z) {
  const vf a = magnitude(z);
  switch (surrogate) {
    case TRIANGLE: {
      const vf g = p - p * p * a;
      return only(~(vi)(g < 0.0f), g);
    }
    case RECTANGLE: return only((vi)(a <= p / 2), splat(1 / p));
    case SIGMOID: {
      const vf s = sigmoid_lanes(p * z);
      return p * s * (1.0f - s);
    }
    case ATAN: {
      const vf x = 1.5707963267948966f * p * z;
      return p / 2 / (1.0f + x * x);
    }
    default: {
      const vf x = 1.0f + p * a;
      return 1.0f / (x * x);
    }
  }
}

/* G(z) */
INLINE vf surrogate_primitive(int surrogate, float p, vf z) {
  switch (surrogate) {
    case TRIANGLE: {
      const vf b = magnitude(p * z), a = choose((vi)(b > 1.0f), splat(1), b), rise = a - a * a / 2.0f;
      return 0.5f + choose((vi)(z < 0.0f), -rise, rise);
    }
    case RECTANGLE: {
      const vf y = z / p + 0.5f;
      return choose((vi)(y > 1.0f), splat(1), only(~(vi)(y < 0.0f), y));
    }
    case SIGMOID: return sigmoid_lanes(p * z);
    case ATAN: return atan_lanes(1.5707963267948966f * p * z) / 3.14159265358979f + 0.5f;
    default: return 0.5f + z / (1.0f + p * magnitude(z));
  }
}

/* s: what fires at the potential u. A potential that is no number does not fire. */
INLINE vf spike(Neuron n, vf u) {
  return n.smooth ? surrogate_primitive(n.surrogate, n.parameter, u - n.threshold)
                  : only((vi)(u >= n.fire_at), splat(1));
}

/* v = reset(u, s) */
INLINE vf settle(Neuron n, vf u) {
  switch (n.reset) {
    case SOFT: return u - n.threshold * spike(n, u);
    case HARD: return u * (1.0f - spike(n, u));
    default: return u;
  }
}

/* Whether the attributes are within their ranges. */
INLINE int neuron_fits(const Call *call) {
  const int32_t *a = call->attributes;
  return a[RESET] >= 0 && a[RESET] < RESETS && a[SURROGATE] >= 0 && a[SURROGATE] < SURROGATES && (a[SMOOTH] == 0 || a[SMOOTH] == 1);
}

/* Runs neuron.forward, a `Call`, on rows of its spikes, all of whose inputs are there. */
void NAME(neuron_rows)(const void *call, int32_t first, int32_t count);
#define neuron_rows NAME(neuron_rows)
