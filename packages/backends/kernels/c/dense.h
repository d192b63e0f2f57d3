/*
 * Y = A·Bᵀ for matrices without zeros to speak of: Y [rows, columns], A [rows, depth], B [columns, depth], all of them contiguous.
 *
 * Both are read along the sum, so neither is packed or transposed. A tile of sums stays in registers; the rows of B that it needs
 * stay in the first-level cache for all rows of A.
 */
#pragma once
#include "kernel.h"

/* Sums shorter than this many vectors are not worth it: lanes have to be added up for every element of Y. */
enum { DENSE_VECTORS = 4 };

void NAME(multiply_dense)(const Call *call, int32_t rows, int32_t columns, int32_t depth, const float *a, const float *b, float *y,
                          int accumulate);
#define multiply_dense NAME(multiply_dense)
