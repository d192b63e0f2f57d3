#include "convolution.h"
#include "windows.h"

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
  return windows_scratch(&w, call->run->threads);
}
KERNEL(conv_forward) {
  const Windows w = windows_of(call);
  sum_windows(&w, call->run->scratch, 1);
}
