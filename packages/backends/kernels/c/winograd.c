/*
 * For each of the 36 points, the sum over channels is a matrix product: see winograd-tiles.h. A piece of work is a block of tiles and a
 * strip of outputs. It processes one chunk of channels at a time, whose U, V and sums stay in the second-level cache.
 */
#include "winograd.h"
#include "register-tile.h"
#include "transpose.h"
#include "winograd-tiles.h"

/* Maximum outputs in a strip; a chunk has at most CHANNELS channels. */
enum { OUTPUTS = 64 };
/*
 * Maximum bytes of U as a whole for which it is computed once for all blocks, instead of for each block. Tiles in a block in either case:
 * more tiles take more memory without saving time.
 */
enum { SHARED_BYTES = 10 << 20, SHARED_TILES = 16, OWN_TILES = 64 };

typedef struct {
  const Windows *windows;
  Tiling tiling;
  /* Tiles in a block, blocks; channels in a chunk, chunks; strips, and the outputs of one, rounded up to whole and half blocks. */
  int32_t block, blocks, chunk, chunks, strips, width;
  /*
   * Distances in floats: between points in U [POINTS][blocks of outputs][chunk][outputs of the block]; between tiles in V
   * [block][POINTS][chunk] and in the sums [block][POINTS][width].
   */
  size_t u, v, sums;
  /* Whether U of all chunks and strips is computed beforehand; it is stored before the threads' memory. */
  int shared;
  uint8_t *scratch;
} Plan;

/* Bytes of U for all chunks and strips. */
static size_t all_u(const Plan *p) { return align64(4 * POINTS * p->u * p->chunks * p->strips); }

static Tiling tiling_here(const Windows *w) {
  return tiling_of(w->batch, w->height, w->width, w->out_height, w->out_width, w->top, w->left);
}

static Plan plan_of(const Windows *w) {
  Plan p = {.windows = w, .tiling = tiling_here(w)};
  p.chunks = larger(1, ceiling(w->channels, CHANNELS));
  p.chunk = ceiling(w->channels, p.chunks);
  p.strips = ceiling(w->outputs, OUTPUTS);
  p.width = summed_outputs(smaller(OUTPUTS, w->outputs));
  p.u = spread((size_t)p.chunk * p.width);
  p.v = spread(POINTS * (size_t)p.chunk);
  p.sums = spread(POINTS * (size_t)p.width);
  p.shared = p.tiling.tiles > OWN_TILES && all_u(&p) <= SHARED_BYTES;
  p.blocks = larger(1, ceiling(p.tiling.tiles, p.shared ? SHARED_TILES : OWN_TILES));
  p.block = ceiling(p.tiling.tiles, p.blocks);
  return p;
}

/* Chunks differ by at most one channel, so none has fewer than LANES if there are as many. */
static int32_t first_channel(const Plan *p, int32_t chunk) { return (int32_t)((int64_t)p->windows->channels * chunk / p->chunks); }

/* Floats in a thread's own U, of one chunk and strip. */
static size_t own_u(const Plan *p) { return p->shared ? 0 : POINTS * p->u; }

static size_t thread_bytes(const Plan *p) {
  const size_t transposed = TAPS * (size_t)p->chunk * LANES;
  return align64(4 * (transposed + own_u(p) + p->block * (p->v + p->sums)));
}

/* Transforms cost too much if tiles extend far beyond the edges; those of the weights, if there are few tiles. */
static int fits(const Windows *w) {
  enum { FEW_PIXELS = 64, FILLED = 9 };
  if (w->spikes || w->rows != 3 || w->columns != 3 || !make_every_pixel(w) || w->channels < LANES) return 0;
  const int64_t pixels = (int64_t)w->batch * w->out_height * w->out_width;
  return pixels >= FEW_PIXELS && pixels >= FILLED * (int64_t)tiling_here(w).tiles;
}

int are_winograd(const Windows *w, float share) {
  /* Sums over events take as long if a fifth of the elements are not 0 and the blocks of outputs are full. */
  return fits(w) && 5 * share * (float)w->outputs > (float)summed_outputs(w->outputs);
}

size_t winograd_scratch(const Windows *w, int32_t threads) {
  if (!fits(w)) return 0;
  const Plan p = plan_of(w);
  return (p.shared ? all_u(&p) : 0) + (size_t)threads * thread_bytes(&p);
}

/* One axis of G·g·Gᵀ and of Aᵀ·m·A. */
INLINE void weight_axis(const vf g[3], vf to[PATCH]) {
  const vf third = splat(1 / 3.0f) * g[2], root = splat(ROOT_2 / 6) * g[1];
  const vf half = multiply_add(splat(-2 / 3.0f), g[0], -third), two = multiply_add(splat(1 / 6.0f), g[0], third);
  to[0] = g[0];
  to[1] = multiply_add(splat(-2), root, half);
  to[2] = multiply_add(splat(2), root, half);
  to[3] = two + root;
  to[4] = two - root;
  to[5] = g[2];
}
INLINE void tile_axis(const vf m[PATCH], vf to[SIDE]) {
  const vf even_half = m[1] + m[2], odd_half = m[1] - m[2], even_two = m[3] + m[4], odd_two = m[3] - m[4];
  to[0] = m[0] + even_half + even_two;
  to[1] = multiply_add(splat(ROOT_2 / 2), odd_half, splat(ROOT_2) * odd_two);
  to[2] = multiply_add(splat(0.5f), even_half, even_two + even_two);
  to[3] = multiply_add(splat(ROOT_2 / 4), odd_half, multiply_add(splat(2 * ROOT_2), odd_two, m[5]));
}

/* Prefetch of the weights to transpose next while others are transformed: they come from the last-level cache. */
typedef struct {
  const float *rows;
  size_t stride, tap;
  int32_t channels, count, row, column;
} Prefetch;

INLINE void prefetch_next(Prefetch *a) {
  if (a->row >= a->count) return;
  for (int t = 0; t < TAPS; t++) __builtin_prefetch(a->rows + t * a->tap + a->row * a->stride + a->column, 0, 2);
  a->column += 16;
  if (a->column >= a->channels) a->column = 0, a->row++;
}

/* Computes U of a chunk of channels and a strip of outputs; `transposed` has room for the weights of one vector of outputs. */
static void transform_weights(const Plan *p, int32_t chunk, int32_t strip, float *transposed, float *u) {
  const Windows *w = p->windows;
  const int32_t channel = first_channel(p, chunk), channels = first_channel(p, chunk + 1) - channel;
  const size_t tap = (size_t)p->chunk * LANES, apart = p->u;
  const int32_t width = summed_outputs(smaller(OUTPUTS, w->outputs - strip * OUTPUTS));
  for (int32_t o = 0; o < width; o += LANES) {
    const int32_t output = strip * OUTPUTS + o, count = larger(0, smaller(LANES, w->outputs - output));
    for (int t = 0; t < TAPS; t++) {
      if (count < LANES) __builtin_memset(transposed + t * tap, 0, 4 * tap);
      transpose(w->weight + ((size_t)(TAPS - 1 - t) * w->outputs + output) * w->channels + channel, (size_t)w->channels, count, channels,
                transposed + t * tap, LANES);
    }
    const int32_t within = o % BLOCK_OUTPUTS, stride = is_half(width - (o - within)) ? HALF_OUTPUTS : BLOCK_OUTPUTS;
    float *to = u + (size_t)(o - within) * p->chunk + within;
    Prefetch ahead = {w->weight + (size_t)(output + LANES) * w->channels + channel, (size_t)w->channels, (size_t)w->outputs * w->channels,
                   channels, larger(0, smaller(LANES, w->outputs - output - LANES)), 0, 0};
    for (int32_t c = 0; c < channels; c++, to += stride) {
      if (c % (16 / LANES) == 0) prefetch_next(&ahead);
      const float *from = transposed + (size_t)c * LANES;
      vf half[3][PATCH];
      ONE_BY_ONE(b, 3) {
        const vf g[3] = {load(from + b * tap), load(from + (3 + b) * tap), load(from + (6 + b) * tap)};
        weight_axis(g, half[b]);
      }
      ONE_BY_ONE(i, PATCH) {
        const vf row[3] = {half[0][i], half[1][i], half[2][i]};
        vf point[PATCH];
        weight_axis(row, point);
        EACH(j, PATCH) store(to + (i * PATCH + j) * apart, point[j]);
      }
    }
  }
}

static float *memory_of(const Plan *p, int32_t thread) {
  return (float *)(p->scratch + (p->shared ? all_u(p) : 0) + (size_t)thread * thread_bytes(p));
}

/* Address of the U of a chunk and a strip if it is computed beforehand. */
static float *shared_u(const Plan *p, int32_t chunk, int32_t strip) {
  return (float *)p->scratch + POINTS * p->u * (size_t)(strip * p->chunks + chunk);
}

static void piece_of_weights(void *work, int32_t piece, int32_t thread) {
  const Plan *p = work;
  const int32_t chunk = piece % p->chunks, strip = piece / p->chunks;
  transform_weights(p, chunk, strip, memory_of(p, thread), shared_u(p, chunk, strip));
}

/* Adds to the sums of the first of `left` tiles for one block of outputs and one point. */
INLINE void add_tiles(int pixels, int vectors, const Plan *p, const float *u, const float *patches, int32_t left, int32_t channels, int add,
                      float *sums) {
  const float *x[HALF_PIXELS];
  Tile sum;
  /* Beyond the last tile, it is computed again and not stored. */
  EACH_PIXEL(pixels) {
    x[q] = patches + (size_t)smaller(q, left - 1) * p->v;
    EACH_VECTOR(vectors) sum[q][v] = add && q < left ? load(sums + q * p->sums + v * LANES) : splat(0);
  }
  add_products(pixels, vectors, x, 1, channels, u, vectors * LANES, sum);
  EACH_PIXEL(pixels) if (q < left) EACH_VECTOR(vectors) store(sums + q * p->sums + v * LANES, sum[q][v]);
}

/* The same for all tiles, `pixels` at a time. */
INLINE void add_all_tiles(int pixels, int vectors, const Plan *p, const float *u, const float *patches, int32_t tiles, int32_t channels,
                          int add, float *sums) {
  for (int32_t tile = 0; tile < tiles;) {
    const int32_t left = tiles - tile;
    const float *const from = patches + tile * p->v;
    float *const to = sums + tile * p->sums;
    if (by_fours(pixels, left)) add_tiles(4, vectors, p, u, from, left, channels, add, to), tile += 4;
    else add_tiles(pixels, vectors, p, u, from, left, channels, add, to), tile += pixels;
  }
}

/* Adds the products of a chunk for all points. */
static void multiply_chunk(const Plan *p, const float *u, const float *patches, int32_t tiles, int32_t outputs, int32_t channels, int add,
                           float *sums) {
  for (int point = 0; point < POINTS; point++, u += p->u, patches += p->chunk, sums += p->width)
    for (int32_t o = 0; o < outputs; o += BLOCK_OUTPUTS) {
      const float *const weights = u + (size_t)o * p->chunk;
      if (is_half(outputs - o)) add_all_tiles(HALF_PIXELS, HALF_VECTORS, p, weights, patches, tiles, channels, add, sums + o);
      else add_all_tiles(PIXELS, BLOCK_VECTORS, p, weights, patches, tiles, channels, add, sums + o);
    }
}

/* Computes Y of some tiles. */
static void transform_sums(const Plan *p, int32_t first, int32_t count, int32_t output, int32_t outputs, const float *sums) {
  const Windows *w = p->windows;
  for (int32_t tile = first; tile < first + count; tile++, sums += p->sums) {
    int64_t pixels[SIDE][SIDE];
    tile_pixels(&p->tiling, tile, pixels);
    for (int32_t o = 0; o < outputs; o += LANES) {
      vf half[PATCH][SIDE];
      ONE_BY_ONE(j, PATCH) {
        vf column[PATCH];
        EACH(i, PATCH) column[i] = load(sums + (i * PATCH + j) * p->width + o);
        tile_axis(column, half[j]);
      }
      ONE_BY_ONE(i, SIDE) {
        const vf row[PATCH] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
        vf sum[SIDE];
        tile_axis(row, sum);
        ONE_BY_ONE(j, SIDE) {
          if (pixels[i][j] < 0) continue;
          float *to = w->y + (size_t)pixels[i][j] * w->outputs + output + o;
          if (w->accumulate) sum[j] += load_up_to(to, outputs - o);
          store_up_to(to, outputs - o, sum[j]);
        }
      }
    }
  }
}

static void piece_of_tiles(void *work, int32_t piece, int32_t thread) {
  const Plan *p = work;
  const Windows *w = p->windows;
  const int32_t strip = piece % p->strips, output = strip * OUTPUTS, outputs = smaller(OUTPUTS, w->outputs - output);
  const int32_t first = piece / p->strips * p->block, count = smaller(p->block, p->tiling.tiles - first);
  float *transposed = memory_of(p, thread), *own = transposed + TAPS * (size_t)p->chunk * LANES;
  float *v = own + own_u(p), *sums = v + p->block * p->v;
  for (int32_t chunk = 0; chunk < p->chunks; chunk++) {
    const int32_t channel = first_channel(p, chunk), channels = first_channel(p, chunk + 1) - channel;
    if (!p->shared) transform_weights(p, chunk, strip, transposed, own);
    transform_patches(&p->tiling, floats(w->call, w->operand) + channel, w->channels, first, count, channels, v, p->v, (size_t)p->chunk);
    multiply_chunk(p, p->shared ? shared_u(p, chunk, strip) : own, v, count, outputs, channels, chunk > 0, sums);
  }
  transform_sums(p, first, count, output, outputs, sums);
}

void sum_winograd(const Windows *w, uint8_t *scratch) {
  Plan p = plan_of(w);
  p.scratch = scratch;
  if (p.shared) parallel(w->call->run, p.chunks * p.strips, piece_of_weights, &p);
  parallel(w->call->run, p.blocks * p.strips, piece_of_tiles, &p);
}
