#include "sparse-matmul.h"
#include "dense.h"
#include "transpose.h"

/* Columns of Y that are summed in registers at a time: more if vectors are short, because the loop over events then weighs more. */
enum { VECTORS = VECTOR_BYTES == 16 ? 12 : 8, COLUMNS = VECTORS * LANES };
/* Words of A's bits that a panel covers, 64 terms of the sum each: with COLUMNS columns, a panel takes at most 32 KB. */
enum { PANEL_WORDS = VECTOR_BYTES == 16 ? 2 : 1, PANEL = 64 * PANEL_WORDS };
/* Minimum rows for which copying a panel into contiguous, aligned rows pays off; and for which copying it twice does. */
enum { WORTH_COPYING = 8, MANY_ROWS = 512 };
/* Rows whose bits are transposed together; rows of A in a piece of work, and of Y that are reported together. */
enum { TOGETHER = 64, SOME_ROWS = 8 };

/* Bytes of all panels of B, stored strip of columns by strip. */
static size_t panel_bytes(int32_t depth, int32_t columns) { return 4 * (size_t)depth * (size_t)ceiling(columns, COLUMNS) * COLUMNS; }

/* With short vectors, sums take so much longer than copying that storing the panels gains nothing. */
enum { KEEPS = VECTOR_BYTES > 16 };
/* Panels of a B that is not transposed are worth their memory only if B is small and consists of whole strips. */
enum { MAX_PANEL_BYTES = 1 << 20 };

size_t sparse_matmul_kept(int32_t rows, int32_t depth, int32_t columns, int transposed_b) {
  const size_t bytes = panel_bytes(depth, columns);
  return KEEPS && (transposed_b || (rows >= WORTH_COPYING && columns >= COLUMNS && bytes <= MAX_PANEL_BYTES)) ? bytes : 0;
}

/* Scratch memory: the bits of A, its values unless they already lie in rows, and a panel for each thread. */
typedef struct {
  size_t bits, values, block;
} Room;

static Room room_of(int32_t rows, int32_t depth, int spikes, int transposed_a) {
  return (Room){align64(8 * (size_t)rows * (size_t)ceiling(depth, 64)),
                transposed_a && !spikes ? align64(4 * (size_t)rows * (size_t)depth) : 0, 4 * (size_t)PANEL * COLUMNS};
}

size_t sparse_matmul_scratch(int32_t rows, int32_t depth, int32_t threads, int spikes, int transposed_a) {
  const Room r = room_of(rows, depth, spikes, transposed_a);
  return r.bits + r.values + (size_t)threads * r.block;
}

typedef struct {
  const Product *product;
  int32_t words, strips, width, rows_per_piece;
  /* The non-zero bits of A's rows; its values in rows, null for spikes. */
  uint64_t *bits;
  float *transposed;
  const float *values;
  /* B's panels, stored strip of columns by strip; or null. */
  float *panels;
  uint8_t *blocks;
  size_t block;
  void (*then)(const Call *call, int32_t first, int32_t count);
} Work;

/* --- the bits of A */

/* Non-zero bits of elements first … first + count − 1 of an operand, at most 64, across rows of channels. */
COMPACT uint64_t element_bits(const Call *call, int i, size_t first, int32_t count) {
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

/* Bit j of word i becomes bit i of word j: swaps off-diagonal blocks, then recurses into smaller blocks. */
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
  }
}

static void transpose_values(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Work *w = work;
  const Product *p = w->product;
  const int32_t first = piece * TOGETHER, count = smaller(TOGETHER, p->rows - first);
  for (int32_t begin = 0; begin < p->depth; begin += 64)
    transpose(floats(p->call, p->operand) + (size_t)begin * p->rows + first, (size_t)p->rows, smaller(64, p->depth - begin), count,
              w->transposed + (size_t)first * p->depth + begin, (size_t)p->depth);
}

/* --- adding rows of a panel for the set bits */

/* A strip of columns of B: row k begins at rows + k·stride. */
typedef struct {
  const float *rows;
  size_t stride;
} Panel;

/* Prefetch of the next panel's rows while this one is used: they come from the last-level cache. */
typedef struct {
  const float *rows;
  size_t stride;
  int32_t left, width;
} Prefetch;

/* Rows of Y are prefetched this many rows ahead if there are MANY_ROWS of them, which come from the last-level cache too. */
enum { ROWS_AHEAD = 4 };

INLINE void prefetch_next(Prefetch *a) {
  if (a->left <= 0) return;
  for (int32_t o = 0; o < a->width; o += 16) __builtin_prefetch(a->rows + o, 0, 2);
  a->rows += a->stride, a->left--;
}

/* y = start + Σ value·row over whole vectors; without `start`, the sum alone. */
INLINE void add_panel(int kind, int vectors, float *y, const float *start, Panel b, const uint64_t *bits, int32_t words, const float *values) {
  vf sum[VECTORS];
#pragma GCC unroll 12
  for (int v = 0; v < vectors; v++) sum[v] = start ? load(start + v * LANES) : splat(0);
  for (int32_t i = 0; i < words; i++)
    for (uint64_t left = bits[i]; left; left &= left - 1) {
      const int32_t k = 64 * i + __builtin_ctzll(left);
      const float *row = b.rows + (size_t)k * b.stride;
      IN_REGISTER(row);
      const vf value = splat(kind == SPIKE ? 1 : values[k]);
#pragma GCC unroll 12
      for (int v = 0; v < vectors; v++) sum[v] = plus(kind, sum[v], value, load(row + v * LANES));
    }
#pragma GCC unroll 12
  for (int v = 0; v < vectors; v++) store(y + v * LANES, sum[v]);
}

COMPACT void copy_floats(float *to, const float *from, int32_t count) {
  for (int32_t o = 0; o < count; o += LANES) store_up_to(to + o, count - o, load_up_to(from + o, count - o));
}

/* Adds a panel to a strip of rows first … last − 1. A strip that does not fill whole vectors is summed in a local row. */
INLINE void panel_rows(const Work *w, int kind, int vectors, int32_t column, int32_t width, int32_t begin, int32_t first, int32_t last,
                       Panel b, Prefetch ahead) {
  const Product *p = w->product;
  const int32_t word = begin / 64, words = smaller(PANEL_WORDS, w->words - word);
  float own[COLUMNS] = {0};
  for (int32_t m = first; m < last; m++) {
    float *y = p->y + (size_t)m * p->columns + column, *sums = y;
    const float *start = begin || p->accumulate ? y : p->start ? p->start + column : 0;
    prefetch_next(&ahead);
    if (p->rows >= MANY_ROWS && begin == 0 && m + ROWS_AHEAD < last)
      for (int32_t o = 0; o < width; o += 16) __builtin_prefetch(y + ROWS_AHEAD * (size_t)p->columns + o, 1, 3);
    if (width < vectors * LANES) {
      sums = own;
      if (start) copy_floats(own, start, width), start = own;
    }
    add_panel(kind, vectors, sums, start, b, w->bits + (size_t)m * w->words + word, words,
              kind == SPIKE ? 0 : w->values + (size_t)m * p->depth + begin);
    if (sums == own) copy_floats(y, own, width);
  }
}

/* Calls the copy of `panel_rows` that is compiled for these constants. */
#define KNOWN(KIND)                                                                                   \
  if (width <= LANES) panel_rows(w, KIND, 1, column, width, begin, first, last, b, ahead);            \
  else if (width <= 4 * LANES) panel_rows(w, KIND, 4, column, width, begin, first, last, b, ahead);   \
  else panel_rows(w, KIND, VECTORS, column, width, begin, first, last, b, ahead);

/* The panels of a strip of columns. */
static float *panels_of(const Work *w, int32_t column) { return w->panels + (size_t)column * (size_t)w->product->depth; }

static void pack_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Work *w = work;
  const Product *p = w->product;
  const int32_t column = piece * COLUMNS, width = smaller(COLUMNS, p->columns - column);
  float *to = panels_of(w, column);
  if (p->transposed_b) transpose(p->b + (size_t)column * p->stride, p->stride, width, p->depth, to, COLUMNS);
  else
    for (int32_t k = 0; k < p->depth; k++, to += COLUMNS) __builtin_memcpy(to, p->b + (size_t)k * p->stride + column, 4 * (size_t)width);
}

/* Computes a strip of columns for some rows. */
static void strip_piece(void *work, int32_t piece, int32_t thread) {
  const Work *w = work;
  const Product *p = w->product;
  const int32_t column = piece % w->strips * COLUMNS, width = smaller(COLUMNS, p->columns - column);
  const int32_t first = piece / w->strips * w->rows_per_piece, last = smaller(p->rows, first + w->rows_per_piece);
  float *block = (float *)(w->blocks + (size_t)thread * w->block);
  const int kind = kind_of(!w->values, p->rounding);
  for (int32_t begin = 0; begin < p->depth || begin == 0; begin += PANEL) {
    const int32_t depth = smaller(PANEL, p->depth - begin), next = smaller(PANEL, p->depth - begin - PANEL);
    Panel b = {block, COLUMNS};
    Prefetch ahead = {0};
    if (KEEPS && w->panels) {
      b.rows = panels_of(w, column) + (size_t)begin * COLUMNS;
      ahead = (Prefetch){b.rows + PANEL * COLUMNS, COLUMNS, next, width};
    } else if (p->transposed_b) transpose(p->b + (size_t)column * p->stride + begin, p->stride, width, depth, block, COLUMNS);
    else {
      const float *from = p->b + (size_t)begin * p->stride + column;
      for (int32_t k = 0; k < depth; k++) __builtin_memcpy(block + k * COLUMNS, from + (size_t)k * p->stride, 4 * (size_t)width);
      ahead = (Prefetch){from + (size_t)PANEL * p->stride, p->stride, next, width};
    }
    if (kind == SPIKE) { KNOWN(SPIKE) }
    else if (kind == PRODUCT) { KNOWN(PRODUCT) }
    else { KNOWN(FUSED_PRODUCT) }
  }
}

/* --- few events, or few rows of A: adds rows of B in place */

/* Words of A's bits whose events are listed at a time; events in 64 elements below which this path is faster. */
enum { LISTED_WORDS = 32, FEW = 4 };

static void sparse_piece(void *work, int32_t piece, int32_t thread) {
  const Work *w = work;
  const Product *p = w->product;
  const int32_t column = piece % w->strips * w->width, width = smaller(w->width, p->columns - column);
  const int32_t begin = piece / w->strips * SOME_ROWS, end = smaller(p->rows, begin + SOME_ROWS);
  uint32_t *index = (uint32_t *)(w->blocks + (size_t)thread * w->block);
  const Events events = {index, w->values ? (float *)index + 64 * LISTED_WORDS : 0};
  const float *values = w->values ? floats(p->call, p->operand) : 0;
  for (int32_t m = begin; m < end; m++) {
    float *y = p->y + (size_t)m * p->columns + column;
    if (!p->accumulate && p->start) __builtin_memcpy(y, p->start + column, 4 * (size_t)width);
    else if (!p->accumulate) __builtin_memset(y, 0, 4 * (size_t)width);
    for (int32_t first = 0; first < w->words; first += LISTED_WORDS) {
      const uint64_t *bits = w->bits + (size_t)m * w->words;
      int32_t count = 0;
      for (int32_t i = first; i < smaller(w->words, first + LISTED_WORDS); i++)
        for (uint64_t left = bits[i]; left; left &= left - 1) index[count++] = (uint32_t)(64 * i + __builtin_ctzll(left));
      for (int32_t e = 0; values && e < count; e++)
        events.value[e] = p->transposed_a ? values[(size_t)index[e] * p->rows + m] : values[(size_t)m * p->depth + index[e]];
      add_rows(p->rounding, y, width, p->b + column, p->stride, 0, events, count);
    }
  }
  if (w->then && w->strips == 1) w->then(p->call, begin, end - begin);
}

static int64_t events_of(const Work *w) {
  int64_t events = 0;
  for (size_t i = 0; i < (size_t)w->product->rows * (size_t)w->words; i++) events += __builtin_popcountll(w->bits[i]);
  return events;
}

/*
 * Whether A has so few zeros that the dense product is faster: it needs no transposed panels and loads a row of B once for several rows of
 * A. Measured: transposing costs as much as 20 rows of A, and a non-zero element a tenth more than in the dense product.
 */
static int is_dense(const Work *w, int kept) {
  const Product *p = w->product;
  return 10 * events_of(w) > (9 * (int64_t)p->rows - (kept ? 0 : 200)) * p->depth;
}

static void done_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Work *w = work;
  const int32_t first = piece * SOME_ROWS;
  w->then(w->product->call, first, smaller(SOME_ROWS, w->product->rows - first));
}

/* Whether A's bits can be read in place: untransposed spikes whose rows are whole 64-bit words. */
static int bits_lie_there(const Product *p) {
  return is_spikes(p->call, p->operand) && !p->transposed_a && shape(p->call, p->operand)->channels % 64 == 0;
}

void multiply_sparse(const Product *p, void (*then)(const Call *call, int32_t first, int32_t count)) {
  const Run *run = p->call->run;
  const int spikes = is_spikes(p->call, p->operand);
  const Room room = room_of(p->rows, p->depth, spikes, p->transposed_a);
  Work w = {.product = p, .words = ceiling(p->depth, 64), .strips = ceiling(p->columns, COLUMNS), .width = COLUMNS, .block = room.block,
            .then = then};
  w.bits = bits_lie_there(p) ? (uint64_t *)words(p->call, p->operand) : (uint64_t *)run->scratch;
  if (room.values) w.transposed = (float *)(run->scratch + room.bits);
  if (!spikes) w.values = p->transposed_a ? w.transposed : floats(p->call, p->operand);
  w.blocks = run->scratch + room.bits + room.values;
  if (!w.strips || !p->rows) return;
  /*
   * Rows are divided too if there are few strips, and if it costs little: threads that have rows of their own do not write to the same
   * cache lines, and meet the same rows in the kernels before and after.
   */
  const int kept = KEEPS && p->kept;
  const int32_t parts = larger(kept || p->rows >= MANY_ROWS ? 2 : 1, ceiling(8, w.strips));
  w.rows_per_piece = larger(8, ceiling(p->rows, parts));
  if (p->transposed_a) parallel(run, ceiling(p->rows, TOGETHER), column_bits, &w);
  else if (!bits_lie_there(p)) parallel(run, ceiling(p->rows, SOME_ROWS), row_bits, &w);
  if (!p->transposed_b && (p->rows < WORTH_COPYING || events_of(&w) < FEW * (int64_t)p->rows * w.words)) {
    if (p->rows >= WORTH_COPYING) w.strips = 1, w.width = p->columns;
    parallel(run, w.strips * ceiling(p->rows, SOME_ROWS), sparse_piece, &w);
    if (then && w.strips > 1) parallel(run, ceiling(p->rows, SOME_ROWS), done_piece, &w);
    return;
  }
  if (w.transposed) parallel(run, ceiling(p->rows, TOGETHER), transpose_values, &w);
  if (p->transposed_b && p->depth >= DENSE_VECTORS * LANES && is_dense(&w, kept)) {
    multiply_dense(p->call, p->rows, p->columns, p->depth, w.values, p->b, p->y, p->accumulate);
    return;
  }
  if (kept) w.panels = p->kept->values;
  if (kept && !p->kept->is_made) parallel(run, w.strips, pack_piece, &w), p->kept->is_made = 1;
  parallel(run, w.strips * ceiling(p->rows, w.rows_per_piece), strip_piece, &w);
  if (then) parallel(run, ceiling(p->rows, SOME_ROWS), done_piece, &w);
}
