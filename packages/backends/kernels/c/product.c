#include "product.h"
#include "transpose.h"

/* Depth of a panel: with STRIP columns it takes at most 32 KB. */
enum { PANEL = VECTOR_BYTES == 16 ? 128 : 64 };
/* Bytes that the events of a group of rows may take, unless one row alone takes more. */
enum { GROUP_BYTES = 1 << 19 };
/* So many rows make it worth copying a panel, to where its rows are aligned and neighbours. */
enum { WORTH_COPYING = 8 };
/* Rows of Aᵀ that are collected together; rows of A that are a piece of work, and of Y that are handed on together. */
enum { TOGETHER = 64, SOME_ROWS = 8 };

/* How the rows are grouped, and what the events of a group take. */
typedef struct {
  int32_t rows, panels;
  int64_t row_events;
  size_t events, ends, block;
} Room;

static Room room_of(int32_t rows, int32_t depth, int spikes, int transposed_a) {
  Room r = {.panels = ceiling(depth, PANEL), .row_events = (int64_t)depth + SLACK};
  const int64_t fit = GROUP_BYTES / ((spikes ? 4 : 8) * r.row_events), step = transposed_a ? TOGETHER : SOME_ROWS;
  r.rows = fit >= rows ? rows : smaller(rows, (int32_t)(fit < step ? step : fit / step * step));
  r.events = event_bytes(r.rows * r.row_events, spikes);
  r.ends = align64(4 * (size_t)r.rows * (size_t)r.panels);
  r.block = 4 * (size_t)PANEL * STRIP;
  return r;
}

size_t product_scratch(int32_t rows, int32_t depth, int32_t threads, int spikes, int transposed_a) {
  const Room r = room_of(rows, depth, spikes, transposed_a);
  return r.events + r.ends + (size_t)threads * r.block;
}

/* A group of rows at work. */
typedef struct {
  const Product *product;
  Room room;
  int32_t first, count, rows_per_piece, strips;
  Events events;
  /* The events of row m in panels up to p end at ends[m·panels + p]; they are counted from the panel's beginning. */
  int32_t *ends;
  uint8_t *blocks;
} Group;

static Events row_events(const Group *g, int32_t row) { return from_event(g->events, row * g->room.row_events); }

/* The events of one row of A, panel by panel. */
INLINE void collect_row(const Group *g, int32_t row) {
  const Product *p = g->product;
  const Events own = row_events(g, row);
  int32_t found = 0;
  for (int32_t panel = 0; panel < g->room.panels; panel++) {
    const int32_t begin = panel * PANEL, count = smaller(PANEL, p->depth - begin), at = (g->first + row) * p->depth + begin;
    found += collect(p->call, p->operand, at, count, 0, from_event(own, found));
    g->ends[row * g->room.panels + panel] = found;
  }
}

static void collect_rows(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Group *g = work;
  const int32_t first = piece * SOME_ROWS;
  for (int32_t row = first; row < smaller(g->count, first + SOME_ROWS); row++) collect_row(g, row);
}

/* The events of some rows of A, which are columns of the operand: element k of all of them is collected at a time. */
static void collect_columns(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Group *g = work;
  const Product *p = g->product;
  const int32_t first = piece * TOGETHER, count = smaller(TOGETHER, g->count - first);
  int32_t found[TOGETHER] = {0};
  for (int32_t k = 0; k < p->depth; k++) {
    uint32_t index[TOGETHER + SLACK];
    float value[TOGETHER + SLACK];
    const Events here = {index, p->spikes ? 0 : value};
    const int32_t events = collect(p->call, p->operand, k * p->rows + g->first + first, count, 0, here);
    for (int32_t e = 0; e < events; e++) {
      const Events own = row_events(g, first + (int32_t)index[e]);
      const int32_t at = found[index[e]]++;
      own.index[at] = (uint32_t)(k % PANEL);
      if (!p->spikes) own.value[at] = value[e];
    }
    if ((k + 1) % PANEL == 0 || k + 1 == p->depth)
      for (int32_t row = 0; row < count; row++) g->ends[(first + row) * g->room.panels + k / PANEL] = found[row];
  }
}

/* Where a panel's columns for a strip are: in B itself, or in a copy whose rows are aligned and neighbours. */
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

INLINE void ask_ahead(Ahead *a) {
  if (a->left <= 0) return;
  for (int32_t o = 0; o < a->width; o += 16) __builtin_prefetch(a->rows + o, 0, 2);
  a->rows += a->stride, a->left--;
}

/* A panel's share of whole strips of rows `first` to `last` − 1. */
INLINE void whole_rows(const Group *g, int kind, int32_t panel, int32_t first, int32_t last, float *y, Panel b, Ahead ahead) {
  const size_t columns = (size_t)g->product->columns;
  for (int32_t m = first; m < last; m++) {
    const int32_t *ends = g->ends + m * g->room.panels, from = panel ? ends[panel - 1] : 0;
    float *row = y + (size_t)m * columns;
    for (int v = 0; v < STRIP; v += 16) __builtin_prefetch(row + columns + v, 1, 3);
    ask_ahead(&ahead);
    add(kind, STRIP_VECTORS, row, b.rows, b.stride, 0, from_event(row_events(g, m), from), ends[panel] - from);
  }
}

/* A strip of columns of some rows. */
static void strip_piece(void *work, int32_t piece, int32_t thread) {
  const Group *g = work;
  const Product *p = g->product;
  const int32_t column = piece % g->strips * STRIP, width = smaller(STRIP, p->columns - column);
  const int32_t first = piece / g->strips * g->rows_per_piece, last = smaller(g->count, first + g->rows_per_piece);
  float *block = (float *)(g->blocks + (size_t)thread * g->room.block);
  float *y = p->y + (size_t)g->first * p->columns + column;
  if (!p->accumulate)
    for (int32_t m = first; m < last; m++)
      if (p->start) __builtin_memcpy(y + (size_t)m * p->columns, p->start + column, 4 * (size_t)width);
      else __builtin_memset(y + (size_t)m * p->columns, 0, 4 * (size_t)width);
  const int kind = kind_of(p->spikes, p->rounding);
  for (int32_t panel = 0; panel < g->room.panels; panel++) {
    const int32_t begin = panel * PANEL;
    const int32_t depth = smaller(PANEL, p->depth - begin), copied = p->transposed_b || last - first >= WORTH_COPYING;
    const float *from = p->transposed_b ? p->b + (size_t)column * p->stride + begin : p->b + (size_t)begin * p->stride + column;
    if (p->transposed_b) transpose(from, p->stride, width, depth, block, STRIP);
    else if (copied)
      for (int32_t k = 0; k < depth; k++) __builtin_memcpy(block + k * STRIP, from + (size_t)k * p->stride, 4 * (size_t)width);
    const Panel b = copied ? (Panel){block, STRIP} : (Panel){from, p->stride};
    if (width == STRIP && copied) {
      const Ahead ahead = {from + (size_t)PANEL * p->stride, p->stride, p->transposed_b ? 0 : smaller(PANEL, p->depth - begin - PANEL), STRIP};
      if (kind == SPIKE) whole_rows(g, SPIKE, panel, first, last, y, (Panel){block, STRIP}, ahead);
      else if (kind == PRODUCT) whole_rows(g, PRODUCT, panel, first, last, y, (Panel){block, STRIP}, ahead);
      else whole_rows(g, FUSED_PRODUCT, panel, first, last, y, (Panel){block, STRIP}, ahead);
      continue;
    }
    for (int32_t m = first; m < last; m++) {
      const int32_t *ends = g->ends + m * g->room.panels, start = panel ? ends[panel - 1] : 0;
      add_rows(p->rounding, y + (size_t)m * p->columns, width, b.rows, b.stride, 0, from_event(row_events(g, m), start), ends[panel] - start);
    }
  }
}

typedef struct {
  const Group *group;
  void (*then)(const Call *call, int32_t first, int32_t count);
} Done;

static void done_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Done *d = work;
  const int32_t first = piece * SOME_ROWS;
  d->then(d->group->product->call, d->group->first + first, smaller(SOME_ROWS, d->group->count - first));
}

void multiply(const Product *p, void (*then)(const Call *call, int32_t first, int32_t count)) {
  const Run *run = p->call->run;
  const Room room = room_of(p->rows, p->depth, p->spikes, p->transposed_a);
  Group g = {.product = p, .room = room, .strips = ceiling(p->columns, STRIP)};
  g.events = events_in(run->scratch, room.rows * room.row_events, p->spikes);
  g.ends = (int32_t *)(run->scratch + room.events);
  g.blocks = run->scratch + room.events + room.ends;
  for (; g.first < p->rows && g.strips > 0; g.first += room.rows) {
    g.count = smaller(room.rows, p->rows - g.first);
    /* Few strips: then the rows are parted too. */
    g.rows_per_piece = larger(8, ceiling(g.count, ceiling(8, g.strips)));
    if (p->transposed_a) parallel(run, ceiling(g.count, TOGETHER), collect_columns, &g);
    else parallel(run, ceiling(g.count, SOME_ROWS), collect_rows, &g);
    parallel(run, g.strips * ceiling(g.count, g.rows_per_piece), strip_piece, &g);
    Done d = {&g, then};
    if (then) parallel(run, ceiling(g.count, SOME_ROWS), done_piece, &d);
  }
}
