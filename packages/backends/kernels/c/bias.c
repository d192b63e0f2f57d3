/* ∂b[c] += Σ ∂y[…, c]: see core's ops/bias.ts. Each piece of rows is summed separately; the pieces' sums are then added in order. */
#include "kernel.h"

enum { DY, DBIAS };

typedef struct {
  const Call *call;
  int32_t channels, rows, rows_per_piece;
} Sum;

static Sum sum_of(const Call *call) {
  const int32_t channels = shape(call, DBIAS)->size, rows = channels ? shape(call, DY)->size / channels : 0;
  return (Sum){call, channels, rows, larger(larger(1, PIECE / larger(1, channels)), ceiling(rows, 64))};
}

static void sum_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Sum *s = work;
  float *sums = (float *)s->call->run->scratch + (size_t)piece * s->channels;
  const int32_t begin = piece * s->rows_per_piece, end = smaller(s->rows, begin + s->rows_per_piece);
  __builtin_memset(sums, 0, 4 * (size_t)s->channels);
  for (int32_t row = begin; row < end; row++) {
    const float *restrict dy = floats(s->call, DY) + (size_t)row * s->channels;
    for (int32_t c = 0; c < s->channels; c++) sums[c] += dy[c];
  }
}

CHECK(bias_gradient) {
  const int32_t channels = shape(call, DBIAS)->size;
  return channels ? shape(call, DY)->size % channels == 0 : shape(call, DY)->size == 0;
}
SCRATCH(bias_gradient) {
  const Sum s = sum_of(call);
  return 4 * (size_t)ceiling(s.rows, s.rows_per_piece) * (size_t)s.channels;
}
KERNEL(bias_gradient) {
  Sum s = sum_of(call);
  const int32_t pieces = ceiling(s.rows, s.rows_per_piece);
  parallel(call->run, pieces, sum_piece, &s);
  const float *sums = (const float *)call->run->scratch;
  for (int32_t c = 0; c < s.channels; c++) {
    double total = 0;
    for (int32_t piece = 0; piece < pieces; piece++) total += sums[(size_t)piece * s.channels + c];
    const float gradient = (float)total;
    write_gradient(call, DBIAS, c, 1, &gradient);
  }
}
