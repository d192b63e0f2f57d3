/*
 * Sums over windows that slide over an image of events:
 *
 *     y[n, i, j, :] += Σ_{a, b, c} x[n, i·down + a·dilation − top, j·across + b·dilation − left, c] · rows[a, b, c, :]
 *
 * Channels are last, so the elements of a window in one row of the image are contiguous, and so are their rows of weights. A window is
 * therefore one list of events per row, or, if columns are dilated or channels grouped, one per tap and group. Forward convolutions are
 * such sums; input gradients are too, with the weights rotated by 180°.
 */
#pragma once
#include "event-lists.h"

typedef struct {
  const Call *call;
  /* x: an operand, [batch, height, width, channels]. */
  int operand, spikes;
  int32_t batch, height, width, channels, groups;
  /* Size and position of the windows; `top` and `left` may be negative. */
  int32_t rows, columns, down, across, row_dilation, column_dilation, top, left;
  const float *weight;
  /* Rows and columns of windows, and channels of y. */
  int32_t out_height, out_width, outputs;
  /* Window (i, j) produces pixel (i·row_step + y_top, j·column_step + y_left) of y, an image of y_height × y_width pixels. */
  int32_t row_step, column_step, y_top, y_left, y_height, y_width;
  float *y;
  /* Initial value of y: the same row for all pixels, null for zeros; or, if `accumulate`, its present value. */
  const float *start;
  int accumulate;
  /* ROUNDED or FUSED. */
  int rounding;
} Windows;

/* Whether windows have stride 1, no dilation and no channel groups. */
INLINE int move_by_one(const Windows *w) {
  return w->down == 1 && w->across == 1 && w->row_dilation == 1 && w->column_dilation == 1 && w->groups == 1;
}
/* The same, with a window for each pixel of y. */
INLINE int make_every_pixel(const Windows *w) { return move_by_one(w) && w->row_step == 1 && w->column_step == 1; }

/* The pixel of y that window (i, j) of image n produces. */
INLINE size_t window_pixel(const Windows *w, int32_t n, int32_t i, int32_t j) {
  return ((size_t)n * w->y_height + i * w->row_step + w->y_top) * w->y_width + j * w->column_step + w->y_left;
}

/* Bytes of scratch memory. */
size_t NAME(windows_scratch)(const Windows *windows, int32_t threads);
#define windows_scratch NAME(windows_scratch)

/* Sums all windows, using `windows_scratch` bytes of memory; if `finishes`, reports complete rows of y. */
void NAME(sum_windows)(const Windows *windows, uint8_t *scratch, int finishes);
#define sum_windows NAME(sum_windows)
