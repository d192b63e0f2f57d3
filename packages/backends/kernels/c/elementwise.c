/* Kernels that treat every element alike: sums, factors, dropout. */
#include "kernel.h"

/* y = a + b */
enum { ADD_A, ADD_B, ADD_Y };
static void add_block(const Call *call, int32_t first, int32_t count) {
  float a_buffer[BLOCK], b_buffer[BLOCK];
  const float *a = values(call, ADD_A, first, count, a_buffer), *b = values(call, ADD_B, first, count, b_buffer);
  float *restrict y = floats(call, ADD_Y) + first;
  for (int32_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}
CHECK(add_forward) { return same_size(call, ADD_Y, ADD_A) && same_size(call, ADD_Y, ADD_B); }
KERNEL(add_forward) { each_block(call, shape(call, ADD_Y)->size, add_block); }

/* ∂x += ∂y */
static void add_backward_block(const Call *call, int32_t first, int32_t count) {
  give(call, 1, first, count, floats(call, 0) + first);
}
CHECK(add_backward) { return same_size(call, 0, 1); }
KERNEL(add_backward) { each_block(call, shape(call, 0)->size, add_backward_block); }

/* y = factor·x */
static void scale_block(const Call *call, int32_t first, int32_t count) {
  float buffer[BLOCK];
  const float *x = values(call, 0, first, count, buffer), factor = number(call, 0);
  float *restrict y = floats(call, 1) + first;
  for (int32_t i = 0; i < count; i++) y[i] = factor * x[i];
}
CHECK(scale_forward) { return same_size(call, 0, 1); }
KERNEL(scale_forward) { each_block(call, shape(call, 1)->size, scale_block); }

/* ∂x += factor·∂y */
static void scale_backward_block(const Call *call, int32_t first, int32_t count) {
  float buffer[BLOCK];
  const float *dy = floats(call, 0) + first, factor = number(call, 0);
  for (int32_t i = 0; i < count; i++) buffer[i] = factor * dy[i];
  give(call, 1, first, count, buffer);
}
CHECK(scale_backward) { return same_size(call, 0, 1); }
KERNEL(scale_backward) { each_block(call, shape(call, 0)->size, scale_backward_block); }

/* y = g·x */
static void gain_block(const Call *call, int32_t first, int32_t count) {
  float buffer[BLOCK];
  const float *x = values(call, 0, first, count, buffer), gain = *floats(call, 1);
  float *restrict y = floats(call, 2) + first;
  for (int32_t i = 0; i < count; i++) y[i] = gain * x[i];
}
CHECK(gain_forward) { return same_size(call, 0, 2) && has_size(call, 1, 1); }
KERNEL(gain_forward) { each_block(call, shape(call, 2)->size, gain_block); }

/* ∂x += g·∂y,  ∂g += Σ ∂y·x */
enum { GAIN_X, GAIN, GAIN_DY, GAIN_DX, GAIN_DG };
static void gain_backward_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const int32_t begin = piece * SUM_PIECE, end = begin + smaller(SUM_PIECE, shape(call, GAIN_X)->size - begin);
  const float gain = *floats(call, GAIN);
  float buffer[BLOCK];
  double sum = 0;
  for (int32_t first = begin; first < end; first += BLOCK) {
    const int32_t count = smaller(BLOCK, end - first);
    const float *dy = floats(call, GAIN_DY) + first;
    sum += dot(dy, values(call, GAIN_X, first, count, buffer), count);
    if (!given(call, GAIN_DX)) continue;
    for (int32_t i = 0; i < count; i++) buffer[i] = gain * dy[i];
    give(call, GAIN_DX, first, count, buffer);
  }
  ((double *)call->run->scratch)[piece] = sum;
}
CHECK(gain_backward) {
  return same_size(call, GAIN_X, GAIN_DY) && same_size(call, GAIN_X, GAIN_DX) && has_size(call, GAIN, 1) && has_size(call, GAIN_DG, 1);
}
SCRATCH(gain_backward) { return sizeof(double) * (size_t)sum_pieces(shape(call, GAIN_X)->size); }
KERNEL(gain_backward) {
  const int32_t pieces = sum_pieces(shape(call, GAIN_X)->size);
  parallel(call->run, pieces, gain_backward_piece, (void *)call);
  double sum = 0;
  for (int32_t i = 0; i < pieces; i++) sum += ((double *)call->run->scratch)[i];
  const float gradient = (float)sum;
  give(call, GAIN_DG, 0, 1, &gradient);
}

/* y = x·mask/(1 − rate); the attribute is 1 − rate */
static void dropout_block(const Call *call, int32_t first, int32_t count) {
  float x_buffer[BLOCK], mask_buffer[BLOCK];
  const float *x = values(call, 0, first, count, x_buffer), *mask = values(call, 1, first, count, mask_buffer);
  const float kept = number(call, 0);
  float *restrict y = floats(call, 2) + first;
  for (int32_t i = 0; i < count; i++) y[i] = x[i] * mask[i] / kept;
}
CHECK(dropout_forward) { return same_size(call, 0, 1) && same_size(call, 0, 2); }
KERNEL(dropout_forward) { each_block(call, shape(call, 2)->size, dropout_block); }

/* ∂x += ∂y·mask/(1 − rate) */
static void dropout_backward_block(const Call *call, int32_t first, int32_t count) {
  float mask_buffer[BLOCK], buffer[BLOCK];
  const float *mask = values(call, 0, first, count, mask_buffer), *dy = floats(call, 1) + first;
  const float kept = number(call, 0);
  for (int32_t i = 0; i < count; i++) buffer[i] = dy[i] * mask[i] / kept;
  give(call, 2, first, count, buffer);
}
CHECK(dropout_backward) { return same_size(call, 0, 1) && same_size(call, 0, 2); }
KERNEL(dropout_backward) { each_block(call, shape(call, 1)->size, dropout_backward_block); }

/* outputs += logits */
static void outputs_block(const Call *call, int32_t first, int32_t count) {
  float buffer[BLOCK];
  const float *logits = values(call, 0, first, count, buffer);
  float *restrict outputs = floats(call, 1) + first;
  for (int32_t i = 0; i < count; i++) outputs[i] += logits[i];
}
CHECK(outputs_accumulate) { return same_size(call, 0, 1); }
KERNEL(outputs_accumulate) { each_block(call, shape(call, 1)->size, outputs_block); }
