#include "transpose.h"

typedef float quad __attribute__((vector_size(16), aligned(4), may_alias));

/* Transposes a 4 × 4 block. */
INLINE void transpose_quads(const float *from, size_t stride, float *to, size_t to_stride) {
  const quad a = *(const quad *)from, b = *(const quad *)(from + stride);
  const quad c = *(const quad *)(from + 2 * stride), d = *(const quad *)(from + 3 * stride);
  const quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), ba = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const quad cd = __builtin_shufflevector(c, d, 0, 4, 1, 5), dc = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  *(quad *)to = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  *(quad *)(to + to_stride) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  *(quad *)(to + 2 * to_stride) = __builtin_shufflevector(ba, dc, 0, 1, 4, 5);
  *(quad *)(to + 3 * to_stride) = __builtin_shufflevector(ba, dc, 2, 3, 6, 7);
}

void transpose(const float *from, size_t stride, int32_t rows, int32_t columns, float *to, size_t to_stride) {
  int32_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    int32_t j = 0;
    for (; j + 4 <= columns; j += 4) transpose_quads(from + (size_t)i * stride + j, stride, to + (size_t)j * to_stride + i, to_stride);
    for (; j < columns; j++)
      for (int32_t k = i; k < i + 4; k++) to[(size_t)j * to_stride + k] = from[(size_t)k * stride + j];
  }
  for (; i < rows; i++)
    for (int32_t j = 0; j < columns; j++) to[(size_t)j * to_stride + i] = from[(size_t)i * stride + j];
}
