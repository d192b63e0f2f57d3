/* Selects the kernels for this processor: one library contains them for every vector width. */
#include "dispatch.h"

#if defined(__x86_64__)
#include <cpuid.h>

extern const Kernels kernels_sse, kernels_avx2, kernels_avx512;

/* The registers that the operating system saves when it switches threads. */
static uint64_t kept_registers(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

const Kernels *kernels_for(int32_t widest) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  if (!(c & bit_SSE4_2) || !(c & bit_POPCNT)) return 0;
  const int fma = c & bit_FMA && c & bit_OSXSAVE;
  const uint64_t kept = c & bit_OSXSAVE ? kept_registers() : 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) b = 0;
  const uint32_t bit_manipulation = bit_BMI | bit_BMI2;
  const int avx2 = fma && (kept & 6) == 6 && b & bit_AVX2 && (b & bit_manipulation) == bit_manipulation;
  const uint32_t needed = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
  if (widest >= 64 && avx2 && (kept & 0xe6) == 0xe6 && (b & needed) == needed) return &kernels_avx512;
  if (widest >= 32 && avx2) return &kernels_avx2;
  return &kernels_sse;
}
#else
extern const Kernels kernels_only;

const Kernels *kernels_for(int32_t widest) {
  (void)widest;
  return &kernels_only;
}
#endif
