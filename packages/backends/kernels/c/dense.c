#include "dense.h"

/* The tile: as many sums as leave registers for the operands. */
enum { TILE_ROWS = 4, TILE_COLUMNS = VECTOR_BYTES == 64 ? 6 : 2 };
/* Columns of Y in a piece of work. */
enum { PIECE_COLUMNS = 8 * TILE_COLUMNS };

typedef struct {
  int32_t rows, columns, depth;
  const float *a, *b;
  float *y;
  int accumulate;
} Matrices;

#define EACH_ROW _Pragma("GCC unroll 4") for (int i = 0; i < TILE_ROWS; i++)
#define EACH_COLUMN _Pragma("GCC unroll 6") for (int j = 0; j < TILE_COLUMNS; j++)

/* At the edges, the last row and column are computed again instead of rows and columns beyond them. */
INLINE void tile(const Matrices *m, int32_t row, int32_t column) {
  const float *a[TILE_ROWS], *b[TILE_COLUMNS];
  vf sum[TILE_ROWS][TILE_COLUMNS] = {{{0}}};
  EACH_ROW a[i] = m->a + (size_t)smaller(row + i, m->rows - 1) * m->depth;
  EACH_COLUMN b[j] = m->b + (size_t)smaller(column + j, m->columns - 1) * m->depth;
  int32_t k = 0;
  for (; k + LANES <= m->depth; k += LANES) {
    vf x[TILE_ROWS];
    EACH_ROW x[i] = load(a[i] + k);
    EACH_COLUMN {
      const vf w = load(b[j] + k);
      EACH_ROW sum[i][j] = multiply_add(x[i], w, sum[i][j]);
    }
  }
  if (k < m->depth) {
    vf x[TILE_ROWS];
    EACH_ROW x[i] = load_some(a[i] + k, m->depth - k);
    EACH_COLUMN {
      const vf w = load_some(b[j] + k, m->depth - k);
      EACH_ROW sum[i][j] = multiply_add(x[i], w, sum[i][j]);
    }
  }
  for (int i = 0; i < smaller(TILE_ROWS, m->rows - row); i++)
    for (int j = 0; j < smaller(TILE_COLUMNS, m->columns - column); j++) {
      float *y = m->y + (size_t)(row + i) * m->columns + column + j;
      const float total = sum_lanes(sum[i][j]);
      *y = m->accumulate ? *y + total : total;
    }
}

static void columns_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Matrices *m = work;
  const int32_t last = smaller(m->columns, (piece + 1) * PIECE_COLUMNS);
  for (int32_t column = piece * PIECE_COLUMNS; column < last; column += TILE_COLUMNS)
    for (int32_t row = 0; row < m->rows; row += TILE_ROWS) tile(m, row, column);
}

void multiply_dense(const Call *call, int32_t rows, int32_t columns, int32_t depth, const float *a, const float *b, float *y,
                    int accumulate) {
  Matrices m = {rows, columns, depth, a, b, y, accumulate};
  parallel(call->run, ceiling(columns, PIECE_COLUMNS), columns_piece, &m);
}
