/* Convolutions of images, channels last: see core's ops/conv2d.ts. A sequence is an image of one row. */
#pragma once
#include "windows.h"

/* Along an axis, output i sees through tap a the input (i·stride + a·dilation − before)/spread, where that is a whole number. */
typedef struct {
  int32_t in, out, taps, stride, before, dilation, spread;
} Slide;

typedef struct {
  int32_t batch, height, width, inputs;
  int32_t out_height, out_width, outputs;
  int32_t groups;
  Slide rows, columns;
} Convolution;

/* The attributes: for either axis stride, before, after, dilation and spread; then the groups. */
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

/* Whether each output channel sees the input channel of the same number, and no other. */
INLINE int is_depthwise(const Convolution *c) { return c->groups > 1 && c->groups == c->inputs && c->groups == c->outputs; }

/* Whether windows of 3 × 3 move by 1, with at most 2 zeros on every side, the same on opposite ones. */
INLINE int is_nine(const Slide *a) {
  return a->taps == 3 && a->stride == 1 && a->dilation == 1 && a->spread == 1 && a->before >= 0 && a->before <= 2 &&
         a->out == a->in + 2 * a->before - 2;
}

/* The position that output i sees through a tap, or −1. */
INLINE int32_t position_of(const Slide *a, int32_t i, int32_t tap) {
  const int32_t at = i * a->stride + tap * a->dilation - a->before;
  if (at < 0 || (a->spread > 1 && at % a->spread)) return -1;
  const int32_t position = a->spread > 1 ? at / a->spread : at;
  return position < a->in ? position : -1;
}

/* Channels of a pixel that depthwise sums take at a time: those of a word of spikes. */
enum { WORD_CHANNELS = 32, WORD_VECTORS = WORD_CHANNELS / LANES };

int NAME(convolution_fits)(const Call *call, int x, int weight, int y);
#define convolution_fits NAME(convolution_fits)

/* Windows of y over x, whose outputs see the same taps where they leave the same remainders by the spread: the phases of y. */
typedef struct {
  const Call *call;
  Convolution c;
  /* The operands that are the weight, x and y; whether the weight is turned around and transposed. */
  int weight, x, y, turned;
} Phases;

/* Bytes of scratch memory for all phases, and the sums: those of the input gradient choose dense ways by themselves. */
size_t NAME(phases_scratch)(const Phases *phases);
#define phases_scratch NAME(phases_scratch)
void NAME(sum_phases)(const Phases *phases, const float *start);
#define sum_phases NAME(sum_phases)

/* y = Σ over taps of x · W, channel by channel; with `turned`, the last tap comes first. */
void NAME(sum_depthwise)(const Phases *phases, const float *start);
#define sum_depthwise NAME(sum_depthwise)
