/* The maximum of each window; for spikes, whether any fires. The gradient goes to the first maximum: see core's ops/max-pool.ts. */
#include "pooling.h"

enum { X, Y };
enum { BACK_X, DY, DX };
enum { STRIP = 128 };

/* One row of output pixels of one image, from spikes to spikes: one word at a time. */
static void spikes_row(const Call *call, Pool p, int32_t piece) {
  const int32_t n = piece / p.out_height, i = piece % p.out_height, per_row = words_of(p.channels);
  const Range rows = inputs_of_output(p.rows, i);
  for (int32_t j = 0; j < p.out_width; j++) {
    const Range columns = inputs_of_output(p.columns, j);
    for (int32_t w = 0; w < per_row; w++) {
      uint32_t any = 0;
      for (int32_t y = rows.from; y < rows.to; y += rows.step)
        for (int32_t x = columns.from; x < columns.to; x += columns.step)
          any |= words(call, X)[(size_t)((n * p.height + y) * p.width + x) * per_row + w];
      words(call, Y)[(size_t)(piece * p.out_width + j) * per_row + w] = any;
    }
  }
}

/* The maximum of a window and its pixel, for `count` channels from c on. */
static void win(const Call *call, Pool p, int32_t n, Range rows, Range columns, int32_t c, int32_t count, float *best, int32_t *pixel) {
  int first = 1;
  for (int32_t y = rows.from; y < rows.to; y += rows.step)
    for (int32_t x = columns.from; x < columns.to; x += columns.step) {
      float buffer[STRIP];
      const int32_t at = (n * p.height + y) * p.width + x;
      const float *from = values(call, X, at * p.channels + c, count, buffer);
      for (int32_t k = 0; k < count; k++)
        if (first || from[k] > best[k]) best[k] = from[k], pixel[k] = at;
      first = 0;
    }
}

static void floats_row(const Call *call, Pool p, int32_t piece) {
  const int32_t n = piece / p.out_height, i = piece % p.out_height;
  const Range rows = inputs_of_output(p.rows, i);
  for (int32_t j = 0; j < p.out_width; j++) {
    const Range columns = inputs_of_output(p.columns, j);
    for (int32_t c = 0; c < p.channels; c += STRIP) {
      const int32_t count = smaller(STRIP, p.channels - c);
      float best[STRIP];
      int32_t pixel[STRIP];
      win(call, p, n, rows, columns, c, count, best, pixel);
      __builtin_memcpy(floats(call, Y) + (size_t)(piece * p.out_width + j) * p.channels + c, best, 4 * (size_t)count);
    }
  }
}

static int32_t rows_at_a_time(Pool p) { return larger(1, PIECE / larger(1, p.out_width * p.channels)); }

static void forward_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Pool p = pool_of(work, X, Y, 0);
  const int32_t first = piece * rows_at_a_time(p), last = first + smaller(rows_at_a_time(p), p.batch * p.out_height - first);
  for (int32_t i = first; i < last; i++)
    if (is_spikes(work, X)) spikes_row(work, p, i);
    else floats_row(work, p, i);
}

/* Whether no window lies entirely in the padding, where it has no maximum. */
static int all_have_inputs(Sliding s) {
  for (int32_t i = 0; i < s.outputs; i++) {
    const Range r = inputs_of_output(s, i);
    if (r.from >= r.to) return 0;
  }
  return 1;
}
static int windows_fit(const Call *call, int image, int pooled) {
  if (!pool_fits(call, image, pooled, 0)) return 0;
  const Pool p = pool_of(call, image, pooled, 0);
  return shape(call, pooled)->size == 0 || (shape(call, image)->size > 0 && all_have_inputs(p.rows) && all_have_inputs(p.columns));
}

CHECK(max_pool_forward) { return windows_fit(call, X, Y) && is_spikes(call, X) == is_spikes(call, Y); }
KERNEL(max_pool_forward) {
  const Pool p = pool_of(call, X, Y, 0);
  parallel(call->run, ceiling(p.batch * p.out_height, rows_at_a_time(p)), forward_piece, (void *)call);
}

/* One image: clears its gradient unless it accumulates, then adds the gradient of each window to its maximum. */
static void backward_piece(void *work, int32_t n, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const Pool p = pool_of(call, DX, DY, 0);
  const size_t elements = (size_t)p.height * p.width * p.channels;
  if (!call->operands[DX].accumulate) __builtin_memset(floats(call, DX) + n * elements, 0, 4 * elements);
  for (int32_t i = 0; i < p.out_height; i++)
    for (int32_t j = 0; j < p.out_width; j++)
      for (int32_t c = 0; c < p.channels; c += STRIP) {
        const int32_t count = smaller(STRIP, p.channels - c);
        float best[STRIP];
        int32_t pixel[STRIP];
        win(call, p, n, inputs_of_output(p.rows, i), inputs_of_output(p.columns, j), c, count, best, pixel);
        const float *dy = floats(call, DY) + (size_t)((n * p.out_height + i) * p.out_width + j) * p.channels + c;
        for (int32_t k = 0; k < count; k++) floats(call, DX)[(size_t)pixel[k] * p.channels + c + k] += dy[k];
      }
}
CHECK(max_pool_backward) { return windows_fit(call, DX, DY) && same_size(call, BACK_X, DX) && shape(call, BACK_X)->channels == shape(call, DX)->channels; }
KERNEL(max_pool_backward) { parallel(call->run, pool_of(call, DX, DY, 0).batch, backward_piece, (void *)call); }
