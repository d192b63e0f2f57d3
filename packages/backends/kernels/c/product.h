/*
 * Y += A·B where A has many zeros: Y [rows, columns], A [rows, depth], B [depth, columns].
 *
 * Which elements of A are not 0 is read as bits; each of them adds its row of B to a row of Y. B is larger than the caches. It is gone
 * through in panels that fit the first-level cache, each of them for all rows of Y.
 */
#pragma once
#include "events.h"

typedef struct Product Product;

struct Product {
  const Call *call;
  int32_t rows, depth, columns;
  /* The operand that A is, or whose transpose it is. */
  int operand, transposed_a;
  /* Row k of B begins at b + k·stride; or, transposed, element (k, j) lies at b + j·stride + k. */
  const float *b;
  size_t stride;
  int transposed_b;
  /* Of a B that stays the same from call to call: its panels, or null. */
  Kept *kept;
  /* What Y begins with: a row for all rows, or null for zeros; or what is there. */
  float *y;
  const float *start;
  int accumulate;
  /* ROUNDED or FUSED. */
  int rounding;
};

/* Bytes of scratch memory. */
size_t NAME(product_scratch)(int32_t rows, int32_t depth, int32_t threads, int spikes, int transposed_a);
#define product_scratch NAME(product_scratch)
/* Bytes of B's panels that are worth keeping from call to call; 0 where they are not. */
size_t NAME(product_kept)(int32_t rows, int32_t depth, int32_t columns, int transposed_b);
#define product_kept NAME(product_kept)

/* `then` is called for groups of rows that are done, where it is not null. */
void NAME(multiply)(const Product *product, void (*then)(const Call *call, int32_t first, int32_t count));
#define multiply NAME(multiply)
