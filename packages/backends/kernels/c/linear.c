/* y = x·W + b and its gradients: see core's ops/linear.ts. */
#include "sparse-matmul.h"

static int fits(const Call *call, int x, int weight, int y) {
  const Buffer *a = shape(call, x), *w = shape(call, weight), *b = shape(call, y);
  if (w->rank != 2 || a->rank < 1 || b->rank < 1 || a->extent[0] != b->extent[0]) return 0;
  if (w->size == 0) return a->size == 0 && b->size == 0;
  return a->size % w->extent[0] == 0 && (int64_t)a->size / w->extent[0] * w->extent[1] == b->size;
}

/* Rows of the product: samples, or their pixels. */
static int32_t rows_of(const Call *call, int x, int weight) { return shape(call, x)->size / larger(1, extent(call, weight, 0)); }

enum { X, WEIGHT, BIAS, Y };
/* The attribute: whether the weights are the same at every time step. */
enum { STAYS };

/* A sample may span several rows of y if y is reshaped to an image. */
static void finish_samples(const Call *call, int32_t first, int32_t count) {
  const int32_t rows = shape(call, Y)->rows / rows_of(call, X, WEIGHT);
  finish(call, first * rows, count * rows);
}

static int stays(const Call *call) { return call->attributes[STAYS] && shape(call, KEPT_OPERAND)->slots == 1; }

CHECK(linear_forward) {
  return (call->attributes[STAYS] & ~1) == 0 && fits(call, X, WEIGHT, Y) && has_size(call, BIAS, extent(call, WEIGHT, 1));
}
SCRATCH(linear_forward) {
  return sparse_matmul_scratch(rows_of(call, X, WEIGHT), extent(call, WEIGHT, 0), call->run->threads, is_spikes(call, X), 0);
}
KEPT(linear_forward) {
  return stays(call) ? sparse_matmul_kept(rows_of(call, X, WEIGHT), extent(call, WEIGHT, 0), extent(call, WEIGHT, 1), 0) : 0;
}
KERNEL(linear_forward) {
  const int32_t inputs = extent(call, WEIGHT, 0), outputs = extent(call, WEIGHT, 1);
  const Product p = {.call = call, .rows = rows_of(call, X, WEIGHT), .depth = inputs, .columns = outputs, .operand = X,
                     .b = floats(call, WEIGHT), .stride = (size_t)outputs, .kept = call->kept, .y = floats(call, Y),
                     .start = given(call, BIAS) ? floats(call, BIAS) : 0, .rounding = ROUNDED};
  multiply_sparse(&p, call->then ? finish_samples : 0);
}

/* ∂x = ∂y·Wᵀ */
enum { DY, BACK_WEIGHT, DX };
CHECK(linear_input_gradient) { return (call->attributes[STAYS] & ~1) == 0 && fits(call, DX, BACK_WEIGHT, DY); }
SCRATCH(linear_input_gradient) {
  return sparse_matmul_scratch(rows_of(call, DX, BACK_WEIGHT), extent(call, BACK_WEIGHT, 1), call->run->threads, 0, 0);
}
KEPT(linear_input_gradient) {
  const int32_t inputs = extent(call, BACK_WEIGHT, 0), outputs = extent(call, BACK_WEIGHT, 1);
  return stays(call) ? sparse_matmul_kept(rows_of(call, DX, BACK_WEIGHT), outputs, inputs, 1) : 0;
}
KERNEL(linear_input_gradient) {
  const int32_t inputs = extent(call, BACK_WEIGHT, 0), outputs = extent(call, BACK_WEIGHT, 1);
  const Product p = {.call = call, .rows = rows_of(call, DX, BACK_WEIGHT), .depth = outputs, .columns = inputs, .operand = DY,
                     .b = floats(call, BACK_WEIGHT), .stride = (size_t)outputs, .transposed_b = 1, .kept = call->kept, .y = floats(call, DX),
                     .accumulate = call->operands[DX].accumulate, .rounding = FUSED};
  multiply_sparse(&p, 0);
}

/* ∂W = xᵀ·∂y */
enum { WEIGHT_X, WEIGHT_DY, DWEIGHT };
CHECK(linear_weight_gradient) { return fits(call, WEIGHT_X, DWEIGHT, WEIGHT_DY); }
SCRATCH(linear_weight_gradient) {
  return sparse_matmul_scratch(extent(call, DWEIGHT, 0), rows_of(call, WEIGHT_X, DWEIGHT), call->run->threads, is_spikes(call, WEIGHT_X), 1);
}
KERNEL(linear_weight_gradient) {
  const int32_t inputs = extent(call, DWEIGHT, 0), outputs = extent(call, DWEIGHT, 1);
  const Product p = {.call = call, .rows = inputs, .depth = rows_of(call, WEIGHT_X, DWEIGHT), .columns = outputs,
                     .operand = WEIGHT_X, .transposed_a = 1, .b = floats(call, WEIGHT_DY),
                     .stride = (size_t)outputs, .y = floats(call, DWEIGHT), .accumulate = call->operands[DWEIGHT].accumulate,
                     .rounding = FUSED};
  multiply_sparse(&p, 0);
}
