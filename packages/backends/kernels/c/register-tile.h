/*
 * The innermost loop of dense sums: some pixels' sums for a block of outputs stay in registers, and element k of each pixel adds row k
 * of the weights to them. Products are fused with sums where there is FMA.
 */
#pragma once
#include "kernel.h"

/* Outputs of a block: weights are packed in rows of as many, or of half as many where half a block is packed alone. */
enum { BLOCK_VECTORS = VECTOR_BYTES == 64 ? 4 : 2, BLOCK_OUTPUTS = BLOCK_VECTORS * LANES };
/* What is left of the outputs is summed as a whole block, or as half of one where vectors are long. */
enum { HALF_VECTORS = VECTOR_BYTES == 64 ? 2 : BLOCK_VECTORS, HALF_OUTPUTS = HALF_VECTORS * LANES };
/* Pixels that are summed at a time: as many as leave registers for a row of weights. */
enum { PIXELS = VECTOR_BYTES == 64 ? 6 : 4, HALF_PIXELS = VECTOR_BYTES == 64 ? 12 : PIXELS };

#define EACH_PIXEL(pixels) _Pragma("GCC unroll 12") for (int q = 0; q < pixels; q++)
#define EACH_VECTOR(vectors) _Pragma("GCC unroll 4") for (int v = 0; v < vectors; v++)

/* Sums of some pixels for the outputs of a block. */
typedef vf Tile[HALF_PIXELS][BLOCK_VECTORS];

/* sum[q][:] += Σ_k x[q][k·step] · weight[k·stride …] for pixels and vectors whose numbers are constants. */
INLINE void add_products(int pixels, int vectors, const float *const x[HALF_PIXELS], size_t step, int32_t length, const float *weight,
                         size_t stride, Tile sum) {
  for (int32_t k = 0; k < length; k++, weight += stride) {
    vf row[BLOCK_VECTORS];
    EACH_VECTOR(vectors) row[v] = load(weight + v * LANES);
    EACH_PIXEL(pixels) {
      const vf value = splat(x[q][(size_t)k * step]);
      EACH_VECTOR(vectors) sum[q][v] = multiply_add(value, row[v], sum[q][v]);
    }
  }
}

/* Whether what is left goes by fours rather than by so many pixels: where that leaves fewer to be computed again. */
INLINE int by_fours(int pixels, int32_t left) { return pixels == 4 || left <= 4 || (pixels == 6 && left == 8); }

/* Whether so many outputs are half a block. */
INLINE int is_half(int32_t outputs) { return HALF_VECTORS < BLOCK_VECTORS && outputs <= HALF_OUTPUTS; }

/* Outputs as they are summed, filled up to whole blocks and a half. */
INLINE int32_t summed_outputs(int32_t outputs) { return ceiling(outputs, HALF_OUTPUTS) * HALF_OUTPUTS; }
