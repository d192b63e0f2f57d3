/*
 * The image is gone through pixel by pixel. The nine sums to which a pixel contributes, those of the windows that hold it, move along
 * with it:
 *
 *     x row r  →  y rows r + top − 2 (ends here), r + top − 1, r + top (begins here)
 *
 * Weights are packed as [lanes of outputs][channel][tap], so that what an event adds lies together and a block of 64 channels stays
 * in the first-level cache.
 */
#include "nine.h"

enum { CHANNELS = 64, TAPS = 9 };
/* Vectors of outputs whose sums fit the registers, where their weights fit the first-level cache too: of so many channels. */
enum { WIDE = VECTOR_BYTES == 64 ? 2 : 1, WIDE_CHANNELS = 32 };
/* Bytes that the events of a band of an image may take; pieces of work that there should be. */
enum { BAND_BYTES = 1 << 18, PIECES = 16 };

typedef struct {
  const Windows *windows;
  /* Blocks of channels; vectors to a block of outputs, blocks of outputs. */
  int32_t blocks, vectors, strips;
  /* Rows of y in a band, bands in an image; rows of x of a band. */
  int32_t height, bands, rows;
  /* Pixels of a row of sums: some lie outside of y. */
  int32_t ring;
  int finishes;
  float *packed;
  uint8_t *own;
  size_t packed_bytes, events, starts, rings;
} Plan;

static Plan plan_of(const Windows *w) {
  Plan p = {.windows = w, .blocks = ceiling(w->channels, CHANNELS), .vectors = w->channels <= WIDE_CHANNELS ? WIDE : 1};
  p.strips = ceiling(w->outputs, p.vectors * LANES);
  const int64_t row = (int64_t)w->width * w->channels * (w->spikes ? 4 : 8);
  const int32_t most = row > BAND_BYTES ? 1 : (int32_t)(BAND_BYTES / larger(1, (int32_t)row));
  p.height = larger(1, smaller(most, ceiling(w->out_height, ceiling(PIECES, larger(1, w->batch)))));
  p.bands = ceiling(w->out_height, p.height);
  p.rows = smaller(w->height, p.height + 2);
  p.ring = larger(w->out_width, w->width + 2) + 4;
  p.packed_bytes = align64((size_t)p.strips * p.vectors * LANES * 4 * TAPS * (size_t)w->channels);
  p.events = event_bytes((int64_t)p.rows * w->width * w->channels, w->spikes);
  p.starts = align64(4 * (size_t)p.blocks * ((size_t)p.rows * (size_t)w->width + 1));
  p.rings = align64(3 * (size_t)p.ring * p.vectors * LANES * 4);
  return p;
}

size_t nine_scratch(const Windows *w, int32_t threads) {
  const Plan p = plan_of(w);
  return p.packed_bytes + (size_t)threads * (p.events + p.starts + p.rings);
}

/* The weights of one strip of outputs. */
static void pack_piece(void *work, int32_t strip, int32_t thread) {
  (void)thread;
  const Plan *p = work;
  const Windows *w = p->windows;
  const int32_t width = p->vectors * LANES, first = strip * width;
  float *to = p->packed + (size_t)strip * width * TAPS * w->channels;
  for (int32_t c = 0; c < w->channels; c++)
    for (int32_t tap = 0; tap < TAPS; tap++) {
      const float *from = w->weight + ((size_t)tap * w->channels + c) * w->outputs + first;
      for (int32_t o = 0; o < width; o += LANES, to += LANES) store(to, load_up_to(from + o, w->outputs - first - o));
    }
}

/* A row of sums, from and to y; o is the strip's first output. */
INLINE void begin_row(const Plan *p, int32_t n, int32_t i, int32_t o, int first_block, float *ring) {
  const Windows *w = p->windows;
  const int32_t width = p->vectors * LANES, known = w->accumulate || !first_block;
  const float *y = w->y + ((size_t)n * w->out_height + i) * w->out_width * w->outputs + o;
  for (int32_t v = 0; v < width; v += LANES) {
    const int32_t count = w->outputs - o - v;
    const vf start = w->start ? load_up_to(w->start + o + v, count) : splat(0);
    for (int32_t j = 0; j < w->out_width; j++)
      store(ring + (size_t)(j + 2) * width + v, known ? load_up_to(y + (size_t)j * w->outputs + v, count) : start);
  }
}

INLINE void end_row(const Plan *p, int32_t n, int32_t i, int32_t o, const float *ring) {
  const Windows *w = p->windows;
  const int32_t width = p->vectors * LANES;
  float *y = w->y + ((size_t)n * w->out_height + i) * w->out_width * w->outputs + o;
  for (int32_t j = 0; j < w->out_width; j++)
    for (int32_t v = 0; v < width; v += LANES)
      store_up_to(y + (size_t)j * w->outputs + v, w->outputs - o - v, load(ring + (size_t)(j + 2) * width + v));
}

/* One row of x: its pixels' events begin at `starts`. */
INLINE void slide(int kind, int vectors, const Windows *w, const int32_t *starts, Events e, const float *weight, float *const rows[3]) {
  const int width = vectors * LANES;
  float *sums[3];
  /* s[a][b]: of the window whose tap (a, b) lies on the pixel, at column left − b of it. */
  vf s[3][3][WIDE];
#define EACH_ROW _Pragma("GCC unroll 3") for (int a = 0; a < 3; a++)
#define EACH_COLUMN _Pragma("GCC unroll 3") for (int b = 0; b < 3; b++)
#define EACH_VECTOR _Pragma("GCC unroll 2") for (int v = 0; v < vectors; v++)
  EACH_ROW {
    sums[a] = rows[a] + (size_t)w->left * width;
    EACH_VECTOR s[a][1][v] = load(sums[a] + width + v * LANES), s[a][2][v] = load(sums[a] + v * LANES);
  }
  for (int32_t x = 0; x < w->width; x++) {
    EACH_ROW EACH_VECTOR s[a][0][v] = load(sums[a] + (size_t)(x + 2) * width + v * LANES);
    for (int32_t i = starts[x]; i < starts[x + 1]; i++) {
      const float *taps = weight + (size_t)e.index[i] * (size_t)(TAPS * width);
      const vf value = value_of(kind, e, i);
      EACH_ROW EACH_COLUMN EACH_VECTOR s[a][b][v] = plus(kind, s[a][b][v], value, load(taps + (3 * a + b) * width + v * LANES));
    }
    EACH_ROW EACH_VECTOR {
      store(sums[a] + (size_t)x * width + v * LANES, s[a][2][v]);
      s[a][2][v] = s[a][1][v];
      s[a][1][v] = s[a][0][v];
    }
  }
  EACH_ROW EACH_VECTOR {
    store(sums[a] + (size_t)w->width * width + v * LANES, s[a][2][v]);
    store(sums[a] + (size_t)(w->width + 1) * width + v * LANES, s[a][1][v]);
  }
}

/* With what is constant known to the compiler. */
static void slide_row(int vectors, const Windows *w, const int32_t *starts, Events e, const float *weight, float *const rows[3]) {
  const int kind = kind_of(w->spikes, w->rounding);
#define KNOWN(KIND, VECTORS) \
  if (kind == KIND && vectors == VECTORS) return slide(KIND, VECTORS, w, starts, e, weight, rows);
  KNOWN(SPIKE, 1) KNOWN(PRODUCT, 1) KNOWN(FUSED_PRODUCT, 1)
#if VECTOR_BYTES == 64
  KNOWN(SPIKE, 2) KNOWN(PRODUCT, 2) KNOWN(FUSED_PRODUCT, 2)
#endif
}

static void band_piece(void *work, int32_t piece, int32_t thread) {
  const Plan *p = work;
  const Windows *w = p->windows;
  const int32_t n = piece / p->bands, first = piece % p->bands * p->height, last = smaller(w->out_height, first + p->height);
  uint8_t *own = p->own + (size_t)thread * (p->events + p->starts + p->rings);
  const Events events = events_in(own, (int64_t)p->rows * w->width * w->channels, w->spikes);
  int32_t *starts = (int32_t *)(own + p->events);
  float *rings = (float *)(own + p->events + p->starts);

  /* Rows from … to − 1 of x; the events of a block of channels, pixel by pixel, then those of the next. */
  const int32_t from = larger(0, first - w->top), to = larger(from, smaller(w->height, last - w->top + 2)), pixels = (to - from) * w->width;
  int32_t found = 0;
  for (int32_t block = 0; block < p->blocks; block++) {
    const int32_t c = block * CHANNELS, count = smaller(CHANNELS, w->channels - c);
    int32_t *start = starts + block * (pixels + 1);
    for (int32_t i = 0; i < pixels; i++) {
      start[i] = found;
      found += collect(w->call, w->operand, ((n * w->height + from) * w->width + i) * w->channels + c, count, 0, from_event(events, found));
    }
    start[pixels] = found;
  }

  const int32_t width = p->vectors * LANES;
  for (int32_t strip = 0; strip < p->strips; strip++)
    for (int32_t block = 0; block < larger(1, p->blocks); block++) {
      const float *weight = p->packed + ((size_t)strip * w->channels + block * CHANNELS) * TAPS * width;
      /* Sums of the rows of y that begin, go on and end with a row of x. */
      float *sums[3] = {rings, rings + (size_t)p->ring * width, rings + 2 * (size_t)p->ring * width};
      /* Rows of x that would begin before `first` or lie outside of x still move the rows of sums on. */
      for (int32_t r = first - w->top; r < last - w->top + 2; r++) {
        const int32_t begins = r + w->top, ends = begins - 2;
        if (begins < last) begin_row(p, n, begins, strip * width, block == 0, sums[0]);
        if (r >= from && r < to && p->blocks)
          slide_row(p->vectors, w, starts + block * (pixels + 1) + (r - from) * w->width, events, weight, sums);
        if (ends >= first) end_row(p, n, ends, strip * width, sums[2]);
        float *const free = sums[2];
        sums[2] = sums[1], sums[1] = sums[0], sums[0] = free;
      }
    }
  if (p->finishes) finish(w->call, (n * w->out_height + first) * w->out_width, (last - first) * w->out_width);
}

void sum_nine(const Windows *w, uint8_t *scratch, int finishes) {
  Plan p = plan_of(w);
  p.finishes = finishes;
  p.packed = (float *)scratch;
  p.own = scratch + p.packed_bytes;
  parallel(w->call->run, p.strips, pack_piece, &p);
  parallel(w->call->run, w->batch * p.bands, band_piece, &p);
}

INLINE void add_kind(int kind, float *sums, size_t stride, int32_t width, const float *rows, int32_t line, Events e, int32_t count) {
  vf s[3][3];
#pragma GCC unroll 3
  for (int a = 0; a < 3; a++)
#pragma GCC unroll 3
    for (int b = 0; b < 3; b++) s[a][b] = load_up_to(sums + (size_t)(3 * a + b) * stride, width);
  for (int32_t i = 0; i < count; i++) {
    const float *row = rows + (size_t)e.index[i] * LANES;
    const vf value = value_of(kind, e, i);
#pragma GCC unroll 3
    for (int a = 0; a < 3; a++)
#pragma GCC unroll 3
      for (int b = 0; b < 3; b++) s[a][b] = plus(kind, s[a][b], value, load(row + ((2 - a) * line + 2 - b) * LANES));
  }
#pragma GCC unroll 3
  for (int a = 0; a < 3; a++)
#pragma GCC unroll 3
    for (int b = 0; b < 3; b++) store_up_to(sums + (size_t)(3 * a + b) * stride, width, s[a][b]);
}

void add_nine(float *sums, size_t stride, int32_t width, const float *rows, int32_t line, Events e, int32_t count) {
  if (!e.value) add_kind(SPIKE, sums, stride, width, rows, line, e, count);
  else add_kind(FUSED_PRODUCT, sums, stride, width, rows, line, e, count);
}
