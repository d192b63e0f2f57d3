#include "kernel.h"
enum { X, W, B, Y };
typedef struct { int32_t batch, height, width, in, out_height, out_width, out, size, stride, padding; } Conv;
static Conv conv_of(const Call *call, int x, int w, int y) {
  const int32_t *a = shape(call, x)->extent, *b = shape(call, w)->extent, *c = shape(call, y)->extent;
  return (Conv){a[0], a[1], a[2], a[3], c[1], c[2], c[3], b[0], call->attributes[0], call->attributes[1]};
}
static int fits(const Call *call, int x, int w, int y) {
  const Buffer *a = shape(call, x), *b = shape(call, w), *c = shape(call, y);
  if (a->rank != 4 || b->rank != 4 || c->rank != 4 || b->extent[0] != b->extent[1] || b->extent[0] < 1 || b->extent[2] != a->extent[3] || b->extent[3] != c->extent[3] || a->extent[0] != c->extent[0]) return 0;
  const int32_t stride = call->attributes[0], padding = call->attributes[1];
  if (stride < 1 || stride > 32768 || padding < 0 || padding > 32768 || b->extent[0] > 32768) return 0;
  for (int i = 1; i < 3; i++) {
    const int64_t room = (int64_t)a->extent[i] + 2 * padding - b->extent[0];
    if (room < 0 || c->extent[i] != room / stride + 1) return 0;
  }
  return 1;
}
CHECK(conv_forward) { return fits(call, X, W, Y) && has_size(call, B, shape(call, W)->extent[3]); }
SCRATCH(conv_forward) { (void)call; return 0; }
KERNEL(conv_forward) {
  const Conv k = conv_of(call, X, W, Y);
  for (int32_t n = 0; n < k.batch; n++) for (int32_t i = 0; i < k.out_height; i++) for (int32_t j = 0; j < k.out_width; j++) {
    const int32_t to = (n * k.out_height + i) * k.out_width + j;
    float *y = floats(call, Y) + (size_t)to * k.out;
    for (int32_t o = 0; o < k.out; o++) y[o] = given(call, B) ? floats(call, B)[o] : 0;
    for (int32_t a = 0; a < k.size; a++) for (int32_t b = 0; b < k.size; b++) {
      const int32_t r = i * k.stride + a - k.padding, s = j * k.stride + b - k.padding;
      if (r < 0 || s < 0 || r >= k.height || s >= k.width) continue;
      for (int32_t c = 0; c < k.in; c++) {
        float buffer[1];
        const float x = *values(call, X, ((n * k.height + r) * k.width + s) * k.in + c, 1, buffer);
        if (x == 0) continue;
        const float *w = floats(call, W) + (size_t)((a * k.size + b) * k.in + c) * k.out;
        for (int32_t o = 0; o < k.out; o++) y[o] += x * w[o];
      }
    }
    finish(call, to, 1);
  }
}
CHECK(conv_input_gradient) { return fits(call, 2, 1, 0); }
SCRATCH(conv_input_gradient) { (void)call; return 0; }
KERNEL(conv_input_gradient) {
  const Conv k = conv_of(call, 2, 1, 0);
  float *dx = floats(call, 2);
  if (!call->operands[2].accumulate) for (int32_t i = 0; i < shape(call, 2)->size; i++) dx[i] = 0;
  for (int32_t n = 0; n < k.batch; n++) for (int32_t i = 0; i < k.out_height; i++) for (int32_t j = 0; j < k.out_width; j++)
    for (int32_t a = 0; a < k.size; a++) for (int32_t b = 0; b < k.size; b++) {
      const int32_t r = i * k.stride + a - k.padding, s = j * k.stride + b - k.padding;
      if (r < 0 || s < 0 || r >= k.height || s >= k.width) continue;
      for (int32_t c = 0; c < k.in; c++)
        dx[((n * k.height + r) * k.width + s) * k.in + c] += (float)dot(floats(call, 0) + (size_t)((n * k.out_height + i) * k.out_width + j) * k.out, floats(call, 1) + (size_t)((a * k.size + b) * k.in + c) * k.out, k.out);
    }
}
CHECK(conv_weight_gradient) { return fits(call, 0, 2, 1); }
SCRATCH(conv_weight_gradient) { (void)call; return 0; }
KERNEL(conv_weight_gradient) {
  const Conv k = conv_of(call, 0, 2, 1);
  float *dw = floats(call, 2);
  if (!call->operands[2].accumulate) for (int32_t i = 0; i < shape(call, 2)->size; i++) dw[i] = 0;
  for (int32_t n = 0; n < k.batch; n++) for (int32_t i = 0; i < k.out_height; i++) for (int32_t j = 0; j < k.out_width; j++)
    for (int32_t a = 0; a < k.size; a++) for (int32_t b = 0; b < k.size; b++) {
      const int32_t r = i * k.stride + a - k.padding, s = j * k.stride + b - k.padding;
      if (r < 0 || s < 0 || r >= k.height || s >= k.width) continue;
      for (int32_t c = 0; c < k.in; c++) {
        float buffer[1];
        const float x = *values(call, 0, ((n * k.height + r) * k.width + s) * k.in + c, 1, buffer);
        if (x == 0) continue;
        const float *dy = floats(call, 1) + (size_t)((n * k.out_height + i) * k.out_width + j) * k.out;
        float *to = dw + (size_t)((a * k.size + b) * k.in + c) * k.out;
        for (int32_t o = 0; o < k.out; o++) to[o] += x * dy[o];
      }
    }
}
