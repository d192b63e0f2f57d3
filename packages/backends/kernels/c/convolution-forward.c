#include "convolution.h"
#include "nine.h"

enum { X, WEIGHT, BIAS, Y };

static Windows windows_of(const Call *call) {
  const Convolution c = convolution_of(call, X, WEIGHT, Y);
  return (Windows){.call = call, .operand = X, .spikes = is_spikes(call, X),
                   .batch = c.batch, .height = c.height, .width = c.width, .channels = c.inputs,
                   .rows = c.size, .columns = c.size, .stride = c.stride, .top = c.padding, .left = c.padding,
                   .weight = floats(call, WEIGHT),
                   .out_height = c.out_height, .out_width = c.out_width, .outputs = c.outputs,
                   .step = 1, .y_height = c.out_height, .y_width = c.out_width,
                   .y = floats(call, Y), .start = given(call, BIAS) ? floats(call, BIAS) : 0, .rounding = ROUNDED};
}

CHECK(conv_forward) { return convolution_fits(call, X, WEIGHT, Y) && has_size(call, BIAS, extent(call, WEIGHT, 3)); }
SCRATCH(conv_forward) {
  const Windows w = windows_of(call);
  return are_nine(&w) ? nine_scratch(&w, call->run->threads) : windows_scratch(&w, call->run->threads);
}
KERNEL(conv_forward) {
  const Windows w = windows_of(call);
  if (are_nine(&w)) sum_nine(&w, call->run->scratch, 1);
  else sum_windows(&w, call->run->scratch, 1);
}
