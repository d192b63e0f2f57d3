/*
 * ∂W[a, b, k, :] = Σ x[n, r, s, k] · ∂y[n, (r + padding − a)/stride, (s + padding − b)/stride, :], where these are whole numbers.
 *
 * For each input channel the pixels where it is not 0 are listed; a tap sums the rows of ∂y that lie a fixed distance from them, in
 * a copy of ∂y with a margin of zeros. Pixels that leave different remainders by the stride are seen by different taps and have lists
 * of their own. Groups of images are summed alone, then those sums in order. Windows of 3 × 3 that move by 1 have ways of
 * their own: see nine-gradient.c and winograd-gradient.h.
 */
#include "convolution.h"
#include "nine-gradient.h"
#include "winograd-gradient.h"

enum { X, DY, DWEIGHT };

/* Bytes that the sums of all groups may take, the lists of one piece, and a strip of ∂y. */
enum { SUM_BYTES = 1 << 20, LIST_BYTES = 1 << 18, MARGIN_BYTES = 1 << 16 };
/* Groups of images at most, and pieces of work that there should be. */
enum { GROUPS = 8, PIECES = 8 };

typedef struct {
  Convolution c;
  int spikes;
  /* Phases of an axis; pixels of a phase to a row and a column of x. */
  int32_t phases, phase_height, phase_width;
  /* The copy of ∂y: its extents, and which of its rows and columns is the first of ∂y. */
  int32_t margin_height, margin_width, margin;
  /* Images of a group, groups; channels of a piece, pieces to all channels; outputs of a strip. */
  int32_t images, groups, channels, chunks, strip;
  /* Events that the list of a channel and phase has room for. */
  int64_t list;
  size_t weight_bytes, list_bytes, margin_bytes;
} Plan;

static Plan plan_of(const Call *call) {
  Plan p = {.c = convolution_of(call, X, DWEIGHT, DY), .spikes = is_spikes(call, X)};
  const Convolution *c = &p.c;
  p.phases = smaller(c->stride, larger(c->height, c->width));
  p.phases = larger(1, p.phases);
  p.phase_height = ceiling(c->height, c->stride);
  p.phase_width = ceiling(c->width, c->stride);
  /* Output i + offset of a pixel i of a phase: offsets reach from −⌈(size − 1)/stride⌉ to ⌈padding/stride⌉. */
  p.margin = ceiling(c->size - 1, c->stride);
  p.margin_height = p.phase_height + p.margin + ceiling(c->padding, c->stride) + 1;
  p.margin_width = p.phase_width + p.margin + ceiling(c->padding, c->stride) + 1;

  const int64_t weights = 4 * (int64_t)shape(call, DWEIGHT)->size;
  p.weight_bytes = align64((size_t)weights);
  p.groups = larger(1, smaller(smaller(GROUPS, c->batch), (int32_t)(SUM_BYTES / (weights + 1))));
  p.images = ceiling(c->batch, p.groups);
  p.groups = ceiling(c->batch, larger(1, p.images));

  p.list = (int64_t)p.phase_height * p.phase_width + SLACK;
  const int64_t lists = p.phases * p.phases * p.list, each = (p.spikes ? 4 : 8) * lists;
  const int32_t most = each > LIST_BYTES ? 1 : (int32_t)(LIST_BYTES / each);
  const int32_t fair = ceiling(c->inputs, ceiling(PIECES, larger(1, p.groups)));
  p.chunks = ceiling(c->inputs, larger(1, smaller(c->inputs, smaller(most, larger(8, fair)))));
  p.channels = larger(1, ceiling(c->inputs, larger(1, p.chunks)));
  p.list_bytes = event_bytes(p.channels * lists, p.spikes) + align64(4 * (size_t)p.channels * p.phases * p.phases);

  const int64_t plane = 4 * (int64_t)p.margin_height * p.margin_width;
  const int32_t vectors = (int32_t)(MARGIN_BYTES / (plane * LANES > MARGIN_BYTES ? MARGIN_BYTES : plane * LANES));
  p.strip = smaller(c->outputs, LANES * larger(2, smaller(STRIP_VECTORS, vectors)));
  p.margin_bytes = align64((size_t)plane * (size_t)p.strip);
  return p;
}

typedef struct {
  const Call *call;
  Plan plan;
} Work;

/* Where the sums of a group lie: of the only one, in ∂W itself. */
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
  return from_event(l.events, ((int64_t)channel * p->phases * p->phases + phase) * p->list);
}

static void fill_lists(const Work *w, int32_t image, int32_t first, int32_t count, Lists l) {
  const Plan *p = &w->plan;
  const Convolution *c = &p->c;
  const int32_t phases = p->phases * p->phases;
  __builtin_memset(l.counts, 0, 4 * (size_t)count * phases);
  for (int32_t r = 0; r < c->height; r++) {
    const int32_t row_phase = r % c->stride * p->phases, row = r / c->stride * p->margin_width;
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
      if (++phase == c->stride) phase = 0, column++;
    }
  }
}

/* A strip of ∂y of one image, amid zeros. */
static void copy_strip(const Work *w, int32_t image, int32_t first, int32_t width, float *to) {
  const Plan *p = &w->plan;
  const Convolution *c = &p->c;
  const int32_t rows = smaller(c->out_height, p->margin_height - p->margin), columns = smaller(c->out_width, p->margin_width - p->margin);
  for (int32_t i = 0; i < rows; i++) {
    const float *from = floats(w->call, DY) + (size_t)(image * c->out_height + i) * c->out_width * c->outputs + first;
    float *row = to + (size_t)((i + p->margin) * p->margin_width + p->margin) * p->strip;
    for (int32_t j = 0; j < columns; j++) __builtin_memcpy(row + (size_t)j * p->strip, from + (size_t)j * c->outputs, 4 * (size_t)width);
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
  const int64_t all = p->channels * (p->phases * p->phases * p->list);
  const Lists l = {events_in(own + p->margin_bytes, all, p->spikes), (int32_t *)(own + p->margin_bytes + event_bytes(all, p->spikes))};

  const int32_t taps = c->size * c->size;
  if (p->groups > 1 || !w->call->operands[DWEIGHT].accumulate)
    for (int32_t tap = 0; tap < taps; tap++)
      __builtin_memset(sums + (size_t)(tap * c->inputs + first) * c->outputs, 0, 4 * (size_t)count * c->outputs);
  __builtin_memset(strip, 0, p->margin_bytes);

  const int32_t last = smaller(c->batch, (group + 1) * p->images);
  for (int32_t image = group * p->images; image < last; image++) {
    fill_lists(w, image, first, count, l);
    for (int32_t o = 0; o < c->outputs; o += p->strip) {
      const int32_t width = smaller(p->strip, c->outputs - o);
      copy_strip(w, image, o, width, strip);
      for (int32_t k = 0; k < count; k++)
        for (int32_t tap = 0; tap < taps; tap++) {
          const int32_t a = tap / c->size, b = tap % c->size;
          /* The phase that sees this tap, and how far its outputs lie from its pixels. */
          const int32_t row_phase = (a + c->stride * c->padding - c->padding) % c->stride;
          const int32_t column_phase = (b + c->stride * c->padding - c->padding) % c->stride;
          if (row_phase >= p->phases || column_phase >= p->phases) continue;
          const int32_t down = (row_phase + c->padding - a) / c->stride + p->margin;
          const int32_t right = (column_phase + c->padding - b) / c->stride + p->margin;
          const int32_t phase = row_phase * p->phases + column_phase;
          add_rows(FUSED, sums + (size_t)(tap * c->inputs + first + k) * c->outputs + o, width,
                   strip + (size_t)(down * p->margin_width + right) * p->strip, (size_t)p->strip, 0, list(p, l, k, phase),
                   l.counts[k * p->phases * p->phases + phase]);
        }
    }
  }
}

static void add_block(const Call *call, int32_t first, int32_t count) {
  const Plan p = plan_of(call);
  float sum[BLOCK] = {0};
  for (int32_t group = 0; group < p.groups; group++) {
    const float *part = (const float *)(call->run->scratch + (size_t)group * p.weight_bytes) + first;
    for (int32_t i = 0; i < count; i++) sum[i] += part[i];
  }
  give(call, DWEIGHT, first, count, sum);
}

CHECK(conv_weight_gradient) { return convolution_fits(call, X, DWEIGHT, DY); }
SCRATCH(conv_weight_gradient) {
  const Convolution c = convolution_of(call, X, DWEIGHT, DY);
  if (has_nine_gradient(&c)) {
    const size_t events = nine_gradient_scratch(call), winograd = winograd_gradient_scratch(call);
    return events > winograd ? events : winograd;
  }
  const Plan p = plan_of(call);
  return (p.groups > 1 ? (size_t)p.groups * p.weight_bytes : 0) + (size_t)call->run->threads * (p.list_bytes + p.margin_bytes);
}
KERNEL(conv_weight_gradient) {
  const Convolution c = convolution_of(call, X, DWEIGHT, DY);
  if (has_nine_gradient(&c)) {
    if (is_winograd_gradient(call)) winograd_gradient(call);
    else nine_gradient(call);
    return;
  }
  Work w = {call, plan_of(call)};
  parallel(call->run, w.plan.groups * w.plan.chunks, sum_piece, &w);
  if (w.plan.groups > 1) each_block(call, shape(call, DWEIGHT)->size, add_block);
}
