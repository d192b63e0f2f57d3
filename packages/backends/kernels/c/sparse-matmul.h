/*
 * Y += A·B for a sparse A: Y [rows, columns], A [rows, depth], B [depth, columns].
 *
 * A bit mask says which elements of A are not 0; each of them adds its row of B to a row of Y. B is larger than the caches, so it is
 * processed in panels that fit the first-level cache, each for all rows of Y.
 */
#pragma once
#include "event-lists.h"

typedef struct Product Product;

struct Product {
  const Call *call;
  int32_t rows, depth, columns;
  /* The operand that holds A, or Aᵀ if transposed. */
  int operand, transposed_a;
  /* Row k of B begins at b + k·stride; if transposed, element (k, j) is at b + j·stride + k. */
  const float *b;
  size_t stride;
  int transposed_b;
  /* Panels of a B that does not change between calls; or null. */
  Kept *kept;
  /* Initial value of Y: the same row for all rows, null for zeros; or, if `accumulate`, its present value. */
  float *y;
  const float *start;
  int accumulate;
  /* ROUNDED or FUSED. */
  int rounding;
};

/* Bytes of scratch memory. */
size_t NAME(sparse_matmul_scratch)(int32_t rows, int32_t depth, int32_t threads, int spikes, int transposed_a);
#define sparse_matmul_scratch NAME(sparse_matmul_scratch)
/* Bytes of B's panels that are worth storing between calls; 0 if none. */
size_t NAME(sparse_matmul_kept)(int32_t rows, int32_t depth, int32_t columns, int transposed_b);
#define sparse_matmul_kept NAME(sparse_matmul_kept)

/* Calls `then`, unless null, for groups of rows that are complete. */
void NAME(multiply_sparse)(const Product *product, void (*then)(const Call *call, int32_t first, int32_t count));
#define multiply_sparse NAME(multiply_sparse)
