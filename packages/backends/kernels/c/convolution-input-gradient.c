/* ∂x, the transposed convolution of ∂y: see convolution.c. */
#include "convolution.h"

enum { DY, WEIGHT, DX };

static Phases phases_of(const Call *call) { return (Phases){call, convolution_of(call, DX, WEIGHT, DY), WEIGHT, DY, DX, 1}; }

CHECK(conv_input_gradient) { return convolution_fits(call, DX, WEIGHT, DY); }
SCRATCH(conv_input_gradient) {
  const Phases p = phases_of(call);
  return is_depthwise(&p.c) ? 0 : phases_scratch(&p);
}
KERNEL(conv_input_gradient) {
  const Phases p = phases_of(call);
  if (is_depthwise(&p.c)) sum_depthwise(&p, 0);
  else sum_phases(&p, 0);
}
