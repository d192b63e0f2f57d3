/* Shared by all pools: windows over images [batch, height, width, channels]. */
#pragma once
#include "kernel.h"

/* Windows along an axis. Adaptive windows have size 0: window i extends from ⌊i·length/outputs⌋ to ⌈(i + 1)·length/outputs⌉. */
typedef struct {
  int32_t length, outputs, size, stride, before, after, dilation;
} Sliding;

typedef struct {
  int32_t batch, height, width, channels, out_height, out_width;
  Sliding rows, columns;
  /* Factor of each sum; 0 for adaptive windows, whose factor is 1/area. */
  float share;
} Pool;

/* Positions from, from + step … below `to`. */
typedef struct {
  int32_t from, to, step;
} Range;

/* Attributes of each axis, then the factor of the sums, if there is one. */
enum { AXIS_ATTRIBUTES = 5, SHARE = 2 * AXIS_ATTRIBUTES };

INLINE Sliding sliding_of(const int32_t *a, int32_t length, int32_t outputs) {
  return (Sliding){length, outputs, a[0], a[1], a[2], a[3], a[4]};
}

/* Pools operand `image` to operand `pooled`. */
COMPACT Pool pool_of(const Call *call, int image, int pooled, int adaptive) {
  const Image in = image_of(shape(call, image)), out = image_of(shape(call, pooled));
  const int32_t *a = call->attributes;
  Pool p = {in.batch, in.height, in.width, in.channels, out.height, out.width, {in.height, out.height}, {in.width, out.width}, 0};
  if (!adaptive) p.rows = sliding_of(a, in.height, out.height), p.columns = sliding_of(a + AXIS_ATTRIBUTES, in.width, out.width);
  return p;
}

INLINE int32_t span_of(Sliding s) { return (s.size - 1) * s.dilation + 1; }

/* The input positions that output position i reads, within the image. */
COMPACT Range inputs_of_output(Sliding s, int32_t i) {
  if (s.size == 0)
    return (Range){(int32_t)((int64_t)i * s.length / s.outputs), (int32_t)((((int64_t)i + 1) * s.length + s.outputs - 1) / s.outputs), 1};
  const int32_t begin = i * s.stride - s.before;
  return (Range){begin < 0 ? begin + ceiling(-begin, s.dilation) * s.dilation : begin, larger(0, smaller(s.length, begin + span_of(s))),
                 s.dilation};
}

/* The output positions that may read input position i; dilated windows may skip it. */
COMPACT Range outputs_of_input(Sliding s, int32_t i) {
  if (s.size == 0) {
    /* Windows overlap by at most one position, so it suffices to check the neighbours. */
    int32_t from = (int32_t)((int64_t)i * s.outputs / s.length), to = from + 1;
    while (from > 0 && inputs_of_output(s, from - 1).to > i) from--;
    while (to < s.outputs && inputs_of_output(s, to).from <= i) to++;
    while (from < to && inputs_of_output(s, from).to <= i) from++;
    return (Range){from, to, 1};
  }
  const int32_t reach = i + s.before - span_of(s) + 1;
  return (Range){reach <= 0 ? 0 : ceiling(reach, s.stride), smaller(s.outputs, (i + s.before) / s.stride + 1), 1};
}
INLINE int is_skipped(Sliding s, int32_t output, int32_t i) { return s.dilation > 1 && (i + s.before - output * s.stride) % s.dilation; }

/* Factor of the sum of a window. */
INLINE float share_of(Pool p, Range rows, Range columns) {
  return p.rows.size ? p.share : 1 / (float)((rows.to - rows.from) * (columns.to - columns.from));
}

/*
 * Elements first … first + count − 1 of the gradient of images of height × width pixels, from the gradient of their average over adjacent
 * windows of size × size. Pixels at the border that no window covers have gradient 0.
 */
void NAME(unpool)(const float *from, const Buffer *pooled, int32_t height, int32_t width, int32_t size, int32_t first, int32_t count,
                  float *to);
#define unpool NAME(unpool)

/* Whether a buffer has the shape of the average over such windows. */
INLINE int unpool_fits(const Buffer *pooled, int32_t size, int32_t height, int32_t width) {
  return size > 0 && size < 1 << 15 && height >= 0 && width >= 0 && pooled->rank == 4 && pooled->extent[1] == height / size &&
         pooled->extent[2] == width / size;
}

COMPACT int axis_fits(Sliding s) {
  const int32_t most = 1 << 15;
  if (s.size < 1 || s.size > most || s.stride < 1 || s.stride > most || s.before < 0 || s.before > most || s.after < 0 || s.after > most ||
      s.dilation < 1 || s.dilation > most)
    return 0;
  const int64_t room = (int64_t)s.length + s.before + s.after - ((int64_t)(s.size - 1) * s.dilation + 1);
  return room >= 0 && s.outputs == room / s.stride + 1;
}

COMPACT int pool_fits(const Call *call, int image, int pooled, int adaptive) {
  const Buffer *in = shape(call, image), *out = shape(call, pooled);
  if (in->rank < 3 || in->rank > 4 || out->rank != in->rank || in->extent[0] != out->extent[0] || in->channels != out->channels) return 0;
  if (adaptive) return out->size == 0 || in->size > 0;
  const Pool p = pool_of(call, image, pooled, 0);
  return axis_fits(p.rows) && axis_fits(p.columns);
}
