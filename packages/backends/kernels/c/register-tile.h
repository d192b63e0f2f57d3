/*
 * The innermost loop of dense sums: some pixels' sums for a block of outputs stay in registers, and element k of each pixel adds row k
 * of the weights to them. Products are fused with sums where there is FMA.
 */
#pragma once
#include "lanes.h"

/* Outputs of a block: weights are packed in rows of BLOCK_OUTPUTS. */
enum { BLOCK_VECTORS = VECTOR_BYTES == 64 ? 4 : 2, BLOCK_OUTPUTS = BLOCK_VECTORS * LANES };
/* Pixels that are summed at a time: as many as leave registers for a row of weights. */
enum { PIXELS = VECTOR_BYTES == 64 ? 6 : 4 };

#define EACH_PIXEL(pixels) _Pragma("GCC unroll 6") for (int q = 0; q < pixels; q++)
#define EACH_VECTOR _Pragma("GCC unroll 4") for (int v = 0; v < BLOCK_VECTORS; v++)

/* sum[q][:] += Σ_k x[q][k] · weight[k][:] for `pixels` pixels, a constant of at most PIXELS. */
INLINE void add_products(int pixels, const float *const x[PIXELS], int32_t length, const float *weight, vf sum[PIXELS][BLOCK_VECTORS]) {
  for (int32_t k = 0; k < length; k++, weight += BLOCK_OUTPUTS) {
    vf row[BLOCK_VECTORS];
    EACH_VECTOR row[v] = load(weight + v * LANES);
    EACH_PIXEL(pixels) {
      const vf value = splat(x[q][k]);
      EACH_VECTOR sum[q][v] = multiply_add(value, row[v], sum[q][v]);
    }
  }
}
