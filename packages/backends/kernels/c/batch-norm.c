/*
 * y = weight·(x − mean)/√(variance + ε) + bias for each channel: see core's ops/batch-norm.ts. Sums are in float64: one for each piece of
 * rows, then added in order.
 */
#include "elementary.h"
#include "kernel.h"

static const double epsilon = 1e-5, momentum = 0.1;

/* Rows have as many channels as the weight; one may span several rows of an x that was not flattened. */
typedef struct {
  const Call *call;
  int32_t channels, rows, rows_per_piece, pieces;
} Rows;

/* Channels processed at a time. */
enum { STRIP = 256 };

static Rows rows_of(const Call *call, int x, int weight) {
  const int32_t channels = shape(call, weight)->size, rows = channels ? shape(call, x)->size / channels : 0;
  /* At most 64 pieces, which bounds the memory of their sums. */
  const int32_t rows_per_piece = larger(larger(1, PIECE / larger(1, channels)), ceiling(rows, 64));
  return (Rows){call, channels, rows, rows_per_piece, ceiling(rows, rows_per_piece)};
}

/* Two sums for each piece and channel; those of the first piece are overwritten by the moments as they are added. */
static size_t bytes_of_sums(Rows r) { return sizeof(double) * 2 * (size_t)larger(1, r.pieces) * (size_t)r.channels; }

/* The two sums of a channel, over all pieces. */
static void total(Rows r, int32_t c, double *first, double *second) {
  const double *sums = (const double *)r.call->run->scratch;
  *first = *second = 0;
  for (int32_t piece = 0; piece < r.pieces; piece++) {
    *first += sums[2 * piece * (size_t)r.channels + c];
    *second += sums[(2 * piece + 1) * (size_t)r.channels + c];
  }
}

static int fits(const Call *call, int x, int weight) {
  const int32_t channels = shape(call, weight)->size;
  return channels == 0 ? shape(call, x)->size == 0 : shape(call, x)->size % channels == 0;
}

/* Whether a row of the weight's channels is made of whole rows of y, which `finish` requires. */
static int rows_fit(const Call *call, int y, int weight) {
  const int32_t channels = shape(call, y)->channels;
  return channels == 0 || shape(call, weight)->size % channels == 0;
}

/* ------------------------------------------------------------------ forward */

enum { X, WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VARIANCE, MEAN, INVERSE_DEVIATION, Y };

/* y = (x − mean)·scale + bias for a strip of channels of one row. The mean is split in two parts, beyond the precision of float32. */
typedef struct {
  float high[STRIP], low[STRIP], scale[STRIP], bias[STRIP];
} Affine;

typedef struct {
  Rows rows;
  int y;
  /* Computes the mean and 1/√(variance + ε) of a channel. */
  void (*moments)(Rows, int32_t channel, double *mean, double *inverse);
} Normalization;

static void normalize_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Normalization *n = work;
  const Rows r = n->rows;
  const Call *call = r.call;
  const int32_t begin = piece * r.rows_per_piece, end = smaller(r.rows, begin + r.rows_per_piece);
  /* Few enough rows at a time that the next kernel finds them in the cache. */
  const int32_t group = larger(1, PIECE / larger(1, r.channels)), per_row = r.channels / larger(1, shape(call, n->y)->channels);
  for (int32_t first = begin; first < end; first += group) {
    const int32_t last = smaller(end, first + group);
    for (int32_t strip = 0; strip < r.channels; strip += STRIP) {
      const int32_t count = smaller(STRIP, r.channels - strip);
      Affine a;
      for (int32_t c = 0; c < count; c++) {
        double mean, inverse;
        n->moments(r, strip + c, &mean, &inverse);
        a.high[c] = (float)mean;
        a.low[c] = (float)(mean - a.high[c]);
        a.scale[c] = (float)(inverse * floats(call, WEIGHT)[strip + c]);
        a.bias[c] = floats(call, BIAS)[strip + c];
      }
      for (int32_t row = first; row < last; row++) {
        float buffer[STRIP];
        const int32_t at = row * r.channels + strip;
        const float *x = values(call, X, at, count, buffer);
        float *restrict y = floats(call, n->y) + at;
        for (int32_t c = 0; c < count; c++) y[c] = ((x[c] - a.high[c]) - a.low[c]) * a.scale[c] + a.bias[c];
      }
    }
    finish(call, first * per_row, (last - first) * per_row);
  }
}

/* Σ x and Σ x² of a piece of rows. */
static void sums_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Rows r = *(const Rows *)work;
  const Call *call = r.call;
  double *sums = (double *)call->run->scratch + 2 * piece * (size_t)r.channels, *squares = sums + r.channels;
  const int32_t begin = piece * r.rows_per_piece, end = smaller(r.rows, begin + r.rows_per_piece);
  for (int32_t strip = 0; strip < r.channels; strip += STRIP) {
    const int32_t count = smaller(STRIP, r.channels - strip);
    double sum[STRIP] = {0}, square[STRIP] = {0};
    for (int32_t row = begin; row < end; row++) {
      float buffer[STRIP];
      const float *x = values(call, X, row * r.channels + strip, count, buffer);
      for (int32_t c = 0; c < count; c++) {
        const double value = x[c];
        sum[c] += value;
        square[c] += value * value;
      }
    }
    __builtin_memcpy(sums + strip, sum, sizeof(double) * (size_t)count);
    __builtin_memcpy(squares + strip, square, sizeof(double) * (size_t)count);
  }
}

static void batch_moments(Rows r, int32_t c, double *mean, double *inverse) {
  const double *moments = (const double *)r.call->run->scratch;
  *mean = moments[c];
  *inverse = moments[(size_t)r.channels + c];
}

CHECK(batch_norm_forward) {
  for (int i = BIAS; i <= INVERSE_DEVIATION; i++)
    if (!same_size(call, WEIGHT, i)) return 0;
  return fits(call, X, WEIGHT) && same_size(call, X, Y) && rows_fit(call, Y, WEIGHT) && call->attributes[0] >= 0 &&
         call->attributes[0] <= 1 << 20;
}
SCRATCH(batch_norm_forward) { return bytes_of_sums(rows_of(call, X, WEIGHT)); }
KERNEL(batch_norm_forward) {
  Rows r = rows_of(call, X, WEIGHT);
  parallel(call->run, r.pieces, sums_piece, &r);
  double *moments = (double *)call->run->scratch;
  for (int32_t c = 0; c < r.channels; c++) {
    double sum, squares;
    total(r, c, &sum, &squares);
    const double mean = sum / r.rows;
    /* Rounding may yield a negative variance; NaN is preserved. */
    const double spread = squares - sum * mean, deviations = spread < 0 ? 0 : spread;
    const double inverse = 1 / __builtin_sqrt(deviations / r.rows + epsilon);
    floats(call, MEAN)[c] = (float)mean;
    floats(call, INVERSE_DEVIATION)[c] = (float)inverse;
    float *running_mean = floats(call, RUNNING_MEAN) + c, *running_variance = floats(call, RUNNING_VARIANCE) + c;
    for (int32_t update = 0; update < call->attributes[0]; update++) {
      *running_mean = (float)(*running_mean + momentum * (mean - *running_mean));
      *running_variance = (float)(*running_variance + momentum * (deviations / larger(1, r.rows - 1) - *running_variance));
    }
    moments[c] = mean;
    moments[(size_t)r.channels + c] = inverse;
  }
  Normalization n = {r, Y, batch_moments};
  parallel(call->run, r.pieces, normalize_piece, &n);
}

enum { INFERENCE_Y = 5 };

static void running_moments(Rows r, int32_t c, double *mean, double *inverse) {
  *mean = floats(r.call, RUNNING_MEAN)[c];
  *inverse = 1 / __builtin_sqrt(floats(r.call, RUNNING_VARIANCE)[c] + epsilon);
}

CHECK(batch_norm_inference) {
  for (int i = BIAS; i <= RUNNING_VARIANCE; i++)
    if (!same_size(call, WEIGHT, i)) return 0;
  return fits(call, X, WEIGHT) && same_size(call, X, INFERENCE_Y) && rows_fit(call, INFERENCE_Y, WEIGHT);
}
KERNEL(batch_norm_inference) {
  Normalization n = {rows_of(call, X, WEIGHT), INFERENCE_Y, running_moments};
  parallel(call->run, n.rows.pieces, normalize_piece, &n);
}

/* ------------------------------------------------------------------ backward */

/* ∂bias = Σ∂y,  ∂weight = Σ∂y·x̂,  ∂x = weight·inverseDeviation·(∂y − mean(∂y) − x̂·mean(∂y·x̂)) */
enum { BACK_MEAN = 2, BACK_INVERSE, DY, DX, DWEIGHT, DBIAS };

/* Σ∂y and Σ∂y·x̂ of a piece of rows. */
static void projections_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Rows r = *(const Rows *)work;
  const Call *call = r.call;
  double *sums = (double *)call->run->scratch + 2 * piece * (size_t)r.channels, *projections = sums + r.channels;
  const int32_t begin = piece * r.rows_per_piece, end = smaller(r.rows, begin + r.rows_per_piece);
  for (int32_t strip = 0; strip < r.channels; strip += STRIP) {
    const int32_t count = smaller(STRIP, r.channels - strip);
    const float *mean = floats(call, BACK_MEAN) + strip, *inverse = floats(call, BACK_INVERSE) + strip;
    double sum[STRIP] = {0}, projection[STRIP] = {0};
    for (int32_t row = begin; row < end; row++) {
      float buffer[STRIP];
      const int32_t at = row * r.channels + strip;
      const float *x = values(call, X, at, count, buffer), *dy = floats(call, DY) + at;
      for (int32_t c = 0; c < count; c++) {
        sum[c] += dy[c];
        projection[c] += (double)dy[c] * ((x[c] - mean[c]) * inverse[c]);
      }
    }
    __builtin_memcpy(sums + strip, sum, sizeof(double) * (size_t)count);
    __builtin_memcpy(projections + strip, projection, sizeof(double) * (size_t)count);
  }
}

static void input_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Rows r = *(const Rows *)work;
  const Call *call = r.call;
  const double *moments = (const double *)call->run->scratch;
  const int32_t begin = piece * r.rows_per_piece, end = smaller(r.rows, begin + r.rows_per_piece);
  for (int32_t strip = 0; strip < r.channels; strip += STRIP) {
    const int32_t count = smaller(STRIP, r.channels - strip);
    const float *mean = floats(call, BACK_MEAN) + strip, *inverse = floats(call, BACK_INVERSE) + strip;
    float factor[STRIP], offset[STRIP], slope[STRIP];
    for (int32_t c = 0; c < count; c++) {
      factor[c] = floats(call, WEIGHT)[strip + c] * inverse[c];
      offset[c] = (float)(moments[strip + c] / r.rows);
      slope[c] = (float)(moments[(size_t)r.channels + strip + c] / r.rows);
    }
    for (int32_t row = begin; row < end; row++) {
      float buffer[STRIP], dx[STRIP];
      const int32_t at = row * r.channels + strip;
      const float *x = values(call, X, at, count, buffer), *dy = floats(call, DY) + at;
      for (int32_t c = 0; c < count; c++)
        dx[c] = factor[c] * (dy[c] - offset[c] - (x[c] - mean[c]) * inverse[c] * slope[c]);
      write_gradient(call, DX, at, count, dx);
    }
  }
}

CHECK(batch_norm_backward) {
  return fits(call, X, WEIGHT) && same_size(call, WEIGHT, BACK_MEAN) && same_size(call, WEIGHT, BACK_INVERSE) &&
         same_size(call, WEIGHT, DWEIGHT) && same_size(call, WEIGHT, DBIAS) && same_size(call, X, DY) && same_size(call, X, DX);
}
SCRATCH(batch_norm_backward) { return bytes_of_sums(rows_of(call, X, WEIGHT)); }
KERNEL(batch_norm_backward) {
  Rows r = rows_of(call, X, WEIGHT);
  parallel(call->run, r.pieces, projections_piece, &r);
  double *moments = (double *)call->run->scratch;
  for (int32_t c = 0; c < r.channels; c++) {
    double sum, projection;
    total(r, c, &sum, &projection);
    const float bias = (float)sum, weight = (float)projection;
    write_gradient(call, DBIAS, c, 1, &bias);
    write_gradient(call, DWEIGHT, c, 1, &weight);
    moments[c] = sum;
    moments[(size_t)r.channels + c] = projection;
  }
  if (given(call, DX)) parallel(call->run, r.pieces, input_piece, &r);
}
