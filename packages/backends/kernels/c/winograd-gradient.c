/*
 * For each of the 36 points, the sum over tiles is a matrix product M = Vᵀ·E with E = A·∂Y·Aᵀ. A piece of work is a block of channels, a
 * block of outputs and a group of tiles. It processes some tiles at a time: it computes their V, then E for some outputs at a time; both
 * stay in the second-level cache with M. Each group is summed separately; the groups' sums are then added in order.
 */
#include "winograd-gradient.h"
#include "dense-windows.h"
#include "winograd-tiles.h"

enum { X, DY, DWEIGHT };
/* Maximum channels and outputs in a piece; outputs and tiles that are transformed at a time. */
enum { SOME_CHANNELS = 32, OUTPUTS = 64, SOME_OUTPUTS = 32, TILES = 24 };
_Static_assert(SOME_OUTPUTS % HALF_OUTPUTS == 0, "E holds what is summed at a time");
/* Target number of pieces of work; maximum bytes of the sums of all groups. */
enum { PIECES = 8, SUM_BYTES = 1 << 21 };

typedef struct {
  const Call *call;
  Convolution c;
  Tiling tiling;
  /*
   * Channels in a piece, pieces that cover all channels; outputs in a piece, rounded up, those of them that E holds, and strips of outputs; tiles
   * in a group, groups.
   */
  int32_t channels, chunks, outputs, width, strips, tiles, groups;
  /* Distances between points, in floats, in V [POINTS][TILES][channels], E [POINTS][TILES][width] and M [POINTS][channels][outputs]. */
  size_t v, e, m;
  size_t sum_bytes, thread_bytes;
} Plan;

static Tiling tiling_here(const Convolution *c) {
  return tiling_of(c->batch, c->height, c->width, c->out_height, c->out_width, c->rows.before, c->columns.before);
}

static Plan plan_of(const Call *call) {
  Plan p = {.call = call, .c = convolution_of(call, X, DWEIGHT, DY)};
  const Convolution *c = &p.c;
  p.tiling = tiling_here(c);
  p.chunks = ceiling(c->inputs, SOME_CHANNELS);
  p.channels = ceiling(c->inputs, p.chunks);
  p.strips = ceiling(c->outputs, OUTPUTS);
  p.outputs = summed_outputs(smaller(OUTPUTS, c->outputs));
  p.sum_bytes = align64(4 * (size_t)TAPS * c->inputs * c->outputs);
  const int32_t wanted = smaller(ceiling(PIECES, p.chunks * p.strips), (int32_t)(SUM_BYTES / p.sum_bytes));
  p.tiles = ceiling(ceiling(p.tiling.tiles, larger(1, wanted)), TILES) * TILES;
  p.groups = ceiling(p.tiling.tiles, p.tiles);
  p.v = spread((size_t)TILES * p.channels);
  p.width = smaller(SOME_OUTPUTS, p.outputs);
  p.e = spread((size_t)TILES * p.width);
  p.m = spread((size_t)p.channels * p.outputs);
  p.thread_bytes = align64(4 * POINTS * (p.v + p.e + p.m));
  return p;
}

/* Not worthwhile for few tiles, for tiles that extend far beyond the edges, or for blocks that are not filled. */
static int fits(const Call *call) {
  enum { FILLED = 9 };
  if (is_spikes(call, X)) return 0;
  const Convolution c = convolution_of(call, X, DWEIGHT, DY);
  if (c.groups > 1 || !is_conv3x3_axis(&c.rows) || !is_conv3x3_axis(&c.columns) || c.inputs < LANES) return 0;
  if (c.outputs < 1 || 4 * c.outputs < 3 * summed_outputs(c.outputs)) return 0;
  const int32_t tiles = tiling_here(&c).tiles;
  return tiles >= TILES && (int64_t)c.batch * c.out_height * c.out_width >= FILLED * (int64_t)tiles;
}

int is_winograd_gradient(const Call *call) { return fits(call) && nonzero_share(call, X) > 0.4f; }

size_t winograd_gradient_scratch(const Call *call) {
  if (!fits(call)) return 0;
  const Plan p = plan_of(call);
  return (p.groups > 1 ? p.groups * p.sum_bytes : 0) + (size_t)call->run->threads * p.thread_bytes;
}

/* One axis of A·∂Y·Aᵀ and of Gᵀ·M·G. */
INLINE void tile_axis(const vf y[SIDE], vf to[PATCH]) {
  const vf even_half = multiply_add(splat(0.5f), y[2], y[0]), even_two = multiply_add(splat(2), y[2], y[0]);
  const vf odd_half = splat(ROOT_2 / 2) * multiply_add(splat(0.5f), y[3], y[1]), odd_two = splat(ROOT_2) * multiply_add(splat(2), y[3], y[1]);
  to[0] = y[0];
  to[1] = even_half + odd_half;
  to[2] = even_half - odd_half;
  to[3] = even_two + odd_two;
  to[4] = even_two - odd_two;
  to[5] = y[3];
}
INLINE void sum_axis(const vf m[PATCH], vf to[3]) {
  const vf even_half = m[1] + m[2], even_two = m[3] + m[4];
  to[0] = multiply_add(splat(-2 / 3.0f), even_half, multiply_add(splat(1 / 6.0f), even_two, m[0]));
  to[1] = multiply_add(splat(ROOT_2 / 3), m[2] - m[1], splat(ROOT_2 / 6) * (m[3] - m[4]));
  to[2] = multiply_add(splat(1 / 3.0f), even_two - even_half, m[5]);
}

/* Computes E of some tiles and outputs. */
static void transform_gradients(const Plan *p, int32_t first, int32_t count, int32_t output, int32_t outputs, float *e) {
  const float *dy = floats(p->call, DY) + output;
  for (int32_t tile = first; tile < first + count; tile++, e += p->width) {
    int64_t pixels[SIDE][SIDE];
    tile_pixels(&p->tiling, tile, pixels);
    for (int32_t o = 0; o < outputs; o += LANES) {
      vf half[SIDE][PATCH];
      ONE_BY_ONE(i, SIDE) {
        vf row[SIDE];
        ONE_BY_ONE(j, SIDE) row[j] = pixels[i][j] < 0 ? splat(0) : load_up_to(dy + pixels[i][j] * p->c.outputs + o, outputs - o);
        tile_axis(row, half[i]);
      }
      ONE_BY_ONE(j, PATCH) {
        const vf column[SIDE] = {half[0][j], half[1][j], half[2][j], half[3][j]};
        vf to[PATCH];
        tile_axis(column, to);
        EACH(i, PATCH) store(e + (i * PATCH + j) * p->e + o, to[i]);
      }
    }
  }
}

/* Adds some tiles to M, for some channels and half a block of outputs at one point; of `channels` rows of M, only `left` are written. */
INLINE void add_channels(int channels, const Plan *p, const float *patches, const float *gradients, int32_t tiles, int32_t left,
                         int add, float *m) {
  const float *x[HALF_PIXELS];
  Tile sum;
  /* Beyond the last channel, other channels are read, and the results are not stored. */
  EACH_PIXEL(channels) {
    x[q] = patches + q;
    EACH_VECTOR(HALF_VECTORS) sum[q][v] = add && q < left ? load(m + q * p->outputs + v * LANES) : splat(0);
  }
  add_products(channels, HALF_VECTORS, x, (size_t)p->channels, tiles, gradients, (size_t)p->width, sum);
  EACH_PIXEL(channels) if (q < left) EACH_VECTOR(HALF_VECTORS) store(m + q * p->outputs + v * LANES, sum[q][v]);
}

INLINE void add_all_channels(const Plan *p, const float *patches, const float *gradients, int32_t tiles, int32_t channels, int add,
                             float *m) {
  for (int32_t k = 0; k < channels;) {
    const int32_t left = channels - k;
    float *const to = m + (size_t)k * p->outputs;
    if (by_fours(HALF_PIXELS, left)) add_channels(4, p, patches + k, gradients, tiles, left, add, to), k += 4;
    else add_channels(HALF_PIXELS, p, patches + k, gradients, tiles, left, add, to), k += HALF_PIXELS;
  }
}

/* M += Vᵀ·E for all points. */
static void multiply_tiles(const Plan *p, const float *v, const float *e, int32_t tiles, int32_t channels, int32_t outputs, int add, float *m) {
  for (int point = 0; point < POINTS; point++, v += p->v, e += p->e, m += p->m)
    for (int32_t o = 0; o < outputs; o += HALF_OUTPUTS)
      add_all_channels(p, v, e + o, tiles, channels, add, m + o);
}

/* Transforms M to nine taps, `tap` floats apart, for some channels and outputs. */
static void transform_sums(const Plan *p, const float *m, int32_t channels, int32_t outputs, int add, float *to, size_t tap) {
  for (int32_t k = 0; k < channels; k++, m += p->outputs, to += p->c.outputs)
    for (int32_t o = 0; o < outputs; o += LANES) {
      vf half[PATCH][3];
      ONE_BY_ONE(j, PATCH) {
        vf column[PATCH];
        EACH(i, PATCH) column[i] = load(m + (i * PATCH + j) * p->m + o);
        sum_axis(column, half[j]);
      }
      ONE_BY_ONE(a, 3) {
        const vf row[PATCH] = {half[0][a], half[1][a], half[2][a], half[3][a], half[4][a], half[5][a]};
        vf sum[3];
        sum_axis(row, sum);
        ONE_BY_ONE(b, 3) {
          float *here = to + (size_t)(3 * a + b) * tap + o;
          if (add) sum[b] += load_up_to(here, outputs - o);
          store_up_to(here, outputs - o, sum[b]);
        }
      }
    }
}

static void sum_piece(void *work, int32_t piece, int32_t thread) {
  const Plan *p = work;
  const Convolution *c = &p->c;
  const int32_t chunk = piece % p->chunks, strip = piece / p->chunks % p->strips, group = piece / p->chunks / p->strips;
  /* Chunks differ by at most one channel, so none has fewer than LANES. */
  const int32_t channel = (int32_t)((int64_t)c->inputs * chunk / p->chunks);
  const int32_t channels = (int32_t)((int64_t)c->inputs * (chunk + 1) / p->chunks) - channel;
  const int32_t output = strip * OUTPUTS, outputs = smaller(OUTPUTS, c->outputs - output);
  const size_t groups_bytes = p->groups > 1 ? p->groups * p->sum_bytes : 0, tap = (size_t)c->inputs * c->outputs;
  float *v = (float *)(p->call->run->scratch + groups_bytes + (size_t)thread * p->thread_bytes);
  float *e = v + POINTS * p->v, *m = e + POINTS * p->e;
  const int32_t begin = group * p->tiles, end = smaller(p->tiling.tiles, begin + p->tiles);
  for (int32_t first = begin; first < end; first += TILES) {
    const int32_t count = smaller(TILES, end - first);
    transform_patches(&p->tiling, floats(p->call, X) + channel, c->inputs, first, count, channels, v, (size_t)p->channels, p->v);
    for (int32_t o = 0; o < outputs; o += p->width) {
      const int32_t some = smaller(p->width, outputs - o);
      transform_gradients(p, first, count, output + o, some, e);
      multiply_tiles(p, v, e, count, channels, some, first > begin, m + o);
    }
  }
  float *sums = p->groups > 1 ? (float *)(p->call->run->scratch + group * p->sum_bytes) : floats(p->call, DWEIGHT);
  transform_sums(p, m, channels, outputs, p->groups == 1 && p->call->operands[DWEIGHT].accumulate,
                 sums + (size_t)channel * c->outputs + output, tap);
}

static void add_block(const Call *call, int32_t first, int32_t count) {
  const Plan p = plan_of(call);
  float sum[BLOCK] = {0};
  for (int32_t group = 0; group < p.groups; group++) {
    const float *part = (const float *)(call->run->scratch + (size_t)group * p.sum_bytes) + first;
    for (int32_t i = 0; i < count; i++) sum[i] += part[i];
  }
  write_gradient(call, DWEIGHT, first, count, sum);
}

void winograd_gradient(const Call *call) {
  Plan p = plan_of(call);
  parallel(call->run, p.chunks * p.strips * p.groups, sum_piece, &p);
  if (p.groups > 1) each_block(call, shape(call, DWEIGHT)->size, add_block);
}
