/* Convolutions of images, channels last: see core's ops/conv2d.ts. A sequence is an image of one row. */
#pragma once
#include "sliding-windows.h"

/* Along an axis, tap a of output i reads input (i·stride + a·dilation − before)/spread, if that is an integer. */
typedef struct {
  int32_t in, out, taps, stride, before, dilation, spread;
} Slide;

typedef struct {
  int32_t batch, height, width, inputs;
  int32_t out_height, out_width, outputs;
  int32_t groups;
  Slide rows, columns;
} Convolution;

/* Attributes: stride, before, after, dilation and spread of each axis, then the groups. */
enum { STRIDE, BEFORE, AFTER, DILATION, SPREAD, AXIS_ATTRIBUTES, CHANNEL_GROUPS = 2 * AXIS_ATTRIBUTES };

INLINE Slide slide_of(const Call *call, int which, int32_t in, int32_t out, int32_t taps) {
  const int32_t *a = call->attributes + which * AXIS_ATTRIBUTES;
  return (Slide){in, out, taps, a[STRIDE], a[BEFORE], a[DILATION], a[SPREAD]};
}

/* Operands: the input (or its gradient), the weight (or its gradient), the output (or its gradient). */
INLINE Convolution convolution_of(const Call *call, int x, int weight, int y) {
  const Image in = image_of(shape(call, x)), out = image_of(shape(call, y));
  const Buffer *w = shape(call, weight);
  const int32_t rows = w->rank == 4 ? w->extent[0] : 1, columns = w->extent[w->rank - 3];
  return (Convolution){in.batch, in.height, in.width, in.channels, out.height, out.width, out.channels, call->attributes[CHANNEL_GROUPS],
                       slide_of(call, 0, in.height, out.height, rows), slide_of(call, 1, in.width, out.width, columns)};
}

/* Whether each output channel reads only the input channel of the same index. */
INLINE int is_depthwise(const Convolution *c) { return c->groups > 1 && c->groups == c->inputs && c->groups == c->outputs; }

/* Whether an axis has 3 taps, stride 1 and the same padding, at most 2, on both sides. */
INLINE int is_conv3x3_axis(const Slide *a) {
  return a->taps == 3 && a->stride == 1 && a->dilation == 1 && a->spread == 1 && a->before >= 0 && a->before <= 2 &&
         a->out == a->in + 2 * a->before - 2;
}

/* The input position that a tap of output i reads, or −1. */
INLINE int32_t position_of(const Slide *a, int32_t i, int32_t tap) {
  const int32_t at = i * a->stride + tap * a->dilation - a->before;
  if (at < 0 || (a->spread > 1 && at % a->spread)) return -1;
  const int32_t position = a->spread > 1 ? at / a->spread : at;
  return position < a->in ? position : -1;
}

/* Channels of a pixel that depthwise sums process at a time: those of one word of spikes. */
enum { WORD_CHANNELS = 32, WORD_VECTORS = WORD_CHANNELS / LANES };

int NAME(convolution_fits)(const Call *call, int x, int weight, int y);
#define convolution_fits NAME(convolution_fits)

/*
 * A convolution divided into phases: pixels of y whose positions leave the same remainders by the spread, and therefore see the same taps.
 */
typedef struct {
  const Call *call;
  Convolution c;
  /* Indices of the operands that hold the weight, x and y; whether the weight is rotated by 180° and transposed. */
  int weight, x, y, rotated;
} Phases;

/* Bytes of scratch memory for all phases, and the kernel, which chooses a dense algorithm for the input gradient where that is faster. */
size_t NAME(phases_scratch)(const Phases *phases);
#define phases_scratch NAME(phases_scratch)
void NAME(sum_phases)(const Phases *phases, const float *start);
#define sum_phases NAME(sum_phases)

/* y = Σ over taps of x · W, channel by channel; if `rotated`, taps are in reverse order. */
void NAME(sum_depthwise)(const Phases *phases, const float *start);
#define sum_depthwise NAME(sum_depthwise)
