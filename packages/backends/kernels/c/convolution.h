/* Convolutions of images, channels last: see core's ops/conv2d.ts. */
#pragma once
#include "events.h"

typedef struct {
  int32_t batch, height, width, inputs;
  int32_t out_height, out_width, outputs;
  int32_t size, stride, padding;
} Convolution;

/* Operands: the input (or its gradient), the weight (or its gradient), the output (or its gradient). */
INLINE Convolution convolution_of(const Call *call, int x, int weight, int y) {
  const int32_t *in = shape(call, x)->extent, *out = shape(call, y)->extent;
  return (Convolution){in[0], in[1], in[2], in[3], out[1], out[2], out[3], extent(call, weight, 0), call->attributes[0], call->attributes[1]};
}

INLINE int convolution_fits(const Call *call, int x, int weight, int y) {
  const Buffer *in = shape(call, x), *w = shape(call, weight), *out = shape(call, y);
  if (in->rank != 4 || w->rank != 4 || out->rank != 4) return 0;
  const int32_t size = w->extent[0], stride = call->attributes[0], padding = call->attributes[1], most = 1 << 14;
  if (size < 1 || size > most || w->extent[1] != size || stride < 1 || stride > most || padding < 0 || padding > most) return 0;
  if (in->extent[0] != out->extent[0] || in->extent[3] != w->extent[2] || out->extent[3] != w->extent[3]) return 0;
  for (int axis = 1; axis < 3; axis++) {
    const int64_t room = (int64_t)in->extent[axis] + 2 * padding - size;
    if (room < 0 || out->extent[axis] != room / stride + 1) return 0;
  }
  /* Indices of elements in the row of an image, and in a window's, are counted in 32 bits. */
  return (int64_t)(in->extent[2] + 2 * padding + size) * in->extent[3] <= INT32_MAX &&
         (int64_t)(out->extent[2] + size) * out->extent[3] <= INT32_MAX;
}
