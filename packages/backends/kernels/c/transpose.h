/* Transposing matrices of floats. */
#pragma once
#include "kernel.h"

/* to [columns, rows] = from [rows, columns] transposed; strides are the distances between rows, in floats. */
void NAME(transpose)(const float *from, size_t stride, int32_t rows, int32_t columns, float *to, size_t to_stride);
#define transpose NAME(transpose)
