/*
 * Y = A·Bᵀ for dense matrices: Y [rows, columns], A [rows, depth], B [columns, depth], all contiguous.
 *
 * Both are read along the summed dimension, so neither is packed or transposed. A tile of sums stays in registers; the rows of B that it
 * needs stay in the first-level cache for all rows of A.
 */
#pragma once
#include "kernel.h"

/* Minimum length of the sum in vectors: below it, adding the lanes of each element of Y costs too much. */
enum { DENSE_VECTORS = 4 };

void NAME(multiply_dense)(const Call *call, int32_t rows, int32_t columns, int32_t depth, const float *a, const float *b, float *y,
                          int accumulate);
#define multiply_dense NAME(multiply_dense)
