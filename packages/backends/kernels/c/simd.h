/* SIMD operations beyond vector.h: selection by mask, fused multiply-add, conversion between masks and bits, partial loads and stores. */
#pragma once
#include "vector.h"

#ifdef __wasm__
#include <wasm_simd128.h>
#elif defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define BITS ((1ull << LANES) - 1)

/* a where the mask's lane is all ones, else b. */
INLINE vf choose(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
/* x where the mask's lane is all ones, else 0. */
INLINE vf only(vi mask, vf x) { return (vf)(mask & (vi)x); }
INLINE vf sqrt_lanes(vf x) {
#ifdef __wasm__
  return (vf)wasm_f32x4_sqrt((v128_t)x);
#elif VECTOR_BYTES == 64
  return (vf)_mm512_sqrt_ps((__m512)x);
#elif VECTOR_BYTES == 32
  return (vf)_mm256_sqrt_ps((__m256)x);
#elif defined(__x86_64__)
  return (vf)_mm_sqrt_ps((__m128)x);
#else
  return (vf)vsqrtq_f32((float32x4_t)x);
#endif
}
INLINE vf magnitude(vf x) { return (vf)((vi)x & 0x7fffffff); }

/* a·b + c: fused, with one rounding, if the machine has FMA; otherwise rounded twice. */
enum { FUSES =
#if defined(__aarch64__) || defined(__FMA__) && VECTOR_BYTES >= 32
         1
#else
         0
#endif
};
#if defined(__FMA__) && VECTOR_BYTES == 64
INLINE vf multiply_add(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
#elif defined(__FMA__) && VECTOR_BYTES == 32
INLINE vf multiply_add(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
#elif defined(__aarch64__)
INLINE vf multiply_add(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
#else
INLINE vf multiply_add(vf a, vf b, vf c) { return a * b + c; }
#endif

/* Bit i of the result is lane i of the mask. */
INLINE uint32_t bits_of(vi mask) {
#ifdef __wasm__
  return wasm_i32x4_bitmask((v128_t)mask);
#elif VECTOR_BYTES == 64
  return _mm512_movepi32_mask((__m512i)mask);
#elif VECTOR_BYTES == 32
  return (uint32_t)_mm256_movemask_ps((__m256)mask);
#elif defined(__x86_64__)
  return (uint32_t)_mm_movemask_ps((__m128)mask);
#elif defined(__aarch64__)
  const uint32x4_t weights = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32((uint32x4_t)mask, weights));
#else
  uint32_t bits = 0;
  for (int i = 0; i < LANES; i++) bits |= (mask[i] & 1u) << i;
  return bits;
#endif
}

/* Lane i is all ones where bit i is set. */
INLINE vi mask_of(uint32_t bits) {
  vi weights;
  for (int i = 0; i < LANES; i++) weights[i] = 1 << i;
  const vi spread = (vi){} + (int32_t)bits;
  return (vi)((spread & weights) == weights);
}

/* x + 1 in lanes whose bit is set, x in the others. */
INLINE vf add_ones(vf x, uint32_t bits) {
#if VECTOR_BYTES == 64
  return (vf)_mm512_mask_add_ps((__m512)x, (__mmask16)bits, (__m512)x, _mm512_set1_ps(1));
#else
  return x + only(mask_of(bits), splat(1));
#endif
}

/* The first `count` lanes, at least one and fewer than all. The others are 0, and their memory is not touched. */
INLINE vf load_some(const float *p, int32_t count) {
#ifdef __wasm__
  if (count == 1) return (vf)wasm_v128_load32_zero(p);
  const v128_t two = wasm_v128_load64_zero(p);
  return (vf)(count == 2 ? two : wasm_v128_load32_lane(p + 2, two, 2));
#elif VECTOR_BYTES == 64
  return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#else
  float lanes[LANES] = {0};
  for (int32_t i = 0; i < count; i++) lanes[i] = p[i];
  return load(lanes);
#endif
}
INLINE void store_some(float *p, int32_t count, vf x) {
#ifdef __wasm__
  if (count & 2) wasm_v128_store64_lane(p, (v128_t)x, 0);
  if (count == 3) wasm_v128_store32_lane(p + 2, (v128_t)x, 2);
  if (count == 1) wasm_v128_store32_lane(p, (v128_t)x, 0);
#elif VECTOR_BYTES == 64
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)x);
#else
  float lanes[LANES];
  store(lanes, x);
  for (int32_t i = 0; i < count; i++) p[i] = lanes[i];
#endif
}

/* The same for any number of lanes, including none and all. */
INLINE vf load_up_to(const float *p, int32_t count) {
  if (count >= LANES) return load(p);
  return count > 0 ? load_some(p, count) : splat(0);
}
INLINE void store_up_to(float *p, int32_t count, vf x) {
  if (count >= LANES) store(p, x);
  else if (count > 0) store_some(p, count, x);
}
