/*
 * A piece of work is a band of an image, or several small images. Its pixels are copied together with the zeros around them, so that no
 * window has to handle edges.
 */
#include "dense-windows.h"
#include "register-tile.h"

/* Maximum bytes of a copied band, unless one row takes more; minimum pixels in a piece, if there are as many. */
enum { BAND_BYTES = 1 << 18, ENOUGH_PIXELS = 256 };

typedef struct {
  const Windows *windows;
  /* Rows of windows in a band, bands in an image; images in a piece if they are not divided into bands. */
  int32_t height, bands, images;
  /* The copy's extents in pixels. */
  int32_t copy_height, copy_width;
  size_t image_bytes;
  uint8_t *scratch;
} Plan;

static Plan plan_of(const Windows *w, int32_t threads) {
  Plan p = {.windows = w, .copy_width = larger(1, w->out_width + w->columns - 1)};
  const int64_t line = 4 * (int64_t)p.copy_width * larger(1, w->channels);
  const int64_t fit = BAND_BYTES / line - w->rows + 1;
  p.height = larger(1, fit < w->out_height ? (int32_t)fit : w->out_height);
  p.bands = larger(1, ceiling(w->out_height, p.height));
  p.height = larger(1, ceiling(w->out_height, p.bands));
  p.copy_height = larger(1, p.height + w->rows - 1);
  p.image_bytes = (size_t)line * (size_t)p.copy_height;
  const int64_t pixels = (int64_t)larger(1, w->out_height) * larger(1, w->out_width);
  const int32_t few = p.bands > 1 ? 1 : larger(1, (int32_t)(ENOUGH_PIXELS / pixels));
  /* Each pixel is summed independently, so the number of images in a piece, which depends on the threads, does not affect results. */
  p.images = larger(1, smaller(few, ceiling(w->batch, threads)));
  return p;
}

static size_t thread_bytes(const Plan *p) { return align64((size_t)p->images * p->image_bytes + 64); }

size_t dense_windows_scratch(const Windows *w, int32_t threads) {
  const Plan p = plan_of(w, threads);
  return (size_t)threads * thread_bytes(&p);
}

float nonzero_share(const Call *call, int operand) {
  enum { SAMPLED = 61 };
  const float *x = floats(call, operand);
  const int32_t size = shape(call, operand)->size;
  int32_t nonzero = 0, looks = 0;
  for (int64_t i = 0; i < size; i += SAMPLED, looks++) nonzero += x[i] != 0;
  return (float)nonzero / (float)larger(1, looks);
}

int are_dense(const Windows *w, float share) {
  return !w->spikes && move_by_one(w) && 4 * w->outputs >= 3 * summed_outputs(w->outputs) && share > 0.5f;
}

/* Copies the rows of image n that a band reads from row `first` on, with the zeros around them. */
static void copy_band(const Plan *p, int32_t n, int32_t first, float *to) {
  const Windows *w = p->windows;
  const size_t row = (size_t)p->copy_width * w->channels;
  const int32_t left = larger(0, w->left), from = larger(0, -w->left);
  const int32_t count = larger(0, smaller(w->width - from, p->copy_width - left));
  for (int32_t i = 0; i < p->copy_height; i++, to += row) {
    const int32_t r = first + i - w->top;
    __builtin_memset(to, 0, 4 * row);
    if (r < 0 || r >= w->height) continue;
    const float *x = floats(w->call, w->operand) + ((size_t)(n * w->height + r) * w->width + from) * w->channels;
    __builtin_memcpy(to + (size_t)left * w->channels, x, 4 * (size_t)count * w->channels);
  }
}

/* The pixels of a piece of work: `height` rows from `first` on, of `images` images from `image` on, all of them copied. */
typedef struct {
  int32_t image, images, first, height;
  const float *copy;
} Band;

/* Computes a block, or half a block, of outputs from o on for all pixels of a band. */
INLINE void sum_block(int at_a_time, int vectors, const Plan *p, const Band *band, int32_t o) {
  const Windows *w = p->windows;
  const size_t line = (size_t)p->copy_width * w->channels;
  const int32_t length = w->columns * w->channels, rows = w->out_width * band->height, pixels = band->images * rows;
  for (int32_t tile = 0; tile < pixels; tile += at_a_time) {
    const float *x[HALF_PIXELS];
    float *y[HALF_PIXELS];
    Tile sum;
    /* Beyond the last pixel, it is computed again and not stored. */
    EACH_PIXEL(at_a_time) {
      const int32_t at = smaller(tile + q, pixels - 1), i = at % rows / w->out_width, j = at % w->out_width, n = at / rows;
      x[q] = band->copy + (size_t)n * (p->image_bytes / 4) + (size_t)i * line + (size_t)j * w->channels;
      y[q] = w->y + window_pixel(w, band->image + n, band->first + i, j) * (size_t)w->outputs + o;
      EACH_VECTOR(vectors) sum[q][v] = splat(0);
    }
    const float *weight = w->weight + (size_t)o * w->rows * w->columns * w->channels;
    for (int32_t a = 0; a < w->rows; a++, weight += (size_t)length * BLOCK_OUTPUTS) {
      const float *row[HALF_PIXELS];
      EACH_PIXEL(at_a_time) row[q] = x[q] + (size_t)a * line;
      add_products(at_a_time, vectors, row, 1, length, weight, BLOCK_OUTPUTS, sum);
    }
    EACH_PIXEL(at_a_time) if (tile + q < pixels) EACH_VECTOR(vectors) {
      const int32_t left = w->outputs - o - v * LANES;
      float *to = y[q] + v * LANES;
      const vf before = w->accumulate ? load_up_to(to, left) : splat(0);
      store_up_to(to, left, before + sum[q][v]);
    }
  }
}

static void piece_of_windows(void *work, int32_t piece, int32_t thread) {
  const Plan *p = work;
  const Windows *w = p->windows;
  Band band = {.image = piece / p->bands * p->images, .first = piece % p->bands * p->height};
  band.images = smaller(p->images, w->batch - band.image);
  band.height = smaller(p->height, w->out_height - band.first);
  if (band.height < 1 || w->out_width < 1) return;
  float *copy = (float *)(p->scratch + (size_t)thread * thread_bytes(p));
  for (int32_t i = 0; i < band.images; i++) copy_band(p, band.image + i, band.first, copy + (size_t)i * (p->image_bytes / 4));
  band.copy = copy;
  for (int32_t o = 0; o < w->outputs; o += BLOCK_OUTPUTS)
    if (is_half(w->outputs - o)) sum_block(HALF_PIXELS, HALF_VECTORS, p, &band, o);
    else sum_block(PIXELS, BLOCK_VECTORS, p, &band, o);
}

void sum_dense_windows(const Windows *w, uint8_t *scratch) {
  Plan p = plan_of(w, w->call->run->threads);
  p.scratch = scratch;
  parallel(w->call->run, ceiling(w->batch, p.images) * p.bands, piece_of_windows, &p);
}
