#include "sliding-windows.h"

/* Target bytes of the events of a band of an image. */
enum { BAND_BYTES = 1 << 18 };
/* Target number of pieces of work. */
enum { PIECES = 16 };

typedef struct {
  /* Rows of windows in a band, bands in an image, rows of x that a band reads. */
  int32_t height, count, rows;
  size_t events, starts;
} Bands;

static Bands bands_of(const Windows *w) {
  const int64_t image = (int64_t)w->height * w->width * w->channels * (w->spikes ? 4 : 8);
  const int64_t wanted = larger(ceiling(PIECES, larger(1, w->batch)), (int32_t)smaller((int32_t)(image / BAND_BYTES) + 1, 1 << 20));
  Bands b = {.height = ceiling(w->out_height, (int32_t)wanted)};
  b.height = larger(1, b.height);
  b.count = ceiling(w->out_height, b.height);
  const int64_t rows = (int64_t)(b.height - 1) * w->down + (int64_t)(w->rows - 1) * w->row_dilation + 1;
  b.rows = rows < w->height ? (int32_t)rows : w->height;
  b.rows = larger(0, b.rows);
  b.events = event_bytes((int64_t)b.rows * w->width * w->channels, w->spikes);
  b.starts = align64(4 * ((size_t)b.rows * (size_t)w->width * (size_t)w->groups + 1));
  return b;
}

size_t windows_scratch(const Windows *w, int32_t threads) {
  const Bands b = bands_of(w);
  return (size_t)threads * (b.events + b.starts);
}

typedef struct {
  const Windows *windows;
  Bands bands;
  uint8_t *scratch;
  int finishes;
} Work;

/* Adds the events of a window in one row of x, by tap and group. */
static void add_taps(const Windows *w, const float *weight, const int32_t *row, int32_t left, float *y, Events events) {
  const int32_t groups = w->groups, channels = w->channels / groups, outputs = w->outputs / groups;
  for (int32_t b = 0; b < w->columns; b++) {
    const int32_t c = left + b * w->column_dilation;
    if (c < 0 || c >= w->width) continue;
    const int32_t *starts = row + c * groups;
    for (int32_t g = 0; g < groups; g++)
      add_rows(w->rounding, y + g * outputs, outputs, weight + (size_t)b * channels * w->outputs + g * outputs, (size_t)w->outputs,
               (uint32_t)(c * channels), from_event(events, starts[g]), starts[g + 1] - starts[g]);
  }
}

static void band_piece(void *work, int32_t piece, int32_t thread) {
  const Work *k = work;
  const Windows *w = k->windows;
  const Bands b = k->bands;
  const int32_t n = piece / b.count, first = piece % b.count * b.height, last = smaller(w->out_height, first + b.height);
  uint8_t *own = k->scratch + (size_t)thread * (b.events + b.starts);
  const Events events = events_in(own, (int64_t)b.rows * w->width * w->channels, w->spikes);
  int32_t *starts = (int32_t *)(own + b.events);

  /*
   * Lists the events of rows from … to − 1 of x, and the position at which those of each pixel and group start. Indices are relative to the
   * start of the row.
   */
  const int32_t from = larger(0, first * w->down - w->top), groups = w->groups, channels = w->channels / groups, line = w->width * groups;
  const int32_t to = larger(from, smaller(w->height, (last - 1) * w->down - w->top + (w->rows - 1) * w->row_dilation + 1));
  int32_t found = 0;
  for (int32_t r = from; r < to; r++)
    for (int32_t c = 0; c < line; c++) {
      starts[(r - from) * line + c] = found;
      const int32_t at = ((n * w->height + r) * line + c) * channels;
      found += collect(w->call, w->operand, at, channels, (uint32_t)(c / groups * channels), from_event(events, found));
    }
  starts[(to - from) * line] = found;

  const size_t width = (size_t)w->outputs;
  for (int32_t i = first; i < last; i++) {
    if (!w->accumulate)
      for (int32_t j = 0; j < w->out_width; j++)
        if (w->start) __builtin_memcpy(w->y + window_pixel(w, n, i, j) * width, w->start, 4 * width);
        else __builtin_memset(w->y + window_pixel(w, n, i, j) * width, 0, 4 * width);
    /* One row of weights at a time, so that it stays in the cache for all windows of the row. */
    for (int32_t a = 0; a < w->rows; a++) {
      const int32_t r = i * w->down + a * w->row_dilation - w->top;
      if (r < from || r >= to) continue;
      const float *weight = w->weight + (size_t)a * w->columns * channels * width;
      const int32_t *row = starts + (r - from) * line;
      for (int32_t j = 0; j < w->out_width; j++) {
        const int32_t left = j * w->across - w->left;
        float *const y = w->y + window_pixel(w, n, i, j) * width;
        if (groups > 1 || w->column_dilation > 1) {
          add_taps(w, weight, row, left, y, events);
          continue;
        }
        const int32_t begin = larger(0, left), end = smaller(w->width, left + w->columns);
        if (begin >= end) continue;
        add_rows(w->rounding, y, w->outputs, weight, width, (uint32_t)(left * channels), from_event(events, row[begin]),
                 row[end] - row[begin]);
      }
    }
    if (k->finishes) finish(w->call, (int32_t)window_pixel(w, n, i, 0), w->out_width);
  }
}

void sum_windows(const Windows *w, uint8_t *scratch, int finishes) {
  Work work = {w, bands_of(w), scratch, finishes};
  parallel(w->call->run, w->batch * work.bands.count, band_piece, &work);
}
