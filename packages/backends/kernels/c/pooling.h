/* What pools share: windows over images [batch, height, width, channels]. */
#pragma once
#include "kernel.h"

typedef struct {
  int32_t batch, height, width, channels, out_height, out_width;
  /* Of windows that slide; adaptive ones have size 0: window i reaches from ⌊i·length/outputs⌋ to ⌈(i + 1)·length/outputs⌉. */
  int32_t size, stride, padding;
} Pool;

typedef struct {
  int32_t from, to;
} Range;

/* Operand `image` is pooled to operand `pooled`. */
INLINE Pool pool_of(const Call *call, int image, int pooled, int adaptive) {
  const int32_t *a = call->attributes, *in = shape(call, image)->extent, *out = shape(call, pooled)->extent;
  return (Pool){in[0], in[1], in[2], in[3], out[1], out[2], adaptive ? 0 : a[0], adaptive ? 0 : a[1], adaptive ? 0 : a[2]};
}

/* The input positions that output position i looks at, within the image. */
INLINE Range looks_at(Pool p, int32_t i, int32_t length, int32_t outputs) {
  if (p.size == 0) return (Range){(int32_t)((int64_t)i * length / outputs), (int32_t)((((int64_t)i + 1) * length + outputs - 1) / outputs)};
  const int32_t begin = i * p.stride - p.padding;
  return (Range){larger(0, begin), larger(0, smaller(length, begin + p.size))};
}

/* The output positions that look at input position i. */
INLINE Range looked_at_by(Pool p, int32_t i, int32_t length, int32_t outputs) {
  if (p.size == 0) {
    /* Windows overlap by one position at most: neighbours are enough to look through. */
    int32_t from = (int32_t)((int64_t)i * outputs / length), to = from + 1;
    while (from > 0 && looks_at(p, from - 1, length, outputs).to > i) from--;
    while (to < outputs && looks_at(p, to, length, outputs).from <= i) to++;
    while (from < to && looks_at(p, from, length, outputs).to <= i) from++;
    return (Range){from, to};
  }
  const int32_t reach = i + p.padding - p.size + 1;
  return (Range){reach <= 0 ? 0 : ceiling(reach, p.stride), smaller(outputs, (i + p.padding) / p.stride + 1)};
}

/* What adaptive windows divide by; sliding ones by their whole size, the padding included. */
INLINE float area_of(Pool p, Range rows, Range columns) {
  return p.size ? (float)(p.size * p.size) : (float)((rows.to - rows.from) * (columns.to - columns.from));
}

/*
 * Elements first … first + count − 1 of the gradient of images of `height` × `width` pixels by that of their average over windows of
 * size × size side by side: what they leave at the border has none.
 */
void NAME(unpool)(const float *from, const Buffer *pooled, int32_t height, int32_t width, int32_t size, int32_t first, int32_t count, float *to);
#define unpool NAME(unpool)

/* Whether a buffer is the average over such windows. */
INLINE int unpool_fits(const Buffer *pooled, int32_t size, int32_t height, int32_t width) {
  return size > 0 && size < 1 << 15 && height >= 0 && width >= 0 && pooled->rank == 4 && pooled->extent[1] == height / size &&
         pooled->extent[2] == width / size;
}

INLINE int pool_fits(const Call *call, int image, int pooled, int adaptive) {
  const Buffer *in = shape(call, image), *out = shape(call, pooled);
  if (in->rank != 4 || out->rank != 4 || in->extent[0] != out->extent[0] || in->extent[3] != out->extent[3]) return 0;
  if (adaptive) return out->size == 0 || in->size > 0;
  const int32_t size = call->attributes[0], stride = call->attributes[1], padding = call->attributes[2], most = 1 << 15;
  if (size < 1 || size > most || stride < 1 || stride > most || padding < 0 || padding > most) return 0;
  for (int axis = 1; axis < 3; axis++) {
    const int64_t room = (int64_t)in->extent[axis] + 2 * padding - size;
    if (room < 0 || out->extent[axis] != room / stride + 1) return 0;
  }
  return 1;
}
