#include "product.h"
#include "dense.h"
#include "transpose.h"

/* Columns of Y that are summed at a time, in registers: more of them where vectors are short and the loop over events weighs more. */
enum { VECTORS = VECTOR_BYTES == 16 ? 12 : 8, COLUMNS = VECTORS * LANES };
/* 64-bit words of A's bits, and so elements of the sum, that a panel covers: with COLUMNS columns it takes at most 32 KB. */
enum { PANEL_WORDS = VECTOR_BYTES == 16 ? 2 : 1, PANEL = 64 * PANEL_WORDS };
/* So many rows make it worth copying a panel, to where its rows are aligned and neighbours; so many more, copying it twice. */
enum { WORTH_COPYING = 8, MANY_ROWS = 512 };
/* Rows of Aᵀ whose bits are transposed together; rows of A that are a piece of work, and of Y that are handed on together. */
enum { TOGETHER = 64, SOME_ROWS = 8 };

/* What scratch memory holds: the bits of A, its values where they do not lie in rows, and a panel for each thread. */
typedef struct {
  size_t bits, values, block;
} Room;

static Room room_of(int32_t rows, int32_t depth, int spikes, int transposed_a) {
  return (Room){align64(8 * (size_t)rows * (size_t)ceiling(depth, 64)),
                transposed_a && !spikes ? align64(4 * (size_t)rows * (size_t)depth) : 0, 4 * (size_t)PANEL * COLUMNS};
}

size_t product_scratch(int32_t rows, int32_t depth, int32_t threads, int spikes, int transposed_a) {
  const Room r = room_of(rows, depth, spikes, transposed_a);
  return r.bits + r.values + (size_t)threads * r.block;
}

/* Where vectors are short, sums take so much longer than transposing that keeping panels gains nothing. */
enum { KEEPS = VECTOR_BYTES > 16 };

size_t product_kept(int32_t depth, int32_t columns) {
  return KEEPS ? 4 * (size_t)depth * (size_t)ceiling(columns, COLUMNS) * COLUMNS : 0;
}

typedef struct {
  const Product *product;
  int32_t words, strips, rows_per_piece;
  /* Row m of A: the bits of its elements that are not 0, and the elements; null for spikes. */
  uint64_t *bits;
  float *transposed;
  const float *values;
  uint8_t *blocks;
  size_t block;
  void (*then)(const Call *call, int32_t first, int32_t count);
} Work;

/* --- the bits of A */

/* Which of the elements first … first + count − 1 of an operand are not 0; 64 at most, over as many rows of channels as it takes. */
INLINE uint64_t element_bits(const Call *call, int i, size_t first, int32_t count) {
  if (!is_spikes(call, i)) return nonzero_bits(floats(call, i) + first, count);
  const size_t channels = (size_t)shape(call, i)->channels;
  uint64_t bits = 0;
  size_t row = first / channels;
  for (int32_t done = 0, c = (int32_t)(first % channels); done < count; c = 0, row++) {
    const int32_t here = smaller(count - done, (int32_t)channels - c);
    bits |= event_bits(call, i, row, c, here) << done;
    done += here;
  }
  return bits;
}

static void row_bits(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Work *w = work;
  const Product *p = w->product;
  for (int32_t m = piece * SOME_ROWS; m < smaller(p->rows, (piece + 1) * SOME_ROWS); m++)
    for (int32_t k = 0; k < p->depth; k += 64)
      w->bits[(size_t)m * w->words + k / 64] = element_bits(p->call, p->operand, (size_t)m * p->depth + k, smaller(64, p->depth - k));
}

/* Bit j of word i becomes bit i of word j: blocks off the diagonal change places, then those within them. */
static void transpose_bits(uint64_t words[64]) {
  uint64_t keep = 0x00000000ffffffffull;
  for (int half = 32; half; half /= 2, keep ^= keep << half)
    for (int i = 0; i < 64; i = ((i | half) + 1) & ~half) {
      const uint64_t swap = (words[i] >> half ^ words[i | half]) & keep;
      words[i] ^= swap << half;
      words[i | half] ^= swap;
    }
}

static void column_bits(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Work *w = work;
  const Product *p = w->product;
  const int32_t first = piece * TOGETHER, count = smaller(TOGETHER, p->rows - first);
  for (int32_t begin = 0; begin < p->depth; begin += 64) {
    const int32_t depth = smaller(64, p->depth - begin);
    const size_t at = (size_t)begin * p->rows + first;
    uint64_t words[64] = {0};
    for (int32_t k = 0; k < depth; k++) words[k] = element_bits(p->call, p->operand, at + (size_t)k * p->rows, count);
    transpose_bits(words);
    for (int32_t m = 0; m < count; m++) w->bits[(size_t)(first + m) * w->words + begin / 64] = words[m];
    if (w->transposed)
      transpose(floats(p->call, p->operand) + at, (size_t)p->rows, depth, count, w->transposed + (size_t)first * p->depth + begin,
                (size_t)p->depth);
  }
}

/* --- a panel's rows, added where the bits are */

/* Some columns of a panel: row k of B begins at rows + k·stride. */
typedef struct {
  const float *rows;
  size_t stride;
} Panel;

/* The rows of the next panel are asked for while this one is worked on: they come from the outermost cache. */
typedef struct {
  const float *rows;
  size_t stride;
  int32_t left, width;
} Ahead;

/* Rows of Y are asked for so many rows ahead, where they are so many that they come from the outermost cache too. */
enum { ROWS_AHEAD = 4 };

INLINE void ask_ahead(Ahead *a) {
  if (a->left <= 0) return;
  for (int32_t o = 0; o < a->width; o += 16) __builtin_prefetch(a->rows + o, 0, 2);
  a->rows += a->stride, a->left--;
}

/* Whether all columns of a strip are there; or the last vector is not whole, in Y alone as panels are copied, or in B too. */
enum { WHOLE, RAGGED, RAGGED_BOTH };

/* y += Σ value·row, where y begins with `start`. */
INLINE void add_panel(int kind, int vectors, int edge, float *y, const float *start, int32_t width, Panel b, const uint64_t *bits,
                      int32_t words, const float *values) {
  vf sum[VECTORS];
#pragma GCC unroll 12
  for (int v = 0; v < vectors; v++) {
    const float *at = start + v * LANES;
    sum[v] = !start ? splat(0) : edge == WHOLE ? load(at) : load_up_to(at, width - v * LANES);
  }
  for (int32_t i = 0; i < words; i++)
    for (uint64_t left = bits[i]; left; left &= left - 1) {
      const int32_t k = 64 * i + __builtin_ctzll(left);
      const float *row = b.rows + (size_t)k * b.stride;
      IN_REGISTER(row);
      const vf value = splat(kind == SPIKE ? 1 : values[k]);
#pragma GCC unroll 12
      for (int v = 0; v < vectors; v++) {
        const float *at = row + v * LANES;
        sum[v] = plus(kind, sum[v], value, edge == RAGGED_BOTH ? load_up_to(at, width - v * LANES) : load(at));
      }
    }
#pragma GCC unroll 12
  for (int v = 0; v < vectors; v++)
    if (edge == WHOLE) store(y + v * LANES, sum[v]);
    else store_up_to(y + v * LANES, width - v * LANES, sum[v]);
}

/* A panel's share of a strip of rows `first` to `last` − 1. */
INLINE void panel_rows(const Work *w, int kind, int vectors, int edge, int32_t column, int32_t width, int32_t begin, int32_t first,
                       int32_t last, Panel b, Ahead ahead) {
  const Product *p = w->product;
  const int32_t word = begin / 64, words = smaller(PANEL_WORDS, w->words - word);
  for (int32_t m = first; m < last; m++) {
    float *y = p->y + (size_t)m * p->columns + column;
    ask_ahead(&ahead);
    if (p->rows >= MANY_ROWS && begin == 0 && m + ROWS_AHEAD < last)
      for (int32_t o = 0; o < width; o += 16) __builtin_prefetch(y + ROWS_AHEAD * (size_t)p->columns + o, 1, 3);
    add_panel(kind, vectors, edge, y, begin || p->accumulate ? y : p->start ? p->start + column : 0, width, b,
              w->bits + (size_t)m * w->words + word, words, kind == SPIKE ? 0 : w->values + (size_t)m * p->depth + begin);
  }
}

/* The same with what the compiler is to know; of rows that were not copied, a ragged strip goes vector by vector. */
#define KNOWN(KIND)                                                                                                  \
  if (width == COLUMNS) panel_rows(w, KIND, VECTORS, WHOLE, column, width, begin, first, last, b, ahead);        \
  else if (!copied)                                                                                                  \
    for (int32_t o = 0; o < width; o += LANES)                                                                       \
      panel_rows(w, KIND, 1, RAGGED_BOTH, column + o, width - o, begin, first, last, (Panel){b.rows + o, b.stride}, ahead); \
  else if (width <= LANES) panel_rows(w, KIND, 1, RAGGED, column, width, begin, first, last, b, ahead);              \
  else if (width <= 4 * LANES) panel_rows(w, KIND, 4, RAGGED, column, width, begin, first, last, b, ahead);          \
  else panel_rows(w, KIND, VECTORS, RAGGED, column, width, begin, first, last, b, ahead);

/* A strip of columns of some rows. */
static void strip_piece(void *work, int32_t piece, int32_t thread) {
  const Work *w = work;
  const Product *p = w->product;
  const int32_t column = piece % w->strips * COLUMNS, width = smaller(COLUMNS, p->columns - column);
  const int32_t first = piece / w->strips * w->rows_per_piece, last = smaller(p->rows, first + w->rows_per_piece);
  /* A row of one vector that is not whole is as fast to load where it is, with masks. */
  const int masked = VECTOR_BYTES == 64 && width <= LANES;
  const int32_t copied = p->transposed_b || (last - first >= WORTH_COPYING && !masked);
  float *block = (float *)(w->blocks + (size_t)thread * w->block);
  const int kind = kind_of(!w->values, p->rounding);
  for (int32_t begin = 0; begin < p->depth || begin == 0; begin += PANEL) {
    const int32_t depth = smaller(PANEL, p->depth - begin);
    const float *from = p->transposed_b ? p->b + (size_t)column * p->stride + begin : p->b + (size_t)begin * p->stride + column;
    if (p->transposed_b) transpose(from, p->stride, width, depth, block, COLUMNS);
    else if (copied)
      for (int32_t k = 0; k < depth; k++) __builtin_memcpy(block + k * COLUMNS, from + (size_t)k * p->stride, 4 * (size_t)width);
    const Panel b = copied ? (Panel){block, COLUMNS} : (Panel){from, p->stride};
    const Ahead ahead = {from + (size_t)PANEL * p->stride, p->stride, p->transposed_b ? 0 : smaller(PANEL, p->depth - begin - PANEL), width};
    if (kind == SPIKE) { KNOWN(SPIKE) }
    else if (kind == PRODUCT) { KNOWN(PRODUCT) }
    else { KNOWN(FUSED_PRODUCT) }
  }
}

/* The panels of a strip of columns are kept one behind the other. */
static float *kept_strip(const Product *p, int32_t column) { return p->kept->values + (size_t)column * (size_t)p->depth; }

static void keep_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Product *p = ((const Work *)work)->product;
  const int32_t column = piece * COLUMNS;
  transpose(p->b + (size_t)column * p->stride, p->stride, smaller(COLUMNS, p->columns - column), p->depth, kept_strip(p, column), COLUMNS);
}

/* A strip of columns of some rows, with kept panels. */
static void kept_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Work *w = work;
  const Product *p = w->product;
  const int32_t column = piece % w->strips * COLUMNS, width = smaller(COLUMNS, p->columns - column), copied = 1;
  const int32_t first = piece / w->strips * w->rows_per_piece, last = smaller(p->rows, first + w->rows_per_piece);
  for (int32_t begin = 0; begin < p->depth; begin += PANEL) {
    const Panel b = {kept_strip(p, column) + (size_t)begin * COLUMNS, COLUMNS};
    const Ahead ahead = {b.rows + PANEL * COLUMNS, COLUMNS, smaller(PANEL, p->depth - begin - PANEL), width};
    KNOWN(FUSED_PRODUCT)
  }
}

/*
 * Whether A has so few zeros that the dense product is faster, which needs no transposed panels and shares the load of a row of B among
 * several rows of A. Measured: transposing costs as much as 20 rows of A, and an element that is not 0 a tenth more than in the dense
 * product.
 */
static int is_dense(const Work *w, int kept) {
  const Product *p = w->product;
  int64_t events = 0;
  for (size_t i = 0; i < (size_t)p->rows * (size_t)w->words; i++) events += __builtin_popcountll(w->bits[i]);
  return 10 * events > (9 * (int64_t)p->rows - (kept ? 0 : 200)) * p->depth;
}

static void done_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Work *w = work;
  const int32_t first = piece * SOME_ROWS;
  w->then(w->product->call, first, smaller(SOME_ROWS, w->product->rows - first));
}

void multiply(const Product *p, void (*then)(const Call *call, int32_t first, int32_t count)) {
  const Run *run = p->call->run;
  const int spikes = is_spikes(p->call, p->operand);
  const Room room = room_of(p->rows, p->depth, spikes, p->transposed_a);
  Work w = {.product = p, .words = ceiling(p->depth, 64), .strips = ceiling(p->columns, COLUMNS), .block = room.block, .then = then};
  w.bits = (uint64_t *)run->scratch;
  if (room.values) w.transposed = (float *)(run->scratch + room.bits);
  if (!spikes) w.values = p->transposed_a ? w.transposed : floats(p->call, p->operand);
  w.blocks = run->scratch + room.bits + room.values;
  if (!w.strips || !p->rows) return;
  /*
   * The rows are parted too where strips are few, and where it costs little: two threads that have rows of their own write to no cache
   * line together, and meet rows that are theirs in the kernels before and after.
   */
  const int kept = KEEPS && p->kept;
  const int32_t parts = larger(kept || p->rows >= MANY_ROWS ? 2 : 1, ceiling(8, w.strips));
  w.rows_per_piece = larger(8, ceiling(p->rows, parts));
  if (p->transposed_a) parallel(run, ceiling(p->rows, TOGETHER), column_bits, &w);
  else parallel(run, ceiling(p->rows, SOME_ROWS), row_bits, &w);
  if (p->transposed_b && p->depth >= DENSE_VECTORS * LANES && is_dense(&w, kept)) {
    multiply_dense(p->call, p->rows, p->columns, p->depth, w.values, p->b, p->y, p->accumulate);
    return;
  }
  if (kept && !p->kept->is_made) parallel(run, w.strips, keep_piece, &w), p->kept->is_made = 1;
  parallel(run, w.strips * ceiling(p->rows, w.rows_per_piece), kept ? kept_piece : strip_piece, &w);
  if (then) parallel(run, ceiling(p->rows, SOME_ROWS), done_piece, &w);
}
