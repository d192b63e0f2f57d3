/*
 * Sums over windows that slide over an image of events:
 *
 *     y[n, i, j, :] += Σ_{a, b, c} x[n, i·down + a·dilation − top, j·across + b·dilation − left, c] · rows[a, b, c, :]
 *
 * The elements of a window that lie in one row of the image are neighbours in memory, for channels come last, and so are their rows
 * of weights: a window is as many lists of events as it has rows, or as it has taps where they lie apart, for each group of channels. Forward convolutions are such sums, and so are their input
 * gradients, with the weights turned around.
 */
#pragma once
#include "events.h"

typedef struct {
  const Call *call;
  /* x: an operand, [batch, height, width, channels]. */
  int operand, spikes;
  int32_t batch, height, width, channels, groups;
  /* The windows' size, and how they lie: `top` and `left` may be negative. */
  int32_t rows, columns, down, across, row_dilation, column_dilation, top, left;
  const float *weight;
  /* Windows to a row and a column of y, whose pixels have `outputs` channels. */
  int32_t out_height, out_width, outputs;
  /* Window (i, j) belongs to pixel (i·row_step + y_top, j·column_step + y_left) of y, an image of y_height × y_width pixels. */
  int32_t row_step, column_step, y_top, y_left, y_height, y_width;
  float *y;
  /* What y begins with: a row for all pixels, or null for zeros; or what is there. */
  const float *start;
  int accumulate;
  /* ROUNDED or FUSED. */
  int rounding;
} Windows;

/* Whether windows of neighbouring pixels move by 1, over all channels. */
INLINE int move_by_one(const Windows *w) {
  return w->down == 1 && w->across == 1 && w->row_dilation == 1 && w->column_dilation == 1 && w->groups == 1;
}
/* And whether each pixel of y has one. */
INLINE int make_every_pixel(const Windows *w) { return move_by_one(w) && w->row_step == 1 && w->column_step == 1; }

/* The pixel of y that window (i, j) of image n belongs to. */
INLINE size_t window_pixel(const Windows *w, int32_t n, int32_t i, int32_t j) {
  return ((size_t)n * w->y_height + i * w->row_step + w->y_top) * w->y_width + j * w->column_step + w->y_left;
}

/* Bytes of scratch memory. */
size_t NAME(windows_scratch)(const Windows *windows, int32_t threads);
#define windows_scratch NAME(windows_scratch)

/* Sums all windows in memory of `windows_scratch`; with `finishes`, rows of y that are done are told of. */
void NAME(sum_windows)(const Windows *windows, uint8_t *scratch, int finishes);
#define sum_windows NAME(sum_windows)
