/*
 * Visits the image pixel by pixel. A pixel contributes to the nine sums of the windows that contain it; these sums move along with it:
 *
 *     x row r  →  y rows r + top − 2 (ends here), r + top − 1, r + top (begins here)
 *
 * Weights are packed as [strip of outputs][channel][tap][output], so that the weights of an event are contiguous and a block of 64 channels
 * stays in the first-level cache. A bit mask says which channels of a pixel are events: the words of the spikes, or masks built beforehand.
 *
 * A piece of work is a band of an image with all outputs. If the packed weights are too large to stay in the cache from image to image, it
 * is one strip of outputs for many images, and each thread packs the block that it is about to use.
 */
#include "conv3x3-events.h"

enum { CHANNELS = 64, TAPS = 9 };
/*
 * Vectors of outputs in a strip: WIDE if there are at most WIDE_CHANNELS channels, so that sums fit the registers and weights the
 * first-level cache.
 */
enum { WIDE = VECTOR_BYTES == 64 ? 2 : 1, WIDE_CHANNELS = 32 };
/* Bytes of x or y in a band; bytes of packed weights that stay in the cache; target number of pieces of work. */
enum { BAND_BYTES = 1 << 18, WEIGHT_BYTES = 1 << 20, PIECES = 16 };

typedef struct {
  const Windows *windows;
  /* Blocks of channels; vectors in a strip of outputs; strips. */
  int32_t blocks, vectors, strips;
  /* Rows of y in a band, bands in an image; bands and strips of a piece. */
  int32_t height, bands, bands_per_piece, strips_per_piece;
  int finishes;
  /* Whether each piece packs its weights block by block; otherwise all weights are packed beforehand. */
  int packs;
  float *packed;
  /* Unless x holds spikes: the event bits of a block of channels for all pixels, then those of the next block. */
  uint64_t *bits;
  uint8_t *own;
  /* Sizes: weights packed beforehand; event bits; a thread's sums; all memory of a thread (sums, then packed weights). */
  size_t packed_bytes, bits_bytes, sums_bytes, own_bytes;
} Plan;

static Plan plan_of(const Windows *w) {
  Plan p = {.windows = w, .blocks = ceiling(w->channels, CHANNELS), .vectors = w->channels <= WIDE_CHANNELS ? WIDE : 1};
  p.strips = ceiling(w->outputs, p.vectors * LANES);
  const int64_t row = 4 * (int64_t)w->width * larger(w->channels, w->outputs);
  const int32_t most = row > BAND_BYTES ? 1 : (int32_t)(BAND_BYTES / larger(1, (int32_t)row));
  p.height = larger(1, smaller(most, ceiling(w->out_height, ceiling(PIECES, larger(1, w->batch)))));
  p.bands = ceiling(w->out_height, p.height);
  p.packed_bytes = align64((size_t)p.strips * p.vectors * LANES * 4 * TAPS * (size_t)w->channels);
  p.packs = p.packed_bytes > WEIGHT_BYTES;
  p.strips_per_piece = p.packs ? 1 : larger(1, p.strips);
  p.bands_per_piece = p.packs ? larger(1, ceiling(w->batch * p.bands, ceiling(PIECES, p.strips))) : 1;
  p.bits_bytes = w->spikes ? 0 : align64(8 * (size_t)p.blocks * w->batch * w->height * w->width);
  p.sums_bytes = align64(2 * ((size_t)w->width + 2) * p.vectors * LANES * 4);
  p.own_bytes = p.sums_bytes + (p.packs ? align64((size_t)p.vectors * LANES * 4 * TAPS * CHANNELS) : 0);
  if (p.packs) p.packed_bytes = 0;
  return p;
}

size_t conv3x3_scratch(const Windows *w, int32_t threads) {
  const Plan p = plan_of(w);
  return p.packed_bytes + p.bits_bytes + (size_t)threads * p.own_bytes;
}

/* Packs the weights of channels channel … channel + count − 1 for one strip of outputs. */
static void pack(const Plan *p, int32_t strip, int32_t channel, int32_t count, float *to) {
  const Windows *w = p->windows;
  const int32_t width = p->vectors * LANES, first = strip * width;
  for (int32_t c = channel; c < channel + count; c++)
    for (int32_t tap = 0; tap < TAPS; tap++) {
      const float *from = w->weight + ((size_t)tap * w->channels + c) * w->outputs + first;
      for (int32_t o = 0; o < width; o += LANES, to += LANES) store(to, load_up_to(from + o, w->outputs - first - o));
    }
}

static void pack_piece(void *work, int32_t strip, int32_t thread) {
  (void)thread;
  const Plan *p = work;
  const int32_t channels = p->windows->channels;
  pack(p, strip, 0, channels, p->packed + (size_t)strip * p->vectors * LANES * TAPS * channels);
}

/* A block of channels of a row of x: the event bits of each pixel, `stride` words apart, and the values unless they are spikes. */
typedef struct {
  const uint32_t *bits;
  size_t stride;
  /* Whether a pixel has two words or one. */
  int two;
  const float *values;
  /* Mask of the block's channels: spikes from outside may have padding bits set. */
  uint64_t channels;
} Row;

/* The rows of sums of a strip of outputs. */
typedef struct {
  /* Initial values of the row that begins: its pixels in y, or null for `start`. Destination of the row that ends, or null. */
  const float *begins;
  float *ends;
  vf start[WIDE];
  /* Outputs of the strip. */
  int32_t count;
  /* Sums of the two rows in between. */
  float *first, *second;
} Sums;

INLINE uint64_t bits_at(const Row *row, int32_t x) {
  const uint32_t *at = row->bits + (size_t)x * row->stride;
  uint64_t two;
  if (!row->two) return *at & row->channels;
  __builtin_memcpy(&two, at, 8);
  return two & row->channels;
}

/* Moves the sums along a row of x. A row whose bits are null has no events. */
INLINE void slide(int kind, int vectors, int whole, const Windows *w, Row row, const float *weight, const Sums *to) {
  const int step = vectors * LANES;
  const size_t outputs = (size_t)w->outputs;
  const Sums sums = *to;
  /* s[a][b] is the sum of the window whose tap (a, b) lies on the pixel: the window at column x + left − b. */
  vf s[3][3][WIDE];
#define EACH_ROW _Pragma("GCC unroll 3") for (int a = 0; a < 3; a++)
#define EACH_COLUMN _Pragma("GCC unroll 3") for (int b = 0; b < 3; b++)
#define EACH_VECTOR _Pragma("GCC unroll 2") for (int v = 0; v < vectors; v++)
#define BEGIN(column, v) \
  (!sums.begins || (column) < 0 || (column) >= w->out_width ? sums.start[v] \
   : whole ? load(sums.begins + (column) * outputs + (v) * LANES) \
           : load_up_to(sums.begins + (column) * outputs + (v) * LANES, sums.count - (v) * LANES))
#define END(column, v, sum) \
  if (sums.ends && (column) >= 0 && (column) < w->out_width) { \
    if (whole) store(sums.ends + (column) * outputs + (v) * LANES, sum); \
    else store_up_to(sums.ends + (column) * outputs + (v) * LANES, sums.count - (v) * LANES, sum); \
  }
  EACH_VECTOR {
    s[0][1][v] = BEGIN(w->left - 1, v), s[0][2][v] = BEGIN(w->left - 2, v);
    s[1][1][v] = load(sums.first + step + v * LANES), s[1][2][v] = load(sums.first + v * LANES);
    s[2][1][v] = load(sums.second + step + v * LANES), s[2][2][v] = load(sums.second + v * LANES);
  }
  for (int32_t x = 0; x < w->width; x++) {
    EACH_VECTOR {
      s[0][0][v] = BEGIN(w->left + x, v);
      s[1][0][v] = load(sums.first + (size_t)(x + 2) * step + v * LANES);
      s[2][0][v] = load(sums.second + (size_t)(x + 2) * step + v * LANES);
    }
    for (uint64_t bits = row.bits ? bits_at(&row, x) : 0; bits; bits &= bits - 1) {
      const int c = __builtin_ctzll(bits);
      const float *taps = weight + (size_t)c * (TAPS * step);
      IN_REGISTER(taps);
      const vf value = kind == SPIKE ? splat(1) : splat(row.values[(size_t)x * w->channels + c]);
      EACH_ROW EACH_COLUMN EACH_VECTOR s[a][b][v] = plus(kind, s[a][b][v], value, load(taps + (3 * a + b) * step + v * LANES));
    }
    EACH_VECTOR {
      store(sums.first + (size_t)x * step + v * LANES, s[0][2][v]);
      store(sums.second + (size_t)x * step + v * LANES, s[1][2][v]);
      END(w->left + x - 2, v, s[2][2][v]);
    }
    EACH_ROW EACH_VECTOR s[a][2][v] = s[a][1][v], s[a][1][v] = s[a][0][v];
  }
  EACH_VECTOR {
    store(sums.first + (size_t)w->width * step + v * LANES, s[0][2][v]);
    store(sums.first + ((size_t)w->width + 1) * step + v * LANES, s[0][1][v]);
    store(sums.second + (size_t)w->width * step + v * LANES, s[1][2][v]);
    store(sums.second + ((size_t)w->width + 1) * step + v * LANES, s[1][1][v]);
    END(w->left + w->width - 2, v, s[2][2][v]);
    END(w->left + w->width - 1, v, s[2][1][v]);
  }
}

/* Calls the copy of `slide` that is compiled for these constants. */
static void slide_row(int vectors, const Windows *w, Row row, const float *weight, const Sums *sums) {
  const int kind = kind_of(w->spikes, w->rounding), whole = sums->count >= vectors * LANES;
#define KNOWN(KIND, VECTORS) \
  if (kind == KIND && vectors == VECTORS && whole) return slide(KIND, VECTORS, 1, w, row, weight, sums); \
  if (kind == KIND && vectors == VECTORS) return slide(KIND, VECTORS, 0, w, row, weight, sums);
  KNOWN(SPIKE, 1) KNOWN(PRODUCT, 1) KNOWN(FUSED_PRODUCT, 1)
#if VECTOR_BYTES == 64
  KNOWN(SPIKE, 2) KNOWN(PRODUCT, 2) KNOWN(FUSED_PRODUCT, 2)
#endif
}

/* Builds the event bits of one image. */
static void bits_piece(void *work, int32_t n, int32_t thread) {
  (void)thread;
  const Plan *p = work;
  const Windows *w = p->windows;
  const size_t pixels = (size_t)w->height * w->width, all = w->batch * pixels;
  for (size_t i = n * pixels; i < (n + 1) * pixels; i++)
    for (int32_t c = 0; c < w->channels; c += CHANNELS)
      p->bits[c / CHANNELS * all + i] = nonzero_bits(floats(w->call, w->operand) + i * w->channels + c, smaller(CHANNELS, w->channels - c));
}

/* Row r of image n, one block of channels. Rows outside of the image have no bits. */
static Row row_of(const Plan *p, int32_t n, int32_t r, int32_t block) {
  const Windows *w = p->windows;
  if (r < 0 || r >= w->height || p->blocks == 0) return (Row){0};
  const size_t pixel = ((size_t)n * w->height + r) * w->width;
  const int32_t count = smaller(CHANNELS, w->channels - block * CHANNELS);
  const uint64_t channels = ~0ull >> (CHANNELS - count);
  if (w->spikes) {
    const int32_t per_pixel = words_of(w->channels);
    return (Row){words(w->call, w->operand) + pixel * per_pixel + 2 * block, (size_t)per_pixel, per_pixel - 2 * block > 1, 0, channels};
  }
  const size_t all = (size_t)w->batch * w->height * w->width;
  return (Row){(const uint32_t *)(p->bits + block * all + pixel), 2, 1, floats(w->call, w->operand) + pixel * w->channels + block * CHANNELS,
               channels};
}

/* Adds a block of channels to rows first … last − 1 of a strip of y. */
static void slide_band(const Plan *p, int32_t strip, int32_t block, const float *weight, int32_t n, int32_t first, int32_t last,
                       float *memory) {
  const Windows *w = p->windows;
  const int32_t width = p->vectors * LANES, o = strip * width;
  const size_t y_row = (size_t)w->out_width * w->outputs;
  float *const y = w->y + (size_t)n * w->out_height * y_row + o;
  Sums sums = {.count = w->outputs - o, .first = memory, .second = memory + ((size_t)w->width + 2) * width};
  for (int32_t v = 0; v < p->vectors; v++)
    sums.start[v] = w->start ? load_up_to(w->start + o + v * LANES, sums.count - v * LANES) : splat(0);
  __builtin_memset(memory, 0, p->sums_bytes);
  /* Rows of x outside of the image, and rows whose sums begin before `first`, still advance the rows of sums. */
  for (int32_t r = first - w->top; r < last - w->top + 2; r++) {
    const int32_t begins = r + w->top, ends = begins - 2;
    sums.begins = begins < last && (w->accumulate || block > 0) ? y + begins * y_row : 0;
    sums.ends = ends >= first ? y + ends * y_row : 0;
    slide_row(p->vectors, w, row_of(p, n, r, block), weight, &sums);
  }
}

static void piece_of_bands(void *work, int32_t piece, int32_t thread) {
  const Plan *p = work;
  const Windows *w = p->windows;
  float *memory = (float *)(p->own + (size_t)thread * p->own_bytes), *own = memory + p->sums_bytes / 4;
  const int32_t parts = ceiling(w->batch * p->bands, p->bands_per_piece);
  const int32_t band = piece % parts * p->bands_per_piece, last_band = smaller(w->batch * p->bands, band + p->bands_per_piece);
  const int32_t strip = piece / parts * p->strips_per_piece, last_strip = smaller(p->strips, strip + p->strips_per_piece);
  for (int32_t s = strip; s < last_strip; s++)
    for (int32_t block = 0; block < larger(1, p->blocks); block++) {
      const int32_t channel = block * CHANNELS;
      const float *weight = p->packs ? own : p->packed + ((size_t)s * w->channels + channel) * TAPS * p->vectors * LANES;
      if (p->packs) pack(p, s, channel, smaller(CHANNELS, w->channels - channel), own);
      for (int32_t b = band; b < last_band; b++) {
        const int32_t first = b % p->bands * p->height;
        slide_band(p, s, block, weight, b / p->bands, first, smaller(w->out_height, first + p->height), memory);
      }
    }
}

/* Reports a band all of whose outputs are complete. */
static void finish_band(const Plan *p, int32_t band) {
  const Windows *w = p->windows;
  const int32_t first = band % p->bands * p->height, last = smaller(w->out_height, first + p->height);
  finish(w->call, (band / p->bands * w->out_height + first) * w->out_width, (last - first) * w->out_width);
}

static void whole_band_piece(void *work, int32_t band, int32_t thread) {
  piece_of_bands(work, band, thread);
  if (((const Plan *)work)->finishes) finish_band(work, band);
}

static void finish_piece(void *work, int32_t band, int32_t thread) {
  (void)thread;
  finish_band(work, band);
}

void sum_conv3x3(const Windows *w, uint8_t *scratch, int finishes) {
  Plan p = plan_of(w);
  p.finishes = finishes;
  p.packed = (float *)scratch;
  p.bits = (uint64_t *)(scratch + p.packed_bytes);
  p.own = scratch + p.packed_bytes + p.bits_bytes;
  const Run *run = w->call->run;
  const int32_t bands = w->batch * p.bands;
  if (!w->spikes) parallel(run, w->batch, bits_piece, &p);
  if (!p.packs) {
    parallel(run, p.strips, pack_piece, &p);
    parallel(run, bands, whole_band_piece, &p);
    return;
  }
  parallel(run, p.strips * ceiling(bands, p.bands_per_piece), piece_of_bands, &p);
  if (finishes) parallel(run, bands, finish_piece, &p);
}
