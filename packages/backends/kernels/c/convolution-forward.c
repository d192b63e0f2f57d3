#include "convolution.h"
#include "conv3x3-events.h"

enum { X, WEIGHT, BIAS, Y };

static Phases phases_of(const Call *call) { return (Phases){call, convolution_of(call, X, WEIGHT, Y), WEIGHT, X, Y, 0}; }
static int is_spread(const Convolution *c) { return c->rows.spread > 1 || c->columns.spread > 1; }
static const float *start_of(const Call *call) { return given(call, BIAS) ? floats(call, BIAS) : 0; }

static Windows windows_of(const Call *call, const Convolution *c) {
  return (Windows){.call = call, .operand = X, .spikes = is_spikes(call, X),
                   .batch = c->batch, .height = c->height, .width = c->width, .channels = c->inputs, .groups = c->groups,
                   .rows = c->rows.taps, .columns = c->columns.taps, .down = c->rows.stride, .across = c->columns.stride,
                   .row_dilation = c->rows.dilation, .column_dilation = c->columns.dilation, .top = c->rows.before, .left = c->columns.before,
                   .weight = floats(call, WEIGHT), .out_height = c->out_height, .out_width = c->out_width, .outputs = c->outputs,
                   .row_step = 1, .column_step = 1, .y_height = c->out_height, .y_width = c->out_width,
                   .y = floats(call, Y), .start = start_of(call), .rounding = ROUNDED};
}

static void finish_image(void *work, int32_t image, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const int32_t rows = shape(call, Y)->rows / extent(call, Y, 0);
  finish(call, image * rows, rows);
}

CHECK(conv_forward) {
  return convolution_fits(call, X, WEIGHT, Y) && has_size(call, BIAS, shape(call, Y)->channels);
}
SCRATCH(conv_forward) {
  const Phases p = phases_of(call);
  if (is_depthwise(&p.c)) return 0;
  if (is_spread(&p.c)) return phases_scratch(&p);
  const Windows w = windows_of(call, &p.c);
  return are_conv3x3(&w) ? conv3x3_scratch(&w, call->run->threads) : windows_scratch(&w, call->run->threads);
}
KERNEL(conv_forward) {
  const Phases p = phases_of(call);
  if (is_depthwise(&p.c)) {
    sum_depthwise(&p, start_of(call));
    return;
  }
  if (is_spread(&p.c)) {
    sum_phases(&p, start_of(call));
    if (call->then) parallel(call->run, p.c.batch, finish_image, (void *)call);
    return;
  }
  const Windows w = windows_of(call, &p.c);
  if (are_conv3x3(&w)) sum_conv3x3(&w, call->run->scratch, 1);
  else sum_windows(&w, call->run->scratch, 1);
}
