/* Average and sum pooling over sliding windows, and adaptive average pooling: see core's ops/average-pool.ts, adaptive-average-pool.ts. */
#include "pooling.h"

enum { X, Y };
enum { DY, DX };
/* Channels c … c + count − 1, at most 32, of one output pixel. */
INLINE void forward_spikes(const Call *call, Pool p, const uint32_t *from, Range rows, Range columns, float share, int32_t count, float *to) {
  const int32_t per_row = words_of(p.channels);
  vf sum[32 / LANES] = {{0}};
  for (int32_t y = rows.from; y < rows.to; y += rows.step)
    for (int32_t x = columns.from; x < columns.to; x += columns.step) {
      const uint32_t word = from[(size_t)(y * p.width + x) * per_row];
      for (int v = 0; v < 32 / LANES; v++) sum[v] = add_ones(sum[v], word >> v * LANES);
    }
  for (int v = 0; v < 32 / LANES && v * LANES < count; v++)
    if ((v + 1) * LANES <= count) store(to + v * LANES, sum[v] * share);
    else store_some(to + v * LANES, count - v * LANES, sum[v] * share);
}

INLINE void forward_floats(Pool p, const float *from, Range rows, Range columns, float share, int32_t count, float *to) {
  float sum[32] = {0};
  for (int32_t y = rows.from; y < rows.to; y += rows.step)
    for (int32_t x = columns.from; x < columns.to; x += columns.step)
      for (int32_t c = 0; c < count; c++) sum[c] += from[(size_t)(y * p.width + x) * p.channels + c];
  for (int32_t c = 0; c < count; c++) to[c] = sum[c] * share;
}

/* One row of output pixels of one image. */
static void forward_row(const Call *call, Pool p, int32_t piece) {
  const int32_t n = piece / p.out_height, pixels = n * p.height * p.width;
  const Range rows = inputs_of_output(p.rows, piece % p.out_height);
  for (int32_t j = 0; j < p.out_width; j++) {
    const Range columns = inputs_of_output(p.columns, j);
    const float share = share_of(p, rows, columns);
    float *to = floats(call, Y) + (size_t)(piece * p.out_width + j) * p.channels;
    for (int32_t c = 0; c < p.channels; c += 32) {
      const int32_t count = smaller(32, p.channels - c);
      if (is_spikes(call, X))
        forward_spikes(call, p, words(call, X) + (size_t)pixels * words_of(p.channels) + (c >> 5), rows, columns, share, count, to + c);
      else forward_floats(p, floats(call, X) + (size_t)pixels * p.channels + c, rows, columns, share, count, to + c);
    }
  }
}

void unpool(const float *from, const Buffer *pooled, int32_t height, int32_t width, int32_t size, int32_t first, int32_t count,
            float *restrict to) {
  const float share = 1 / ((float)size * (float)size);
  const int32_t channels = pooled->extent[3], *out = pooled->extent;
  for (int32_t c = first % channels, x = first / channels % width, row = first / channels / width; count > 0; row++, x = 0) {
    const int32_t i = row % height / size;
    const float *dy = from + (size_t)(row / height * out[1] + i) * out[2] * channels;
    for (int32_t j = x / size, left = size - x % size; x < width && count > 0; x++, c = 0) {
      const int32_t here = smaller(count, channels - c);
      if (i < out[1] && j < out[2])
        for (int32_t k = 0; k < here; k++) to[k] = share * dy[j * channels + c + k];
      else __builtin_memset(to, 0, 4 * (size_t)here);
      to += here, count -= here;
      if (--left == 0) left = size, j++;
    }
  }
}

/* Whether windows tile the axis: no overlap, gap, padding or dilation. */
INLINE int are_tiles(Sliding s) { return s.size > 0 && s.stride == s.size && s.before == 0 && s.dilation == 1; }

/* One row of input pixels of one image. */
static void backward_row(const Call *call, Pool p, int32_t row) {
  const int are_means = are_tiles(p.rows) && are_tiles(p.columns) && p.rows.size == p.columns.size && p.share == 1 / (float)(p.rows.size * p.rows.size);
  if (are_means && shape(call, DX)->rank == 4 && !call->operands[DX].accumulate) {
    const int32_t length = p.width * p.channels;
    return unpool(floats(call, DY), shape(call, DY), p.height, p.width, p.rows.size, row * length, length,
                  floats(call, DX) + (size_t)row * length);
  }
  const int32_t y = row % p.height;
  const Range rows = outputs_of_input(p.rows, y);
  const int accumulate = call->operands[DX].accumulate;
  float *restrict to = floats(call, DX) + (size_t)row * p.width * p.channels;
  for (int32_t x = 0; x < p.width; x++, to += p.channels) {
    const Range columns = outputs_of_input(p.columns, x);
    int clear = !accumulate;
    for (int32_t i = rows.from; i < rows.to; i++)
      for (int32_t j = columns.from; j < columns.to; j++) {
        if (is_skipped(p.rows, i, y) || is_skipped(p.columns, j, x)) continue;
        const float share = share_of(p, inputs_of_output(p.rows, i), inputs_of_output(p.columns, j));
        const float *restrict from = floats(call, DY) + (size_t)((row / p.height * p.out_height + i) * p.out_width + j) * p.channels;
        if (clear)
          for (int32_t c = 0; c < p.channels; c++) to[c] = share * from[c];
        else
          for (int32_t c = 0; c < p.channels; c++) to[c] += share * from[c];
        clear = 0;
      }
    if (clear) __builtin_memset(to, 0, 4 * (size_t)p.channels);
  }
}

/* Rows of pixels in a piece of work. */
static int32_t rows_at_a_time(Pool p) { return larger(1, PIECE / larger(1, p.width * p.channels)); }

static Pool weighted(const Call *call, int image, int pooled, int adaptive) {
  Pool p = pool_of(call, image, pooled, adaptive);
  if (!adaptive) p.share = number(call, SHARE);
  return p;
}

#define POOL(name, row, image, pooled, adaptive, extent)                                           \
  static void name##_piece(void *work, int32_t piece, int32_t thread) {                             \
    (void)thread;                                                                                   \
    const Pool p = weighted(work, image, pooled, adaptive);                                         \
    const int32_t first = piece * rows_at_a_time(p);                                                \
    const int32_t last = first + smaller(rows_at_a_time(p), p.batch * p.extent - first);            \
    for (int32_t i = first; i < last; i++) row(work, p, i);                                         \
  }                                                                                                 \
  CHECK(name) { return pool_fits(call, image, pooled, adaptive); }                                  \
  KERNEL(name) {                                                                                    \
    const Pool p = pool_of(call, image, pooled, adaptive);                                          \
    parallel(call->run, ceiling(p.batch * p.extent, rows_at_a_time(p)), name##_piece, (void *)call); \
  }

POOL(average_pool_forward, forward_row, X, Y, 0, out_height)
POOL(average_pool_backward, backward_row, DX, DY, 0, height)
POOL(adaptive_average_pool_forward, forward_row, X, Y, 1, out_height)
POOL(adaptive_average_pool_backward, backward_row, DX, DY, 1, height)
