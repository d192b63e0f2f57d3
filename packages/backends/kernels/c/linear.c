#include "kernel.h"
enum { X, W, B, Y };
static void row_piece(void *work, int32_t n, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const int32_t in = shape(call, W)->extent[0], out = shape(call, W)->extent[1];
  float *y = floats(call, Y) + (size_t)n * out;
  for (int32_t o = 0; o < out; o++) y[o] = given(call, B) ? floats(call, B)[o] : 0;
  for (int32_t i = 0; i < in; i++) {
    float buffer[1];
    const float x = *values(call, X, n * in + i, 1, buffer);
    if (x == 0) continue;
    const float *w = floats(call, W) + (size_t)i * out;
    for (int32_t o = 0; o < out; o++) y[o] += x * w[o];
  }
  finish(call, n, 1);
}
static int fits(const Call *call, int x, int w, int y) {
  const Buffer *a = shape(call, x), *b = shape(call, w), *c = shape(call, y);
  return b->rank == 2 && c->rank == 2 && c->extent[1] == b->extent[1] && a->rank > 0 && a->extent[0] == c->extent[0] &&
         a->size == (int64_t)c->extent[0] * b->extent[0];
}
CHECK(linear_forward) { return fits(call, X, W, Y) && has_size(call, B, shape(call, W)->extent[1]); }
SCRATCH(linear_forward) { (void)call; return 0; }
KERNEL(linear_forward) { parallel(call->run, shape(call, Y)->extent[0], row_piece, (void *)call); }

CHECK(linear_input_gradient) { return fits(call, 2, 1, 0); }
SCRATCH(linear_input_gradient) { (void)call; return 0; }
static void input_piece(void *work, int32_t n, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const int32_t in = shape(call, 1)->extent[0], out = shape(call, 1)->extent[1];
  for (int32_t i = 0; i < in; i++) {
    const float sum = (float)dot(floats(call, 0) + (size_t)n * out, floats(call, 1) + (size_t)i * out, out);
    give(call, 2, n * in + i, 1, &sum);
  }
}
KERNEL(linear_input_gradient) { parallel(call->run, shape(call, 0)->extent[0], input_piece, (void *)call); }

CHECK(linear_weight_gradient) { return fits(call, 0, 2, 1); }
SCRATCH(linear_weight_gradient) { (void)call; return 0; }
static void weight_piece(void *work, int32_t i, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const int32_t in = shape(call, 2)->extent[0], out = shape(call, 2)->extent[1], batch = shape(call, 1)->extent[0];
  float *dw = floats(call, 2) + (size_t)i * out;
  if (!call->operands[2].accumulate) for (int32_t o = 0; o < out; o++) dw[o] = 0;
  for (int32_t n = 0; n < batch; n++) {
    float buffer[1];
    const float x = *values(call, 0, n * in + i, 1, buffer);
    if (x == 0) continue;
    const float *dy = floats(call, 1) + (size_t)n * out;
    for (int32_t o = 0; o < out; o++) dw[o] += x * dy[o];
  }
}
KERNEL(linear_weight_gradient) { parallel(call->run, shape(call, 2)->extent[0], weight_piece, (void *)call); }

CHECK(bias_gradient) { return shape(call, 0)->channels == shape(call, 1)->size || shape(call, 1)->size && shape(call, 0)->size % shape(call, 1)->size == 0; }
SCRATCH(bias_gradient) { (void)call; return 0; }
KERNEL(bias_gradient) {
  const int32_t channels = shape(call, 1)->size, rows = channels ? shape(call, 0)->size / channels : 0;
  for (int32_t c = 0; c < channels; c++) {
    double sum = 0;
    for (int32_t r = 0; r < rows; r++) sum += floats(call, 0)[(size_t)r * channels + c];
    const float total = (float)sum;
    give(call, 1, c, 1, &total);
  }
}
