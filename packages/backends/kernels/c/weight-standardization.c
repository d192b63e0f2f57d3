/*
 * Ŵ = gain·(W − mean)/√(variance·n + ε) for each output channel over its fan-in of n weights: see core's ops/weight-standardization.ts. One
 * strip of channels at a time; sums in float64.
 */
#include "kernel.h"

static const double epsilon = 1e-4;

enum { STRIP = 64 };
enum { WEIGHT, GAIN };

typedef struct {
  int32_t outputs, fan_in, first, count;
  double mean[STRIP], scale[STRIP];
} Strip;

static void moments(const Call *call, int32_t piece, Strip *s) {
  s->outputs = shape(call, GAIN)->size;
  s->fan_in = shape(call, WEIGHT)->size / s->outputs;
  s->first = piece * STRIP;
  s->count = smaller(STRIP, s->outputs - s->first);
  double sums[STRIP] = {0}, squares[STRIP] = {0};
  const float *w = floats(call, WEIGHT) + s->first;
  for (int32_t i = 0; i < s->fan_in; i++)
    for (int32_t c = 0; c < s->count; c++) sums[c] += w[(size_t)i * s->outputs + c];
  for (int32_t c = 0; c < s->count; c++) s->mean[c] = sums[c] / s->fan_in;
  for (int32_t i = 0; i < s->fan_in; i++)
    for (int32_t c = 0; c < s->count; c++) {
      const double difference = w[(size_t)i * s->outputs + c] - s->mean[c];
      squares[c] += difference * difference;
    }
  for (int32_t c = 0; c < s->count; c++) {
    const double variance = squares[c] / larger(1, s->fan_in - 1);
    s->scale[c] = 1 / __builtin_sqrt(variance * s->fan_in + epsilon);
  }
}

static int fits(const Call *call) {
  const int32_t outputs = shape(call, GAIN)->size;
  return outputs ? shape(call, WEIGHT)->size % outputs == 0 : shape(call, WEIGHT)->size == 0;
}

enum { Y = 2 };
static void forward_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Call *call = work;
  Strip s;
  moments(call, piece, &s);
  const float *gain = floats(call, GAIN) + s.first;
  for (int32_t i = 0; i < s.fan_in; i++) {
    const size_t at = (size_t)i * s.outputs + s.first;
    for (int32_t c = 0; c < s.count; c++)
      floats(call, Y)[at + c] = (float)(gain[c] * (floats(call, WEIGHT)[at + c] - s.mean[c]) * s.scale[c]);
  }
}
CHECK(weight_standardization_forward) { return fits(call) && same_size(call, WEIGHT, Y); }
KERNEL(weight_standardization_forward) { parallel(call->run, ceiling(shape(call, GAIN)->size, STRIP), forward_piece, (void *)call); }

/* With x̂ = (W − mean)·scale and r = n/(n−1):  ∂gain = Σ ∂Ŵ·x̂,  ∂W = gain·scale·(∂Ŵ − mean(∂Ŵ) − r·x̂·Σ(∂Ŵ·x̂)) */
enum { DY = 2, DWEIGHT, DGAIN };
static void backward_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Call *call = work;
  Strip s;
  moments(call, piece, &s);
  const double ratio = (double)s.fan_in / larger(1, s.fan_in - 1);
  double sums[STRIP] = {0}, projections[STRIP] = {0};
  for (int32_t i = 0; i < s.fan_in; i++) {
    const size_t at = (size_t)i * s.outputs + s.first;
    for (int32_t c = 0; c < s.count; c++) {
      const double dy = floats(call, DY)[at + c];
      sums[c] += dy;
      projections[c] += dy * (floats(call, WEIGHT)[at + c] - s.mean[c]) * s.scale[c];
    }
  }
  float gain_gradient[STRIP], gradient[STRIP];
  for (int32_t c = 0; c < s.count; c++) gain_gradient[c] = (float)projections[c];
  write_gradient(call, DGAIN, s.first, s.count, gain_gradient);
  for (int32_t i = 0; i < s.fan_in; i++) {
    const int32_t at = i * s.outputs + s.first;
    for (int32_t c = 0; c < s.count; c++) {
      const double standardized = (floats(call, WEIGHT)[at + c] - s.mean[c]) * s.scale[c];
      const double rest = floats(call, DY)[at + c] - sums[c] / s.fan_in - ratio * standardized * projections[c];
      gradient[c] = (float)(floats(call, GAIN)[s.first + c] * s.scale[c] * rest);
    }
    write_gradient(call, DWEIGHT, at, s.count, gradient);
  }
}
CHECK(weight_standardization_backward) {
  return fits(call) && same_size(call, WEIGHT, DY) && same_size(call, WEIGHT, DWEIGHT) && same_size(call, GAIN, DGAIN);
}
KERNEL(weight_standardization_backward) {
  parallel(call->run, ceiling(shape(call, GAIN)->size, STRIP), backward_piece, (void *)call);
}
