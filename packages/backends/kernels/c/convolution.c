/*
 * Convolutions whose outputs see only some of the taps: transposed convolutions, and the input gradient
 *
 *     ∂x[r, s, k] = Σ_{a, b, o} ∂y[(r + before − a·dilation)/stride, …, o] · W[a, b, k, o]
 *
 * of a convolution with a stride. Output pixels whose positions leave the same remainders by the stride see the same taps. For each such
 * phase this is a convolution of stride 1 with the phase's taps; for the gradient they are rotated by 180° and transposed.
 */
#include "convolution.h"
#include "dense-windows.h"
#include "conv3x3-events.h"
#include "transpose.h"
#include "winograd.h"

static int axis_fits(const Call *call, int which, int32_t in, int32_t out, int32_t taps, int32_t channels, int32_t outputs) {
  const int32_t *a = call->attributes + which * AXIS_ATTRIBUTES, most = 1 << 14;
  if (taps < 1 || taps > most || a[STRIDE] < 1 || a[STRIDE] > most || a[DILATION] < 1 || a[DILATION] > most || a[SPREAD] < 1 || a[SPREAD] > most)
    return 0;
  const int64_t span = (int64_t)(taps - 1) * a[DILATION] + 1, room = (int64_t)(in - 1) * a[SPREAD] + 1 + a[BEFORE] + a[AFTER] - span;
  /* Transposed convolutions crop where others pad, so padding may be negative. */
  if (a[BEFORE] < -most || a[BEFORE] > most || a[AFTER] < -most || a[AFTER] > most || (a[STRIDE] > 1 && a[SPREAD] > 1)) return 0;
  if (room < 0 || out != room / a[STRIDE] + 1) return 0;
  /* Indices of elements within a row of an image, and within a window, are 32-bit. */
  return ((int64_t)in * a[SPREAD] + 2 * most + span) * channels <= INT32_MAX && ((int64_t)out + span) * outputs <= INT32_MAX;
}

int convolution_fits(const Call *call, int x, int weight, int y) {
  const Buffer *in = shape(call, x), *w = shape(call, weight), *out = shape(call, y);
  const int32_t groups = call->attributes[CHANNEL_GROUPS];
  if (in->rank < 3 || in->rank > 4 || w->rank != in->rank || out->rank != in->rank || groups < 1) return 0;
  const Convolution c = convolution_of(call, x, weight, y);
  if (in->extent[0] != out->extent[0] || c.inputs % groups || c.outputs % groups) return 0;
  if (c.inputs / groups != w->extent[w->rank - 2] || c.outputs != w->extent[w->rank - 1]) return 0;
  return axis_fits(call, 0, c.height, c.out_height, c.rows.taps, 1, 1) &&
         axis_fits(call, 1, c.width, c.out_width, c.columns.taps, c.inputs, c.outputs);
}

/* The same relation with inputs and outputs exchanged, and the taps in reverse order. */
static Slide mirrored(Slide a) { return (Slide){a.out, a.in, a.taps, a.spread, a.dilation * (a.taps - 1) - a.before, a.dilation, a.stride}; }

/* An axis of the windows: if the weight is rotated, x is ∂y. */
static Slide along(const Phases *p, int which) {
  const Slide a = which ? p->c.columns : p->c.rows;
  return p->rotated ? mirrored(a) : a;
}

/* One axis of a phase: pixels phase + spread·i see taps first + every·k, for k < taps. */
typedef struct {
  int32_t pixels, first, every, taps, dilation, before;
} Phase;

static int32_t divisor(int32_t a, int32_t b) {
  while (b) {
    const int32_t rest = a % b;
    a = b, b = rest;
  }
  return a;
}

static Phase phase_of(Slide a, int32_t phase) {
  const int32_t common = divisor(a.dilation, a.spread);
  Phase p = {.pixels = ceiling(larger(0, a.out - phase), a.spread), .every = a.spread / common, .dilation = a.dilation / common};
  while (p.first < p.every && (phase + p.first * a.dilation - a.before) % a.spread) p.first++;
  if (p.first < p.every && p.first < a.taps) p.taps = (a.taps - p.first - 1) / p.every + 1;
  if (p.taps) p.before = -((phase + p.first * a.dilation - a.before) / a.spread);
  return p;
}

static Windows windows_of(const Phases *p, Slide r, Slide s, Phase rows, Phase columns, int32_t row_phase, int32_t column_phase) {
  const Convolution *c = &p->c;
  return (Windows){.call = p->call, .operand = p->x, .spikes = is_spikes(p->call, p->x), .batch = c->batch, .height = r.in, .width = s.in,
                   .channels = p->rotated ? c->outputs : c->inputs, .groups = c->groups,
                   .rows = rows.taps, .columns = columns.taps, .down = r.stride, .across = s.stride,
                   .row_dilation = rows.dilation, .column_dilation = columns.dilation, .top = rows.before, .left = columns.before,
                   .out_height = rows.pixels, .out_width = columns.pixels, .outputs = p->rotated ? c->inputs : c->outputs,
                   .row_step = r.spread, .column_step = s.spread, .y_top = row_phase, .y_left = column_phase,
                   .y_height = r.out, .y_width = s.out, .y = floats(p->call, p->y),
                   .accumulate = p->rotated && p->call->operands[p->y].accumulate, .rounding = p->rotated ? FUSED : ROUNDED};
}

typedef struct {
  const Phases *phases;
  Phase rows, columns;
  /* [taps, channels of a group, outputs]; or packed in blocks of outputs as in dense-windows.h. */
  float *taps;
  int packed;
} Taps;

/* Copies one tap of the phase: weights [inputs of a group, outputs]. */
static void tap_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Taps *t = work;
  const Phases *p = t->phases;
  const Convolution *c = &p->c;
  const int32_t inputs = c->inputs / c->groups, outputs = c->outputs / c->groups;
  int32_t a = t->rows.first + t->rows.every * (piece / t->columns.taps), b = t->columns.first + t->columns.every * (piece % t->columns.taps);
  if (p->rotated) a = c->rows.taps - 1 - a, b = c->columns.taps - 1 - b;
  const size_t tap = (size_t)inputs * c->outputs;
  const float *restrict from = floats(p->call, p->weight) + (size_t)(a * c->columns.taps + b) * tap;
  if (!p->rotated) {
    __builtin_memcpy(t->taps + (size_t)piece * tap, from, 4 * tap);
    return;
  }
  /* Contiguous inputs, and the distance between blocks of them. */
  const int32_t width = t->packed ? BLOCK_OUTPUTS : c->inputs;
  const size_t block = (size_t)t->rows.taps * t->columns.taps * outputs * width;
  float *const to = t->taps + (size_t)piece * outputs * width;
  /* In squares, so that source and destination stay in the cache. */
  enum { SQUARE = BLOCK_OUTPUTS < 16 ? BLOCK_OUTPUTS : 16 };
  for (int32_t g = 0; g < c->groups; g++)
    for (int32_t k = 0; k < inputs; k += SQUARE) {
      const int32_t count = smaller(SQUARE, inputs - k), at = g * inputs + k;
      float *const column = to + at / width * block + at % width;
      for (int32_t o = 0; o < outputs; o += SQUARE)
        transpose(from + (size_t)k * c->outputs + g * outputs + o, (size_t)c->outputs, count, smaller(SQUARE, outputs - o),
                  column + (size_t)o * width, (size_t)width);
      const int32_t padding = t->packed && k + count == inputs ? width - k % width - count : 0;
      if (padding)
        for (int32_t o = 0; o < outputs; o++) __builtin_memset(column + (size_t)o * width + count, 0, 4 * (size_t)padding);
    }
}

/* Bytes of the weights of one phase. */
static size_t tap_bytes(const Windows *w) {
  const size_t outputs = (size_t)ceiling(w->outputs, BLOCK_OUTPUTS) * BLOCK_OUTPUTS;
  return align64(4 * (size_t)w->rows * (size_t)w->columns * outputs * (size_t)(w->channels / w->groups));
}

static int32_t phases_along(Slide a) { return smaller(a.spread, a.out); }

size_t phases_scratch(const Phases *p) {
  const Slide rows = along(p, 0), columns = along(p, 1);
  const int32_t threads = p->call->run->threads;
  size_t most = 0;
  for (int32_t r = 0; r < phases_along(rows); r++)
    for (int32_t s = 0; s < phases_along(columns); s++) {
      const Windows w = windows_of(p, rows, columns, phase_of(rows, r), phase_of(columns, s), r, s);
      const size_t events = are_conv3x3(&w) ? conv3x3_scratch(&w, threads) : windows_scratch(&w, threads);
      const size_t dense = p->rotated && move_by_one(&w) ? dense_windows_scratch(&w, threads) : 0, sums = tap_bytes(&w) + (events > dense ? events : dense);
      const size_t winograd = p->rotated ? winograd_scratch(&w, threads) : 0, bytes = sums > winograd ? sums : winograd;
      if (bytes > most) most = bytes;
    }
  return most;
}

void sum_phases(const Phases *p, const float *start) {
  const Slide rows = along(p, 0), columns = along(p, 1);
  const float share = p->rotated ? nonzero_share(p->call, p->x) : 0;
  for (int32_t r = 0; r < phases_along(rows); r++)
    for (int32_t s = 0; s < phases_along(columns); s++) {
      Taps t = {p, phase_of(rows, r), phase_of(columns, s), (float *)p->call->run->scratch, 0};
      Windows w = windows_of(p, rows, columns, t.rows, t.columns, r, s);
      w.start = start;
      if (p->rotated && are_winograd(&w, share)) {
        w.weight = floats(p->call, p->weight);
        sum_winograd(&w, p->call->run->scratch);
        continue;
      }
      t.packed = p->rotated && are_dense(&w, share);
      w.weight = t.taps;
      parallel(p->call->run, w.rows * w.columns, tap_piece, &t);
      uint8_t *scratch = p->call->run->scratch + tap_bytes(&w);
      if (t.packed) sum_dense_windows(&w, scratch);
      else if (are_conv3x3(&w)) sum_conv3x3(&w, scratch, 0);
      else sum_windows(&w, scratch, 0);
    }
}

/* --- depthwise */

typedef struct {
  const Phases *phases;
  Slide rows, columns;
  const float *start;
} Depthwise;

/* Channels c … c + count − 1 of an output pixel; `image` is the first row of its image in x. */
INLINE void sum_taps(int kind, const Depthwise *d, int32_t i, size_t image, int32_t j, int32_t c, int32_t count, float *y) {
  const Phases *p = d->phases;
  const int32_t channels = p->c.inputs;
  const float *weight = floats(p->call, p->weight) + c;
  const int32_t accumulates = p->rotated && p->call->operands[p->y].accumulate;
  vf sum[WORD_VECTORS];
  for (int v = 0; v < WORD_VECTORS; v++)
    sum[v] = accumulates ? load_up_to(y + v * LANES, count - v * LANES) : d->start ? load_up_to(d->start + c + v * LANES, count - v * LANES) : splat(0);
  for (int32_t a = 0; a < d->rows.taps; a++) {
    const int32_t r = position_of(&d->rows, i, a);
    if (r < 0) continue;
    for (int32_t b = 0; b < d->columns.taps; b++) {
      const int32_t s = position_of(&d->columns, j, b);
      if (s < 0) continue;
      const size_t pixel = (image + (size_t)r) * (size_t)d->columns.in + (size_t)s;
      const int32_t tap = a * d->columns.taps + b, last = d->rows.taps * d->columns.taps - 1;
      const float *w = weight + (size_t)(p->rotated ? last - tap : tap) * channels;
      const uint32_t bits = kind == SPIKE ? words(p->call, p->x)[pixel * (size_t)words_of(channels) + (size_t)(c >> 5)] : 0;
      if (kind == SPIKE && !bits) continue;
      const float *x = kind == SPIKE ? 0 : floats(p->call, p->x) + pixel * (size_t)channels + c;
      for (int v = 0; v < WORD_VECTORS && v * LANES < count; v++) {
        const vf row = load_up_to(w + v * LANES, count - v * LANES);
        if (kind == SPIKE) sum[v] += only(mask_of(bits >> v * LANES), row);
        else sum[v] = plus(kind, sum[v], load_up_to(x + v * LANES, count - v * LANES), row);
      }
    }
  }
  for (int v = 0; v < WORD_VECTORS; v++) store_up_to(y + v * LANES, count - v * LANES, sum[v]);
}

/* Computes one row of y. */
static void depthwise_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Depthwise *d = work;
  const Phases *p = d->phases;
  const int32_t channels = p->c.inputs, width = d->columns.out, i = piece % d->rows.out;
  const size_t image = (size_t)(piece / d->rows.out) * (size_t)d->rows.in;
  for (int32_t j = 0; j < width; j++)
    for (int32_t c = 0; c < channels; c += WORD_CHANNELS) {
      float *y = floats(p->call, p->y) + ((size_t)piece * (size_t)width + (size_t)j) * (size_t)channels + c;
      const int32_t count = smaller(WORD_CHANNELS, channels - c);
      if (is_spikes(p->call, p->x)) sum_taps(SPIKE, d, i, image, j, c, count, y);
      else sum_taps(p->rotated ? FUSED_PRODUCT : PRODUCT, d, i, image, j, c, count, y);
    }
  if (!p->rotated) finish(p->call, piece * width, width);
}

void sum_depthwise(const Phases *p, const float *start) {
  Depthwise d = {p, along(p, 0), along(p, 1), start};
  parallel(p->call->run, p->c.batch * d.rows.out, depthwise_piece, &d);
}
