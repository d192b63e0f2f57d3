/*
 * ∂W[a, b, k, :] = Σ x[n, r, s, k] · ∂y[n, (r + padding − a)/stride, (s + padding − b)/stride, :], where these are whole numbers.
 *
 * For each input channel the pixels where it is not 0 are listed; a tap sums the rows of ∂y that lie a fixed distance from them, in
 * a copy of ∂y with a margin of zeros. Pixels that leave different remainders by the stride are seen by different taps and have lists
 * of their own. Groups of images are summed alone, then those sums in order.
 */
#include "convolution.h"
#include "nine.h"

enum { X, DY, DWEIGHT };

/* Bytes that the sums of all groups may take, the lists of one piece, and a strip of ∂y. */
enum { SUM_BYTES = 1 << 20, LIST_BYTES = 1 << 18, MARGIN_BYTES = 1 << 16 };
/* Groups of images at most, and pieces of work that there should be. */
enum { GROUPS = 8, PIECES = 8 };

typedef struct {
  Convolution c;
  int spikes;
  /* Windows of 3 × 3 that move by 1. */
  int nine;
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
  p.channels = larger(1, smaller(c->inputs, smaller(most, larger(8, fair))));
  p.chunks = ceiling(c->inputs, p.channels);
  p.list_bytes = event_bytes(p.channels * lists, p.spikes) + align64(4 * (size_t)p.channels * p.phases * p.phases);

  const int64_t plane = 4 * (int64_t)p.margin_height * p.margin_width;
  const int32_t vectors = (int32_t)(MARGIN_BYTES / (plane * LANES > MARGIN_BYTES ? MARGIN_BYTES : plane * LANES));
  p.nine = c->size == 3 && c->stride == 1;
  p.strip = p.nine ? LANES : smaller(c->outputs, LANES * larger(2, smaller(STRIP_VECTORS, vectors)));
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
  __builtin_memset(l.counts, 0, 4 * (size_t)count * p->phases * p->phases);
  for (int32_t r = 0; r < c->height; r++)
    for (int32_t s = 0; s < c->width; s++) {
      const int32_t phase = r % c->stride * p->phases + s % c->stride;
      const uint32_t position = (uint32_t)(r / c->stride * p->margin_width + s / c->stride);
      const int32_t at = ((image * c->height + r) * c->width + s) * c->inputs + first;
      for (int32_t k = 0; k < count; k += 64) {
        uint32_t index[64 + SLACK];
        float value[64 + SLACK];
        const Events here = {index, p->spikes ? 0 : value};
        const int32_t found = collect(w->call, X, at + k, smaller(64, count - k), (uint32_t)k, here);
        for (int32_t e = 0; e < found; e++) {
          const int32_t which = (int32_t)index[e] * p->phases * p->phases + phase;
          const Events own = from_event(l.events, which * p->list + l.counts[which]++);
          *own.index = position;
          if (!p->spikes) *own.value = value[e];
        }
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
    if (width == LANES && p->strip == LANES)
      for (int32_t j = 0; j < columns; j++) store(row + (size_t)j * LANES, load(from + (size_t)j * c->outputs));
    else
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
      for (int32_t k = 0; k < count; k++) {
        if (p->nine) {
          const int32_t begin = p->margin + c->padding - 2;
          add_nine(sums + (size_t)(first + k) * c->outputs + o, (size_t)c->inputs * c->outputs, width,
                   strip + (size_t)(begin * p->margin_width + begin) * LANES, p->margin_width, list(p, l, k, 0), l.counts[k]);
          continue;
        }
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
  const Plan p = plan_of(call);
  return (p.groups > 1 ? (size_t)p.groups * p.weight_bytes : 0) + (size_t)call->run->threads * (p.list_bytes + p.margin_bytes);
}
KERNEL(conv_weight_gradient) {
  Work w = {call, plan_of(call)};
  parallel(call->run, w.plan.groups * w.plan.chunks, sum_piece, &w);
  if (w.plan.groups > 1) each_block(call, shape(call, DWEIGHT)->size, add_block);
}
