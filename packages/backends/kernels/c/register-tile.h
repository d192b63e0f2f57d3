/*
 * The innermost loop of dense sums: the sums of some pixels for a block of outputs stay in registers, and element k of each pixel adds row
 * k of the weights to them. Products are fused with additions where the machine has FMA.
 */
#pragma once
#include "kernel.h"

/* Outputs in a block: weights are packed in rows of a block, or of half a block if the remainder fits one. */
enum { BLOCK_VECTORS = VECTOR_BYTES == 64 ? 4 : 2, BLOCK_OUTPUTS = BLOCK_VECTORS * LANES };
/* With long vectors, the remaining outputs may be summed as half a block. */
enum { HALF_VECTORS = VECTOR_BYTES == 64 ? 2 : BLOCK_VECTORS, HALF_OUTPUTS = HALF_VECTORS * LANES };
/* Pixels summed at a time: as many as leave registers for a row of weights. */
enum { PIXELS = VECTOR_BYTES == 64 ? 6 : 4, HALF_PIXELS = VECTOR_BYTES == 64 ? 12 : PIXELS };

#define EACH_PIXEL(pixels) _Pragma("GCC unroll 12") for (int q = 0; q < pixels; q++)
#define EACH_VECTOR(vectors) _Pragma("GCC unroll 4") for (int v = 0; v < vectors; v++)

/* The sums of some pixels for a block of outputs. */
typedef vf Tile[HALF_PIXELS][BLOCK_VECTORS];

/* sum[q][:] += Σ_k x[q][k·step] · weight[k·stride …]; `pixels` and `vectors` are compile-time constants. */
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

/* Whether to process the remaining pixels four at a time instead of `pixels`, because fewer are then computed twice. */
INLINE int by_fours(int pixels, int32_t left) { return pixels == 4 || left <= 4 || (pixels == 6 && left == 8); }

/* Whether these outputs are summed as half a block. */
INLINE int is_half(int32_t outputs) { return HALF_VECTORS < BLOCK_VECTORS && outputs <= HALF_OUTPUTS; }

/* Number of outputs, rounded up to whole and half blocks. */
INLINE int32_t summed_outputs(int32_t outputs) { return ceiling(outputs, HALF_OUTPUTS) * HALF_OUTPUTS; }
