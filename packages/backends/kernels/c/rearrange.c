/* Adds elements of one value to elements of another: see core's ops/rearrange.ts. */
#include "kernel.h"

enum { X, Y };
/* Attributes: the first elements in x and y, then, for each axis, its count and its strides in x and in y. */
enum { FROM, TO, AXES, AXIS_WORDS = 3, MAX_AXES = 7 };

/* `count` contiguous elements. */
static void move_run(const Call *call, int32_t from, int32_t to, int32_t count) {
  float buffer[BLOCK];
  for (int32_t done = 0; done < count; done += BLOCK) {
    const int32_t here = smaller(BLOCK, count - done), first = to + done, channels = shape(call, Y)->channels;
    const float *x = values(call, X, from + done, here, buffer);
    if (!is_spikes(call, Y)) {
      float *restrict y = floats(call, Y) + first;
      for (int32_t i = 0; i < here; i++) y[i] += x[i];
    } else
      for (int32_t i = 0; i < here; i++) {
        if (x[i] == 0) continue;
        const int32_t row = (first + i) / channels, c = (first + i) % channels;
        words(call, Y)[(size_t)row * words_of(channels) + c / 32] |= 1u << c % 32;
      }
  }
}

static void move_axes(const Call *call, int axis, int32_t from, int32_t to) {
  const int32_t *a = call->attributes + AXES + AXIS_WORDS * axis;
  const int is_last = axis == MAX_AXES - 1;
  if (is_last && a[1] == 1 && a[2] == 1) return move_run(call, from, to, a[0]);
  for (int32_t i = 0; i < a[0]; i++, from += a[1], to += a[2])
    if (is_last) move_run(call, from, to, 1);
    else move_axes(call, axis + 1, from, to);
}

static int32_t size_of_sample(const Call *call, int i) { return shape(call, i)->size / extent(call, i, 0); }

/* One sample. */
static void rearrange_piece(void *work, int32_t n, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const Buffer *y = shape(call, Y);
  const int32_t size = size_of_sample(call, Y), row_words = is_spikes(call, Y) ? size / y->channels * words_of(y->channels) : size;
  if (!call->operands[Y].accumulate) __builtin_memset(words(call, Y) + (size_t)n * row_words, 0, 4 * (size_t)row_words);
  move_axes(call, 0, n * size_of_sample(call, X) + call->attributes[FROM], n * size + call->attributes[TO]);
}

CHECK(rearrange) {
  const Buffer *x = shape(call, X), *y = shape(call, Y);
  if (x->rank < 1 || y->rank < 1 || x->extent[0] != y->extent[0]) return 0;
  if (x->size == 0 || y->size == 0) return 0;
  const int32_t *a = call->attributes;
  int64_t last[2] = {a[FROM], a[TO]}, moves = 1;
  if (a[FROM] < 0 || a[TO] < 0) return 0;
  for (const int32_t *axis = a + AXES; axis < a + AXES + AXIS_WORDS * MAX_AXES; axis += AXIS_WORDS) {
    if (axis[0] < 1 || axis[1] < 0 || axis[2] < 0) return 0;
    for (int i = 0; i < 2; i++) {
      last[i] += (int64_t)(axis[0] - 1) * axis[1 + i];
      if (last[i] >= size_of_sample(call, i)) return 0;
    }
    /* No element is moved twice: a forged program must not take forever. */
    moves *= axis[0];
    if (moves > larger(size_of_sample(call, X), size_of_sample(call, Y))) return 0;
  }
  return 1;
}
KERNEL(rearrange) { parallel(call->run, extent(call, X, 0), rearrange_piece, (void *)call); }
