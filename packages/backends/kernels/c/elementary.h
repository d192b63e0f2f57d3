/*
 * Elementary functions that do not depend on a library, so that every machine computes the same bits. Vector functions are in float32,
 * accurate to a few units in the last place; scalar functions are in float64.
 */
#pragma once
#include "simd.h"

/* eˣ = 2ⁿ·eʳ with |r| ≤ ln 2 / 2. 2ⁿ is applied as two factors, for subnormal results. NaN is preserved. */
INLINE vf exp_lanes(vf x) {
  const float shift = 12582912.0f; /* 1.5·2²³: adding it rounds to an integer */
  x = choose((vi)(x > 89.0f), splat(89.0f), x);
  x = choose((vi)(x < -104.0f), splat(-104.0f), x);
  const vf shifted = x * 1.44269504f + shift;
  const vf n = shifted - shift;
  const vf r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  vf p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const vf e = p * (r * r) + r + 1.0f;
  const vi whole = (vi)shifted - 0x4b400000;
  const vi half = whole >> 1;
  return e * (vf)((half + 127) << 23) * (vf)((whole - half + 127) << 23);
}

/* σ(x) = 1/(1 + e⁻ˣ) */
INLINE vf sigmoid_lanes(vf x) { return 1.0f / (1.0f + exp_lanes(-x)); }

/* tanh(x) = (1 − e⁻²|x|)/(1 + e⁻²|x|) with the sign of x; its series near 0, where this formula loses digits. */
INLINE vf tanh_lanes(vf x) {
  const vf a = magnitude(x), e = exp_lanes(a * -2.0f), square = x * x;
  vf p = splat(-1.7014e-2f);
  p = p * square + 5.3968e-2f;
  p = p * square - 0.13333333f;
  p = p * square + 0.33333333f;
  const vf far = (vf)((vi)((1.0f - e) / (1.0f + e)) | ((vi)x & (int32_t)0x80000000));
  return choose((vi)(a < 0.25f), x - x * square * p, far);
}

/* ln x: x = 2ⁿ·m with m in [√½, √2), ln m by a polynomial (Moshier's Cephes). −∞ for 0, NaN for negative x. */
INLINE vf log_lanes(vf x) {
  const vi subnormal = (vi)(x < 1.17549435e-38f);
  const vf scaled = choose(subnormal, x * 8388608.0f, x);
  vi n = ((vi)scaled >> 23) - 126 - (subnormal & 23);
  vf m = (vf)(((vi)scaled & 0x007fffff) | 0x3f000000);
  const vi low = (vi)(m < 0.707106781186547524f);
  n += low;
  m = choose(low, m + m, m) - 1.0f;
  const vf z = m * m, k = __builtin_convertvector(n, vf);
  vf p = splat(7.0376836292e-2f);
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const vf y = m * z * p + k * -2.12194440e-4f - z * 0.5f;
  const vf result = m + y + k * 0.693359375f;
  const vf special = choose((vi)(x == 0.0f), splat(-__builtin_inff()), choose((vi)(x < 0.0f), splat(__builtin_nanf("")), x));
  return choose((vi)(x > 0.0f) & (vi)(x < __builtin_inff()), result, special);
}

/* atan(x), with the argument reduced below tan(π/8) (Moshier's Cephes). */
INLINE vf atan_lanes(vf x) {
  const vi sign = (vi)x & (int32_t)0x80000000;
  const vf a = magnitude(x);
  const vi steep = (vi)(a > 2.414213562373095f);
  const vi middle = (vi)(a > 0.4142135623730950f) & ~steep;
  const vf base = only(steep, splat(1.5707963267948966f)) + only(middle, splat(0.7853981633974483f));
  const vf z = choose(steep, -1.0f / a, choose(middle, (a - 1.0f) / (a + 1.0f), a));
  const vf s = z * z;
  vf p = splat(8.05374449538e-2f);
  p = p * s - 1.38776856032e-1f;
  p = p * s + 1.99777106478e-1f;
  p = p * s - 3.33329491539e-1f;
  return (vf)((vi)(base + (p * s * z + z)) | sign);
}

static const double inverse_factorials[] = {
  1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800,
  1.0 / 479001600, 1.0 / 6227020800,
};

/* eˣ: Taylor series Σ rᵏ/k! of a remainder of at most ln 2 / 2. */
INLINE double exp_scalar(double x) {
  if (x != x) return x;
  if (x > 709.7) return __builtin_inf();
  if (x < -745.0) return 0;
  const double shift = 6755399441055744.0; /* 1.5·2⁵² */
  const double n = (x * 1.4426950408889634 + shift) - shift;
  const double r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
  double sum = inverse_factorials[13];
  for (int k = 12; k >= 0; k--) sum = sum * r + inverse_factorials[k];
  const int32_t whole = (int32_t)n, half = whole / 2;
  union {
    uint64_t bits;
    double value;
  } a = {.bits = (uint64_t)(half + 1023) << 52}, b = {.bits = (uint64_t)(whole - half + 1023) << 52};
  return sum * a.value * b.value;
}

typedef double vd __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
typedef int64_t vl __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

/* Replaces each of `count` numbers by eˣ, bit-identical to exp_scalar. */
INLINE void exp_scalars(double *x, int32_t count) {
  const double shift = 6755399441055744.0;
  int32_t i = 0;
  /* Vectors of two are not worth their code size. */
  for (; VECTOR_BYTES > 16 && i + LANES / 2 <= count; i += LANES / 2) {
    const vd v = *(vd *)(x + i);
    const vl ordinary = (vl)(v > -700.0) & (vl)(v < 700.0);
    int64_t all = -1;
    for (int k = 0; k < LANES / 2; k++) all &= ordinary[k];
    if (!all) {
      for (int k = 0; k < LANES / 2; k++) x[i + k] = exp_scalar(x[i + k]);
      continue;
    }
    const vd shifted = v * 1.4426950408889634 + shift, n = shifted - shift;
    const vd r = (v - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    vd sum = inverse_factorials[13] - (vd){};
    for (int k = 12; k >= 0; k--) sum = sum * r + inverse_factorials[k];
    *(vd *)(x + i) = sum * (vd)(((vl)shifted + 1023) << 52);
  }
  for (; i < count; i++) x[i] = exp_scalar(x[i]);
}

/* ln x of a normal positive number: x = 2ⁿ·m, ln m = 2·artanh((m − 1)/(m + 1)). */
INLINE double log_scalar(double x) {
  if (!(x > 0) || x > 1.7976931348623157e308) return x;
  union {
    uint64_t bits;
    double value;
  } m = {.value = x};
  int32_t n = (int32_t)(m.bits >> 52) - 1023;
  m.bits = (m.bits & 0xfffffffffffffull) | 0x3ff0000000000000ull;
  if (m.value > 1.4142135623730951) m.value /= 2, n++;
  const double s = (m.value - 1) / (m.value + 1), square = s * s;
  double sum = 0;
  for (int k = 23; k > 0; k -= 2) sum = sum * square + 1.0 / k;
  return 2 * s * sum + n * 0.6931471805599453;
}
