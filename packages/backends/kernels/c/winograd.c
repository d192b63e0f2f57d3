/*
 * A tile of 4 × 4 sums is Y = Aᵀ·(Σ_c U_c ∘ V_c)·A of the patch of 6 × 6 pixels d_c below it and the weights g_c, with V = Bᵀ·d·B and
 * U = G·g·Gᵀ. These polynomials are taken at 0, ±√½, ±√2 and ∞: with the usual points ±1 and ±2 the sums would lose a digit more.
 *
 *          1   0  −5/2  0   1  0           1    0    0            1  1   1   1    1   0
 *          0 −√2   −2  √½   1  0         −2/3 −√2/3 −1/3          0 √½ −√½  √2  −√2   0
 *     Bᵀ = 0  √2   −2 −√½   1  0     G = −2/3  √2/3 −1/3     Aᵀ = 0  ½   ½   2    2   0
 *          0 −√½   −½  √2   1  0          1/6  √2/6  1/3          0 √⅛ −√⅛  √8  −√8   1
 *          0  √½   −½ −√2   1  0          1/6 −√2/6  1/3
 *          0   1    0 −5/2  0  1           0    0    1
 *
 * The sum over channels is a product of matrices for each of the 36 points. A piece of work is a block of tiles and a strip of
 * outputs: for one chunk of channels after the other, U, V and the sums lie in the second-level cache.
 */
#include "winograd.h"
#include "register-tile.h"
#include "transpose.h"

enum { SIDE = 4, PATCH = SIDE + 2, POINTS = PATCH * PATCH, TAPS = 9 };
/* Channels of a chunk and outputs of a strip, at most. */
enum { CHANNELS = 64, OUTPUTS = 64 };
/* Bytes that U may take as a whole: then it is made once for all blocks, else for each of them. Tiles of a block in either case. */
enum { SHARED_BYTES = 10 << 20, SHARED_TILES = 36, OWN_TILES = 64 };
/* Points and tiles are apart by an odd number of cache lines, lest all of them meet in the same sets. */
enum { APART = 16 };

/* Images side by side in a frame along one axis, the pixels from one to the next, and the tiles that cover them. */
typedef struct {
  int32_t images, apart, tiles;
} Axis;

typedef struct {
  const Windows *windows;
  Axis down, across;
  /* Tiles of a frame, and of all. */
  int32_t frame, tiles;
  /* Tiles of a block, blocks; channels of a chunk, chunks; strips, and the outputs of one, filled up to whole blocks. */
  int32_t block, blocks, chunk, chunks, strips, width;
  /*
   * Numbers from one point to the next in U [POINTS][blocks of outputs][chunk][BLOCK_OUTPUTS]; from one tile to the next in
   * V [block][POINTS][chunk] and the sums [block][POINTS][width].
   */
  size_t u, v, sums;
  /* Whether U of all chunks and strips is made beforehand; it lies before the memory of the threads. */
  int shared;
  uint8_t *scratch;
} Plan;

static size_t spread(size_t numbers) { return numbers + (numbers % (2 * APART) ? 0 : APART); }

/* Bytes of U for all chunks and strips. */
static size_t all_u(const Plan *p) { return align64(4 * POINTS * p->u * p->chunks * p->strips); }

static Axis axis_of(int32_t images, int32_t length, int32_t margin, int32_t out_length) {
  return (Axis){images, length + margin, ceiling((images - 1) * (length + margin) + out_length, SIDE)};
}

/*
 * Small images whose extents are no multiples of a tile's lie side by side in a frame, with the zeros around them between them, so
 * that fewer tiles reach over edges: as many as make the tiles of all images fewest.
 */
static Plan frames_of(const Windows *w) {
  enum { IMAGES = 4, SMALL = 64 };
  Plan p = {.windows = w};
  for (int32_t down = 1; down <= (w->out_height < SMALL ? IMAGES : 1); down++)
    for (int32_t across = 1; across <= (w->out_width < SMALL ? IMAGES : 1); across++) {
      const Axis y = axis_of(down, w->height, w->top, w->out_height), x = axis_of(across, w->width, w->left, w->out_width);
      const int32_t frame = y.tiles * x.tiles, tiles = ceiling(w->batch, down * across) * frame;
      if (p.frame && tiles >= p.tiles) continue;
      p.down = y, p.across = x, p.frame = frame, p.tiles = tiles;
    }
  return p;
}

static Plan plan_of(const Windows *w) {
  Plan p = frames_of(w);
  p.chunks = larger(1, ceiling(w->channels, CHANNELS));
  p.chunk = ceiling(w->channels, p.chunks);
  p.strips = ceiling(w->outputs, OUTPUTS);
  p.width = summed_outputs(smaller(OUTPUTS, w->outputs));
  p.u = spread((size_t)p.chunk * ceiling(p.width, BLOCK_OUTPUTS) * BLOCK_OUTPUTS);
  p.v = spread(POINTS * (size_t)p.chunk);
  p.sums = spread(POINTS * (size_t)p.width);
  p.shared = p.tiles > OWN_TILES && all_u(&p) <= SHARED_BYTES;
  p.blocks = larger(1, ceiling(p.tiles, p.shared ? SHARED_TILES : OWN_TILES));
  p.block = ceiling(p.tiles, p.blocks);
  return p;
}

/* Chunks differ by one channel at most: so none has fewer than LANES, where there are as many. */
static int32_t first_channel(const Plan *p, int32_t chunk) { return (int32_t)((int64_t)p->windows->channels * chunk / p->chunks); }

/* Numbers of a thread's own U, of one chunk and strip. */
static size_t own_u(const Plan *p) { return p->shared ? 0 : POINTS * p->u; }

static size_t thread_bytes(const Plan *p) {
  const size_t turned = TAPS * (size_t)p->chunk * LANES;
  return align64(4 * (turned + own_u(p) + p->block * (p->v + p->sums)));
}

/* Transforms cost too much where tiles reach far over the edges, and those of the weights where there are few of them. */
static int fits(const Windows *w) {
  enum { FEW_PIXELS = 64, FILLED = 9 };
  if (w->spikes || w->rows != 3 || w->columns != 3 || w->stride != 1 || w->step != 1 || w->channels < LANES) return 0;
  const int64_t pixels = (int64_t)w->batch * w->out_height * w->out_width;
  return pixels >= FEW_PIXELS && pixels >= FILLED * (int64_t)frames_of(w).tiles;
}

int are_winograd(const Windows *w, float share) {
  /* Sums over events take as long where a fifth of the elements are not 0, and the blocks of outputs are full. */
  return fits(w) && 5 * share * (float)w->outputs > (float)summed_outputs(w->outputs);
}

size_t winograd_scratch(const Windows *w, int32_t threads) {
  if (!fits(w)) return 0;
  const Plan p = plan_of(w);
  return (p.shared ? all_u(&p) : 0) + (size_t)threads * thread_bytes(&p);
}

/* Along one axis in registers; along the other one after the other, for the code would be as large as that of all other sums. */
#define EACH(i) _Pragma("GCC unroll 6") for (int i = 0; i < PATCH; i++)
#define EACH_SUM(i) _Pragma("GCC unroll 4") for (int i = 0; i < SIDE; i++)
#ifdef __clang__
#define ONE_BY_ONE(i, count) _Pragma("clang loop unroll(disable)") for (int i = 0; i < count; i++)
#else
#define ONE_BY_ONE(i, count) _Pragma("GCC unroll 1") for (int i = 0; i < count; i++)
#endif
#define ROOT_2 1.41421356237f

/* One axis of Bᵀ·d·B, of G·g·Gᵀ and of Aᵀ·m·A. */
INLINE void patch_axis(const vf d[PATCH], vf to[PATCH]) {
  const vf even_half = multiply_add(splat(-2), d[2], d[4]), odd_half = multiply_add(splat(-2), d[1], d[3]);
  const vf even_two = multiply_add(splat(-0.5f), d[2], d[4]), odd_two = multiply_add(splat(-0.5f), d[1], d[3]);
  to[0] = multiply_add(splat(-2.5f), d[2], d[0] + d[4]);
  to[1] = multiply_add(splat(ROOT_2 / 2), odd_half, even_half);
  to[2] = multiply_add(splat(-ROOT_2 / 2), odd_half, even_half);
  to[3] = multiply_add(splat(ROOT_2), odd_two, even_two);
  to[4] = multiply_add(splat(-ROOT_2), odd_two, even_two);
  to[5] = multiply_add(splat(-2.5f), d[3], d[1] + d[5]);
}
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

/* The weights that are turned next are asked for while others are transformed: they come from the outermost cache. */
typedef struct {
  const float *rows;
  size_t stride, tap;
  int32_t channels, count, row, column;
} Ahead;

INLINE void ask_ahead(Ahead *a) {
  if (a->row >= a->count) return;
  for (int t = 0; t < TAPS; t++) __builtin_prefetch(a->rows + t * a->tap + a->row * a->stride + a->column, 0, 2);
  a->column += 16;
  if (a->column >= a->channels) a->column = 0, a->row++;
}

/* U of a chunk of channels and a strip of outputs; `turned` has room for the weights of one vector of outputs. */
static void transform_weights(const Plan *p, int32_t chunk, int32_t strip, float *turned, float *u) {
  const Windows *w = p->windows;
  const int32_t channel = first_channel(p, chunk), channels = first_channel(p, chunk + 1) - channel;
  const size_t tap = (size_t)p->chunk * LANES, apart = p->u;
  for (int32_t o = 0; o < p->width; o += LANES) {
    const int32_t output = strip * OUTPUTS + o, count = larger(0, smaller(LANES, w->outputs - output));
    for (int t = 0; t < TAPS; t++) {
      if (count < LANES) __builtin_memset(turned + t * tap, 0, 4 * tap);
      transpose(w->weight + ((size_t)(TAPS - 1 - t) * w->outputs + output) * w->channels + channel, (size_t)w->channels, count, channels,
                turned + t * tap, LANES);
    }
    float *to = u + (size_t)(o / BLOCK_OUTPUTS * p->chunk) * BLOCK_OUTPUTS + o % BLOCK_OUTPUTS;
    Ahead ahead = {w->weight + (size_t)(output + LANES) * w->channels + channel, (size_t)w->channels, (size_t)w->outputs * w->channels,
                   channels, larger(0, smaller(LANES, w->outputs - output - LANES)), 0, 0};
    for (int32_t c = 0; c < channels; c++, to += BLOCK_OUTPUTS) {
      if (c % (16 / LANES) == 0) ask_ahead(&ahead);
      const float *from = turned + (size_t)c * LANES;
      vf half[3][PATCH];
      ONE_BY_ONE(b, 3) {
        const vf g[3] = {load(from + b * tap), load(from + (3 + b) * tap), load(from + (6 + b) * tap)};
        weight_axis(g, half[b]);
      }
      ONE_BY_ONE(i, PATCH) {
        const vf row[3] = {half[0][i], half[1][i], half[2][i]};
        vf point[PATCH];
        weight_axis(row, point);
        EACH(j) store(to + (i * PATCH + j) * apart, point[j]);
      }
    }
  }
}

static float *memory_of(const Plan *p, int32_t thread) {
  return (float *)(p->scratch + (p->shared ? all_u(p) : 0) + (size_t)thread * thread_bytes(p));
}

/* Where the U of a chunk and a strip lies that is made beforehand. */
static float *shared_u(const Plan *p, int32_t chunk, int32_t strip) {
  return (float *)p->scratch + POINTS * p->u * (size_t)(strip * p->chunks + chunk);
}

static void piece_of_weights(void *work, int32_t piece, int32_t thread) {
  const Plan *p = work;
  const int32_t chunk = piece % p->chunks, strip = piece / p->chunks;
  transform_weights(p, chunk, strip, memory_of(p, thread), shared_u(p, chunk, strip));
}

/* What lies around an image. */
static const float zeros[CHANNELS];

/* Where one row or column of a frame lies: which of the frame's images, and which row or column of x or y; −1 if of none. */
typedef struct {
  int32_t image, at;
} Line;

static Line line_of(const Axis *axis, int32_t position, int32_t length) {
  const int32_t image = position < 0 ? 0 : position / axis->apart, at = position - image * axis->apart;
  return (Line){image, at >= 0 && at < length && image < axis->images ? at : -1};
}

/* The first row and column of a tile in its frame, and the frame's first image. */
typedef struct {
  int32_t image, row, column;
} Corner;

static Corner corner_of(const Plan *p, int32_t tile) {
  const int32_t frame = tile / p->frame, rest = tile % p->frame;
  return (Corner){frame * p->down.images * p->across.images, rest / p->across.tiles * SIDE, rest % p->across.tiles * SIDE};
}

/* V of some tiles and a chunk of channels, which are LANES at least: the last ones of it may be computed twice. */
static void transform_patches(const Plan *p, int32_t first, int32_t count, int32_t channel, int32_t channels, float *v) {
  const Windows *w = p->windows;
  const float *x = floats(w->call, w->operand) + channel;
  const size_t apart = (size_t)p->chunk;
  for (int32_t tile = first; tile < first + count; tile++, v += p->v) {
    const Corner corner = corner_of(p, tile);
    const float *pixels[PATCH][PATCH];
    Line columns[PATCH];
    EACH(j) columns[j] = line_of(&p->across, corner.column - w->left + j, w->width);
    ONE_BY_ONE(i, PATCH) {
      const Line row = line_of(&p->down, corner.row - w->top + i, w->height);
      EACH(j) {
        const int32_t n = corner.image + row.image * p->across.images + columns[j].image;
        const int inside = row.at >= 0 && columns[j].at >= 0 && n < w->batch;
        pixels[i][j] = inside ? x + (((int64_t)n * w->height + row.at) * w->width + columns[j].at) * w->channels : zeros;
      }
    }
    for (int32_t c = 0; c < channels; c += LANES) {
      const int32_t at = smaller(c, channels - LANES);
      vf half[PATCH][PATCH];
      ONE_BY_ONE(i, PATCH) {
        vf row[PATCH];
        EACH(j) row[j] = load(pixels[i][j] + at);
        patch_axis(row, half[i]);
      }
      ONE_BY_ONE(j, PATCH) {
        const vf column[PATCH] = {half[0][j], half[1][j], half[2][j], half[3][j], half[4][j], half[5][j]};
        vf to[PATCH];
        patch_axis(column, to);
        EACH(i) {
          float *const point = v + (i * PATCH + j) * apart + at;
          store(point, to[i]);
          /* The next tile's. */
          __builtin_prefetch(point + p->v, 1, 3);
        }
      }
    }
  }
}

/* The sums of the first of `left` tiles for one block of outputs and one point. */
INLINE void add_tiles(int pixels, int vectors, const Plan *p, const float *u, const float *patches, int32_t left, int32_t channels, int add,
                      float *sums) {
  const float *x[HALF_PIXELS];
  Tile sum;
  /* Behind the last tile it is computed again, and not written. */
  EACH_PIXEL(pixels) {
    x[q] = patches + (size_t)smaller(q, left - 1) * p->v;
    EACH_VECTOR(vectors) sum[q][v] = add && q < left ? load(sums + q * p->sums + v * LANES) : splat(0);
  }
  add_products(pixels, vectors, x, channels, u, sum);
  EACH_PIXEL(pixels) if (q < left) EACH_VECTOR(vectors) store(sums + q * p->sums + v * LANES, sum[q][v]);
}

/* Those of all tiles, `pixels` at a time; the last ones by fours, where that leaves fewer to be computed again. */
INLINE void add_all_tiles(int pixels, int vectors, const Plan *p, const float *u, const float *patches, int32_t tiles, int32_t channels,
                          int add, float *sums) {
  for (int32_t tile = 0; tile < tiles;) {
    const int32_t left = tiles - tile;
    const float *const from = patches + tile * p->v;
    float *const to = sums + tile * p->sums;
    if (pixels == 4 || left <= 4 || (pixels == 6 && left == 8)) add_tiles(4, vectors, p, u, from, left, channels, add, to), tile += 4;
    else add_tiles(pixels, vectors, p, u, from, left, channels, add, to), tile += pixels;
  }
}

/* The products of a chunk, for all points. */
static void multiply_chunk(const Plan *p, const float *u, const float *patches, int32_t tiles, int32_t outputs, int32_t channels, int add,
                           float *sums) {
  for (int point = 0; point < POINTS; point++, u += p->u, patches += p->chunk, sums += p->width)
    for (int32_t o = 0; o < outputs; o += BLOCK_OUTPUTS) {
      const float *const weights = u + (size_t)o * p->chunk;
      if (is_half(outputs - o)) add_all_tiles(HALF_PIXELS, HALF_VECTORS, p, weights, patches, tiles, channels, add, sums + o);
      else add_all_tiles(PIXELS, BLOCK_VECTORS, p, weights, patches, tiles, channels, add, sums + o);
    }
}

/* Y of some tiles. */
static void transform_sums(const Plan *p, int32_t first, int32_t count, int32_t output, int32_t outputs, const float *sums) {
  const Windows *w = p->windows;
  for (int32_t tile = first; tile < first + count; tile++, sums += p->sums) {
    const Corner corner = corner_of(p, tile);
    float *pixels[SIDE][SIDE];
    Line columns[SIDE];
    EACH_SUM(j) columns[j] = line_of(&p->across, corner.column + j, w->out_width);
    ONE_BY_ONE(i, SIDE) {
      const Line row = line_of(&p->down, corner.row + i, w->out_height);
      EACH_SUM(j) {
        const int32_t n = corner.image + row.image * p->across.images + columns[j].image;
        const int inside = row.at >= 0 && columns[j].at >= 0 && n < w->batch;
        pixels[i][j] = inside ? w->y + window_pixel(w, n, row.at, columns[j].at) * (size_t)w->outputs + output : 0;
      }
    }
    for (int32_t o = 0; o < outputs; o += LANES) {
      vf half[PATCH][SIDE];
      ONE_BY_ONE(j, PATCH) {
        vf column[PATCH];
        EACH(i) column[i] = load(sums + (i * PATCH + j) * p->width + o);
        tile_axis(column, half[j]);
      }
      ONE_BY_ONE(i, SIDE) {
        const vf row[PATCH] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
        vf sum[SIDE];
        tile_axis(row, sum);
        EACH_SUM(j) {
          if (!pixels[i][j]) continue;
          float *to = pixels[i][j] + o;
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
  const int32_t first = piece / p->strips * p->block, count = smaller(p->block, p->tiles - first);
  float *turned = memory_of(p, thread), *own = turned + TAPS * (size_t)p->chunk * LANES;
  float *v = own + own_u(p), *sums = v + p->block * p->v;
  for (int32_t chunk = 0; chunk < p->chunks; chunk++) {
    const int32_t channel = first_channel(p, chunk), channels = first_channel(p, chunk + 1) - channel;
    if (!p->shared) transform_weights(p, chunk, strip, turned, own);
    transform_patches(p, first, count, channel, channels, v);
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
