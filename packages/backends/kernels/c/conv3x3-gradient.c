/*
 * Images are processed in bands of rows, or several small images at a time. Their part of ∂y is copied into the caches strip by strip, with
 * a border of zeros. For each input channel, the non-zero pixels of a band are listed. The channel's nine sums stay in registers while each
 * event adds the 3 × 3 pixels of ∂y around it:
 *
 *     ∂W[a, b, k, :] += x[r, s, k] · ∂y[r + padding − a, s + padding − b, :]
 *
 * Each group of images is summed separately; the groups' sums are then added in order.
 */
#include "conv3x3-gradient.h"

enum { X, DY, DWEIGHT };
enum { TAPS = 9 };
/* Maximum bytes of the sums of all groups, and of a band of a strip of ∂y. */
enum { SUM_BYTES = 1 << 21, BAND_BYTES = 1 << 15 };
/* Maximum pixels of small images processed together: their lists and the copies of all strips are in memory at once. */
enum { TOGETHER = 1 << 10 };
/* Maximum groups of images; target number of pieces of work; minimum channels in a piece. */
enum { GROUPS = 8, PIECES = 8, SOME_CHANNELS = 8 };

typedef struct {
  const Call *call;
  Convolution c;
  int spikes;
  /* Images in a group, groups; channels in a piece, pieces per group. */
  int32_t images, groups, channels, chunks;
  /* Rows of x in a band; images processed together, 1 if an image has several bands; strips of outputs. */
  int32_t band, together, strips;
  /* Pixels in a row and in an image of the copy of ∂y; floats in the copy of a strip. */
  int32_t line, plane;
  size_t strip;
  /* Capacity of a channel's list, in events. */
  int64_t list;
  size_t sum_bytes, copy_bytes, list_bytes;
} Plan;

static Plan plan_of(const Call *call) {
  Plan p = {.call = call, .c = convolution_of(call, X, DWEIGHT, DY), .spikes = is_spikes(call, X)};
  const Convolution *c = &p.c;
  p.strips = ceiling(c->outputs, LANES);
  p.sum_bytes = 4 * (size_t)p.strips * LANES * TAPS * c->inputs;
  p.groups = larger(1, smaller(smaller(GROUPS, c->batch), (int32_t)(SUM_BYTES / (p.sum_bytes + 1))));
  p.images = larger(1, ceiling(c->batch, p.groups));
  p.groups = larger(1, ceiling(c->batch, p.images));
  p.chunks = larger(1, smaller(ceiling(PIECES, larger(1, p.groups)), c->inputs / SOME_CHANNELS));
  p.channels = ceiling(c->inputs, p.chunks);

  p.line = c->width + 2;
  p.band = larger(1, smaller(c->height, BAND_BYTES / (4 * LANES) / p.line - 2));
  p.plane = (p.band + 2) * p.line;
  p.together = p.band < c->height ? 1 : larger(1, smaller(p.images, smaller(BAND_BYTES / (4 * LANES), TOGETHER) / p.plane));
  p.strip = (size_t)p.together * p.plane * LANES;
  p.copy_bytes = align64(4 * p.strip * p.strips);
  p.list = (int64_t)p.together * p.band * c->width;
  p.list_bytes = event_bytes(p.channels * p.list, p.spikes) + align64(4 * (size_t)p.channels);
  return p;
}

size_t conv3x3_gradient_scratch(const Call *call) {
  const Plan p = plan_of(call);
  return (p.groups > 1 ? p.groups * p.sum_bytes : 0) + (size_t)call->run->threads * (p.copy_bytes + p.list_bytes);
}

/* Layout of the sums: the distances between taps, channels and strips, in floats. */
typedef struct {
  float *begin;
  size_t tap, channel, strip;
} Sums;

/* The sums of a single group are in ∂W itself; those of several are contiguous in scratch memory. */
static Sums sums_of(const Plan *p, int32_t group) {
  const Convolution *c = &p->c;
  if (p->groups == 1) return (Sums){floats(p->call, DWEIGHT), (size_t)c->inputs * c->outputs, (size_t)c->outputs, LANES};
  return (Sums){(float *)(p->call->run->scratch + group * p->sum_bytes), LANES, TAPS * LANES, (size_t)TAPS * LANES * c->inputs};
}

/* The lists of one piece's channels. */
typedef struct {
  Events events;
  int32_t *counts;
} Lists;

/* Lists rows from … to − 1 of the i-th image of the copy of ∂y. Indices are positions in the copy. */
static void fill_lists(const Plan *p, int32_t image, int32_t i, int32_t from, int32_t to, int32_t first, int32_t count, Lists l) {
  const Convolution *c = &p->c;
  for (int32_t r = from; r < to; r++)
    for (int32_t s = 0; s < c->width; s++) {
      const size_t pixel = ((size_t)image * c->height + r) * c->width + s;
      const uint32_t position = (uint32_t)(i * p->plane + (r - from) * p->line + s);
      const float *x = p->spikes ? 0 : floats(p->call, X) + pixel * c->inputs + first;
      for (int32_t k = 0; k < count; k += 64)
        for (uint64_t bits = event_bits(p->call, X, pixel, first + k, smaller(64, count - k)); bits; bits &= bits - 1) {
          const int32_t channel = k + __builtin_ctzll(bits);
          const Events own = from_event(l.events, channel * p->list + l.counts[channel]++);
          *own.index = position;
          if (x) *own.value = x[channel];
        }
    }
}

/* Copies the pixels of ∂y around those rows, strip by strip; columns beyond the edges of ∂y stay 0. */
static void copy_band(const Plan *p, int32_t image, int32_t first, int32_t last, float *copy) {
  const Convolution *c = &p->c;
  /* Column of the copy that holds the first column of ∂y. */
  const int32_t left = 2 - c->columns.before;
  for (int32_t i = 0; i < last - first + 2; i++) {
    const int32_t r = first + i + c->rows.before - 2;
    float *const row = copy + ((size_t)i * p->line + left) * LANES;
    if (r < 0 || r >= c->out_height) {
      for (int32_t s = 0; s < p->strips; s++) __builtin_memset(row + s * p->strip, 0, 4 * (size_t)c->out_width * LANES);
      continue;
    }
    const float *dy = floats(p->call, DY) + ((size_t)image * c->out_height + r) * c->out_width * c->outputs;
    for (int32_t s = 0; s < p->strips; s++) {
      const float *from = dy + s * LANES;
      float *to = row + s * p->strip;
      const int32_t width = c->outputs - s * LANES;
      if (width >= LANES)
        for (int32_t j = 0; j < c->out_width; j++, from += c->outputs, to += LANES) store(to, load(from));
      else
        for (int32_t j = 0; j < c->out_width; j++, from += c->outputs, to += LANES) store(to, load_some(from, width));
    }
  }
}

#define EACH_ROW _Pragma("GCC unroll 3") for (int a = 0; a < 3; a++)
#define EACH_COLUMN _Pragma("GCC unroll 3") for (int b = 0; b < 3; b++)

/* Adds the events of one channel to one strip of its sums. */
INLINE void add_events(int kind, float *sums, size_t tap, int32_t width, const float *copy, int32_t line, Events e, int32_t count) {
  vf s[3][3];
  EACH_ROW EACH_COLUMN s[a][b] = load_up_to(sums + (size_t)(3 * a + b) * tap, width);
  for (int32_t i = 0; i < count; i++) {
    const float *bottom = copy + (size_t)e.index[i] * LANES, *middle = bottom + line * LANES, *top = middle + line * LANES;
    IN_REGISTER(bottom);
    IN_REGISTER(middle);
    IN_REGISTER(top);
    const vf value = value_of(kind, e, i);
    EACH_ROW EACH_COLUMN s[a][b] = plus(kind, s[a][b], value, load((a == 0 ? top : a == 1 ? middle : bottom) + (2 - b) * LANES));
  }
  EACH_ROW EACH_COLUMN store_up_to(sums + (size_t)(3 * a + b) * tap, width, s[a][b]);
}

/* Sums some channels of a group of images. */
static void sum_piece(void *work, int32_t piece, int32_t thread) {
  const Plan *p = work;
  const Convolution *c = &p->c;
  const int32_t group = piece / p->chunks, first = piece % p->chunks * p->channels, count = smaller(p->channels, c->inputs - first);
  uint8_t *own = p->call->run->scratch + (p->groups > 1 ? p->groups * p->sum_bytes : 0) + (size_t)thread * (p->copy_bytes + p->list_bytes);
  float *copy = (float *)own;
  const int64_t all = p->channels * p->list;
  const Lists l = {events_in(own + p->copy_bytes, all, p->spikes), (int32_t *)(own + p->copy_bytes + event_bytes(all, p->spikes))};
  const Sums sums = sums_of(p, group);
  if (p->groups > 1)
    for (int32_t s = 0; s < p->strips; s++)
      __builtin_memset(sums.begin + s * sums.strip + first * sums.channel, 0, 4 * (size_t)count * sums.channel);
  else if (!p->call->operands[DWEIGHT].accumulate)
    for (int32_t tap = 0; tap < TAPS; tap++)
      __builtin_memset(sums.begin + tap * sums.tap + first * sums.channel, 0, 4 * (size_t)count * sums.channel);
  __builtin_memset(copy, 0, p->copy_bytes);

  const int32_t last = smaller(c->batch, (group + 1) * p->images);
  for (int32_t image = group * p->images; image < last; image += p->together)
    for (int32_t from = 0; from < c->height; from += p->band) {
      __builtin_memset(l.counts, 0, 4 * (size_t)count);
      for (int32_t i = 0; i < smaller(p->together, last - image); i++) {
        const int32_t to = smaller(c->height, from + p->band);
        fill_lists(p, image + i, i, from, to, first, count, l);
        copy_band(p, image + i, from, to, copy + (size_t)i * p->plane * LANES);
      }
      for (int32_t s = 0; s < p->strips; s++)
        for (int32_t k = 0; k < count; k++) {
          float *const to = sums.begin + s * sums.strip + (first + k) * sums.channel;
          const int32_t width = p->groups > 1 ? LANES : c->outputs - s * LANES;
          const Events events = from_event(l.events, k * p->list);
          if (l.counts[k] == 0) continue;
          if (p->spikes) add_events(SPIKE, to, sums.tap, width, copy + s * p->strip, p->line, events, l.counts[k]);
          else add_events(FUSED_PRODUCT, to, sums.tap, width, copy + s * p->strip, p->line, events, l.counts[k]);
        }
    }
}

/* Adds the sums of all groups for one tap. */
static void add_piece(void *work, int32_t tap, int32_t thread) {
  (void)thread;
  const Plan *p = work;
  const Convolution *c = &p->c;
  float *to = floats(p->call, DWEIGHT) + (size_t)tap * c->inputs * c->outputs;
  for (int32_t k = 0; k < c->inputs; k++, to += c->outputs)
    for (int32_t s = 0; s < p->strips; s++) {
      const int32_t width = c->outputs - s * LANES;
      vf sum = splat(0);
      for (int32_t group = 0; group < p->groups; group++) {
        const Sums sums = sums_of(p, group);
        sum += load(sums.begin + s * sums.strip + k * sums.channel + tap * sums.tap);
      }
      if (p->call->operands[DWEIGHT].accumulate) sum += load_up_to(to + s * LANES, width);
      store_up_to(to + s * LANES, width, sum);
    }
}

void conv3x3_gradient(const Call *call) {
  Plan p = plan_of(call);
  parallel(call->run, p.groups * p.chunks, sum_piece, &p);
  if (p.groups > 1) parallel(call->run, TAPS, add_piece, &p);
}
