/* Vectors of floats of any width: VECTOR_BYTES is 16 (WebAssembly, SSE, NEON), 32 (AVX2) or 64 (AVX-512). */
#pragma once
#include <stddef.h>
#include <stdint.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#ifndef VECTOR_BYTES
#define VECTOR_BYTES 16
#endif
#define LANES (VECTOR_BYTES / 4)
#define INLINE static inline __attribute__((always_inline))
/*
 * Inlined except in WebAssembly, where each source file has one copy, for size. Not for functions on vectors, which would not stay in
 * registers.
 */
#ifdef __wasm__
#define COMPACT static __attribute__((noinline, unused))
#else
#define COMPACT INLINE
#endif

/* Unaligned: rows of channels may start at any float. */
typedef float vf __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));

/*
 * Forces a pointer into a register of its own. Compilers tend to keep it as a sum of two where it is used; for each of several loads, x86
 * would then decode the load and the addition that uses it separately.
 */
#if defined(__x86_64__)
#define IN_REGISTER(pointer) __asm__("" : "+r"(pointer))
#else
#define IN_REGISTER(pointer) (void)(pointer)
#endif

INLINE vf splat(float x) { return x - (vf){}; }
INLINE vf load(const float *p) { return *(const vf *)p; }
INLINE void store(float *p, vf x) { *(vf *)p = x; }

/* Adds lanes in pairs, halves first: the same order on every machine of the same vector width. */
INLINE float sum_lanes(vf x) {
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)x);
#else
  float lanes[LANES];
  *(vf *)lanes = x;
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  return lanes[0];
#endif
}
