/*
 * ∂W[a, b, k, :] = Σ x[n, r, s, k] · ∂y[n, (r·spread + before − a·dilation)/stride, …, :], over integral indices of ∂y.
 *
 * For each input channel, the non-zero pixels are listed. A tap sums the rows of ∂y at a fixed distance from them, in a copy of ∂y with a
 * margin of zeros. Taps see only the pixels that leave a certain remainder by the stride, so each remainder has its own list. Each group of
 * images is summed separately; the groups' sums are then added in order. 3 × 3 windows with stride 1 have kernels of their own, see
 * conv3x3-gradient.c and winograd-gradient.h, and so have depthwise convolutions, see below.
 */
#include "convolution.h"
#include "conv3x3-gradient.h"
#include "winograd-gradient.h"

enum { X, DY, DWEIGHT };

/* Maximum bytes of the sums of all groups, of the lists of a piece, and of a strip of ∂y. */
enum { SUM_BYTES = 1 << 20, LIST_BYTES = 1 << 18, MARGIN_BYTES = 1 << 16 };
/* Maximum groups of images; target number of pieces of work. */
enum { GROUPS = 8, PIECES = 8 };

/* An axis: phases (remainders by the stride), pixels in a phase; length of the copy of ∂y, and its position of the first element of ∂y. */
typedef struct {
  int32_t phases, pixels, length, margin;
} Extent;

static Extent extent_of(Slide a) {
  const int32_t most = a.stride - 1 + a.before, least = (a.taps - 1) * a.dilation - a.before;
  Extent e = {.phases = larger(1, smaller(a.stride, a.in)), .pixels = ceiling(a.in, a.stride)};
  /* Pixel i of a phase contributes to outputs i + offset, with offsets from −margin to ⌊most/stride⌋. */
  e.margin = least > 0 ? ceiling(least, a.stride) : 0;
  e.length = (larger(1, e.pixels) - 1) * a.spread + e.margin + larger(0, most) / a.stride + 1;
  return e;
}

typedef struct {
  Convolution c;
  int spikes;
  Extent rows, columns;
  /* Images in a group, groups; channels in a piece, pieces per group; outputs in a strip. */
  int32_t images, groups, channels, chunks, strip;
  /* Inputs and outputs of a channel group. */
  int32_t inputs, outputs;
  /* Phases; capacity of the list of a channel and phase, in events. */
  int32_t phases;
  int64_t list;
  size_t weight_bytes, list_bytes, margin_bytes;
} Plan;

/* Divides the images into groups: the sums of all groups must fit SUM_BYTES. */
static void divide(Plan *p, const Call *call) {
  const int64_t weights = 4 * (int64_t)shape(call, DWEIGHT)->size;
  p->weight_bytes = align64((size_t)weights);
  p->groups = larger(1, smaller(smaller(GROUPS, p->c.batch), (int32_t)(SUM_BYTES / (weights + 1))));
  p->images = ceiling(p->c.batch, p->groups);
  p->groups = ceiling(p->c.batch, larger(1, p->images));
}

static Plan plan_of(const Call *call) {
  Plan p = {.c = convolution_of(call, X, DWEIGHT, DY), .spikes = is_spikes(call, X)};
  const Convolution *c = &p.c;
  p.rows = extent_of(c->rows);
  p.columns = extent_of(c->columns);
  p.phases = p.rows.phases * p.columns.phases;
  p.inputs = c->inputs / c->groups;
  p.outputs = c->outputs / c->groups;
  divide(&p, call);

  p.list = (int64_t)p.rows.pixels * p.columns.pixels + SLACK;
  const int64_t lists = p.phases * p.list, each = (p.spikes ? 4 : 8) * lists;
  const int32_t most = each > LIST_BYTES ? 1 : (int32_t)(LIST_BYTES / each);
  const int32_t fair = ceiling(c->inputs, ceiling(PIECES, larger(1, p.groups)));
  p.chunks = ceiling(c->inputs, larger(1, smaller(c->inputs, smaller(most, larger(8, fair)))));
  p.channels = larger(1, ceiling(c->inputs, larger(1, p.chunks)));
  p.list_bytes = event_bytes(p.channels * lists, p.spikes) + align64(4 * (size_t)p.channels * p.phases);

  const int64_t plane = 4 * (int64_t)p.rows.length * p.columns.length;
  const int32_t vectors = (int32_t)(MARGIN_BYTES / (plane * LANES > MARGIN_BYTES ? MARGIN_BYTES : plane * LANES));
  p.strip = smaller(p.outputs, LANES * larger(2, smaller(STRIP_VECTORS, vectors)));
  p.margin_bytes = align64((size_t)plane * (size_t)p.strip);
  return p;
}

typedef struct {
  const Call *call;
  Plan plan;
} Work;

/* The sums of a group: those of a single group are in ∂W itself. */
static float *sums_of(const Work *w, int32_t group) {
  if (w->plan.groups == 1) return floats(w->call, DWEIGHT);
  return (float *)(w->call->run->scratch + (size_t)group * w->plan.weight_bytes);
}

/* The lists of one piece's channels in one image. */
typedef struct {
  Events events;
  int32_t *counts;
} Lists;

static Events list(const Plan *p, Lists l, int32_t channel, int32_t phase) {
  return from_event(l.events, ((int64_t)channel * p->phases + phase) * p->list);
}

static void fill_lists(const Work *w, int32_t image, int32_t first, int32_t count, Lists l) {
  const Plan *p = &w->plan;
  const Convolution *c = &p->c;
  const int32_t phases = p->phases, across = c->columns.stride;
  __builtin_memset(l.counts, 0, 4 * (size_t)count * phases);
  for (int32_t r = 0; r < c->height; r++) {
    const int32_t row_phase = r % c->rows.stride * p->columns.phases, row = r / c->rows.stride * c->rows.spread * p->columns.length;
    for (int32_t s = 0, column = 0, phase = 0; s < c->width; s++) {
      const size_t pixel = ((size_t)image * c->height + r) * c->width + s;
      const float *x = p->spikes ? 0 : floats(w->call, X) + pixel * c->inputs + first;
      for (int32_t k = 0; k < count; k += 64)
        for (uint64_t bits = event_bits(w->call, X, pixel, first + k, smaller(64, count - k)); bits; bits &= bits - 1) {
          const int32_t channel = k + __builtin_ctzll(bits), which = channel * phases + row_phase + phase;
          const Events own = from_event(l.events, which * p->list + l.counts[which]++);
          *own.index = (uint32_t)(row + column);
          if (x) *own.value = x[channel];
        }
      if (++phase == across) phase = 0, column += c->columns.spread;
    }
  }
}

/* Copies a strip of ∂y of one image into the margin of zeros. */
static void copy_strip(const Work *w, int32_t image, int32_t first, int32_t width, float *to) {
  const Plan *p = &w->plan;
  const Convolution *c = &p->c;
  const int32_t rows = smaller(c->out_height, p->rows.length - p->rows.margin), columns = smaller(c->out_width, p->columns.length - p->columns.margin);
  for (int32_t i = 0; i < rows; i++) {
    const float *from = floats(w->call, DY) + (size_t)(image * c->out_height + i) * c->out_width * c->outputs + first;
    float *row = to + (size_t)((i + p->rows.margin) * p->columns.length + p->columns.margin) * p->strip;
    for (int32_t j = 0; j < columns; j++) __builtin_memcpy(row + (size_t)j * p->strip, from + (size_t)j * c->outputs, 4 * (size_t)width);
  }
}

/* The phase of an axis that a tap sees, or −1 for none, and the distance from its pixels to its outputs in the copy. */
static int32_t phase_of(Slide a, const Extent *e, int32_t tap, int32_t *offset) {
  const int32_t rest = (tap * a.dilation - a.before) % a.stride, phase = rest < 0 ? rest + a.stride : rest;
  *offset = (phase + a.before - tap * a.dilation) / a.stride + e->margin;
  return phase < e->phases ? phase : -1;
}

/* Adds to the sums of channels first … last − 1 of one group, for the `width` outputs from o on, whose strip has been copied. */
static void add_strip(const Plan *p, float *sums, const float *strip, Lists l, int32_t begin, int32_t first, int32_t last, int32_t o, int32_t width) {
  const Convolution *c = &p->c;
  for (int32_t k = first; k < last; k++)
    for (int32_t tap = 0; tap < c->rows.taps * c->columns.taps; tap++) {
      int32_t down, right;
      const int32_t row_phase = phase_of(c->rows, &p->rows, tap / c->columns.taps, &down);
      const int32_t column_phase = phase_of(c->columns, &p->columns, tap % c->columns.taps, &right);
      if (row_phase < 0 || column_phase < 0) continue;
      const int32_t phase = row_phase * p->columns.phases + column_phase;
      add_rows(FUSED, sums + ((size_t)tap * p->inputs + k % p->inputs) * c->outputs + o, width,
               strip + (size_t)(down * p->columns.length + right) * p->strip, (size_t)p->strip, 0, list(p, l, k - begin, phase),
               l.counts[(k - begin) * p->phases + phase]);
    }
}

static void sum_piece(void *work, int32_t piece, int32_t thread) {
  const Work *w = work;
  const Plan *p = &w->plan;
  const Convolution *c = &p->c;
  const int32_t group = piece / p->chunks, first = piece % p->chunks * p->channels, count = smaller(p->channels, c->inputs - first);
  float *sums = sums_of(w, group);
  uint8_t *own = w->call->run->scratch + (p->groups > 1 ? (size_t)p->groups * p->weight_bytes : 0) +
                 (size_t)thread * (p->list_bytes + p->margin_bytes);
  float *strip = (float *)own;
  const int64_t all = p->channels * (p->phases * p->list);
  const Lists l = {events_in(own + p->margin_bytes, all, p->spikes), (int32_t *)(own + p->margin_bytes + event_bytes(all, p->spikes))};

  if (p->groups > 1 || !w->call->operands[DWEIGHT].accumulate)
    for (int32_t tap = 0; tap < c->rows.taps * c->columns.taps; tap++)
      for (int32_t k = first; k < first + count; k++)
        __builtin_memset(sums + ((size_t)tap * p->inputs + k % p->inputs) * c->outputs + k / p->inputs * p->outputs, 0, 4 * (size_t)p->outputs);
  __builtin_memset(strip, 0, p->margin_bytes);

  const int32_t last = smaller(c->batch, (group + 1) * p->images);
  for (int32_t image = group * p->images; image < last; image++) {
    fill_lists(w, image, first, count, l);
    for (int32_t from = first; from < first + count;) {
      const int32_t g = from / p->inputs, to = smaller(first + count, (g + 1) * p->inputs);
      for (int32_t o = 0; o < p->outputs; o += p->strip) {
        const int32_t width = smaller(p->strip, p->outputs - o), output = g * p->outputs + o;
        copy_strip(w, image, output, width, strip);
        add_strip(p, sums, strip, l, first, from, to, output, width);
      }
      from = to;
    }
  }
}

/* --- depthwise: each tap has one sum per channel */

INLINE void add_pixel(int kind, const Work *w, size_t pixel, const float *dy, int32_t first, int32_t count, float *to) {
  const int32_t channels = w->plan.c.inputs;
  const uint32_t bits = kind == SPIKE ? words(w->call, X)[pixel * (size_t)words_of(channels) + (size_t)(first >> 5)] : 0;
  if (kind == SPIKE && !bits) return;
  const float *x = kind == SPIKE ? 0 : floats(w->call, X) + pixel * (size_t)channels + first;
  for (int v = 0; v < WORD_VECTORS && v * LANES < count; v++) {
    const int32_t left = count - v * LANES;
    const vf before = load_up_to(to + v * LANES, left), gradient = load_up_to(dy + v * LANES, left);
    const vf sum = plus(kind, before, kind == SPIKE ? splat(1) : load_up_to(x + v * LANES, left),
                        kind == SPIKE ? only(mask_of(bits >> v * LANES), gradient) : gradient);
    store_up_to(to + v * LANES, left, sum);
  }
}

static void depthwise_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Work *w = work;
  const Plan *p = &w->plan;
  const Convolution *c = &p->c;
  const int32_t group = piece / p->chunks, first = piece % p->chunks * WORD_CHANNELS, count = smaller(WORD_CHANNELS, c->inputs - first);
  float *sums = sums_of(w, group) + first;
  if (p->groups > 1 || !w->call->operands[DWEIGHT].accumulate)
    for (int32_t tap = 0; tap < c->rows.taps * c->columns.taps; tap++) __builtin_memset(sums + (size_t)tap * c->inputs, 0, 4 * (size_t)count);
  const int32_t last = smaller(c->batch, (group + 1) * p->images);
  for (int32_t n = group * p->images; n < last; n++)
    for (int32_t i = 0; i < c->out_height; i++)
      for (int32_t a = 0; a < c->rows.taps; a++) {
        const int32_t r = position_of(&c->rows, i, a);
        if (r < 0) continue;
        for (int32_t j = 0; j < c->out_width; j++) {
          const float *dy = floats(w->call, DY) + (((size_t)n * c->out_height + i) * c->out_width + j) * c->inputs + first;
          for (int32_t b = 0; b < c->columns.taps; b++) {
            const int32_t s = position_of(&c->columns, j, b);
            if (s < 0) continue;
            const size_t pixel = ((size_t)n * c->height + r) * c->width + s;
            float *to = sums + (size_t)(a * c->columns.taps + b) * c->inputs;
            if (p->spikes) add_pixel(SPIKE, w, pixel, dy, first, count, to);
            else add_pixel(FUSED_PRODUCT, w, pixel, dy, first, count, to);
          }
        }
      }
}

static Plan depthwise_plan(const Call *call) {
  Plan p = {.c = convolution_of(call, X, DWEIGHT, DY), .spikes = is_spikes(call, X)};
  divide(&p, call);
  p.chunks = ceiling(p.c.inputs, WORD_CHANNELS);
  return p;
}

/* --- */

static Plan chosen(const Call *call, const Convolution *c) { return is_depthwise(c) ? depthwise_plan(call) : plan_of(call); }

static void add_block(const Call *call, int32_t first, int32_t count) {
  const Convolution c = convolution_of(call, X, DWEIGHT, DY);
  const Plan p = chosen(call, &c);
  float sum[BLOCK] = {0};
  for (int32_t group = 0; group < p.groups; group++) {
    const float *part = (const float *)(call->run->scratch + (size_t)group * p.weight_bytes) + first;
    for (int32_t i = 0; i < count; i++) sum[i] += part[i];
  }
  write_gradient(call, DWEIGHT, first, count, sum);
}

CHECK(conv_weight_gradient) { return convolution_fits(call, X, DWEIGHT, DY); }
SCRATCH(conv_weight_gradient) {
  const Convolution c = convolution_of(call, X, DWEIGHT, DY);
  if (has_conv3x3_gradient(&c)) {
    const size_t events = conv3x3_gradient_scratch(call), winograd = winograd_gradient_scratch(call);
    return events > winograd ? events : winograd;
  }
  const Plan p = chosen(call, &c);
  return (p.groups > 1 ? (size_t)p.groups * p.weight_bytes : 0) + (size_t)call->run->threads * (p.list_bytes + p.margin_bytes);
}
KERNEL(conv_weight_gradient) {
  const Convolution c = convolution_of(call, X, DWEIGHT, DY);
  if (has_conv3x3_gradient(&c)) {
    if (is_winograd_gradient(call)) winograd_gradient(call);
    else conv3x3_gradient(call);
    return;
  }
  Work w = {call, chosen(call, &c)};
  parallel(call->run, w.plan.groups * w.plan.chunks, is_depthwise(&c) ? depthwise_piece : sum_piece, &w);
  if (w.plan.groups > 1) each_block(call, shape(call, DWEIGHT)->size, add_block);
}
