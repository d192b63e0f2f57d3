/*
 * Sums over windows that slide over an image of events:
 *
 *     y[n, i, j, :] += Σ_{a, b, c} x[n, i·stride + a − top, j·stride + b − left, c] · rows[a, b, c, :]
 *
 * The elements of a window that lie in one row of the image are neighbours in memory, for channels come last, and so are their rows
 * of weights: a window is as many lists of events as it has rows. Forward convolutions are such sums, and so are their input
 * gradients, with the weights turned around.
 */
#pragma once
#include "events.h"

typedef struct {
  const Call *call;
  /* x: an operand, [batch, height, width, channels]. */
  int operand, spikes;
  int32_t batch, height, width, channels;
  /* The windows' size, and how they lie: `top` and `left` may be negative. */
  int32_t rows, columns, stride, top, left;
  const float *weight;
  /* Windows to a row and a column of y, whose pixels have `outputs` channels. */
  int32_t out_height, out_width, outputs;
  /* Window (i, j) belongs to pixel (i·step + y_top, j·step + y_left) of y, an image of y_height × y_width pixels. */
  int32_t step, y_top, y_left, y_height, y_width;
  float *y;
  /* What y begins with: a row for all pixels, or null for zeros; or what is there. */
  const float *start;
  int accumulate;
  /* ROUNDED or FUSED. */
  int rounding;
} Windows;

/* The pixel of y that window (i, j) of image n belongs to. */
INLINE size_t window_pixel(const Windows *w, int32_t n, int32_t i, int32_t j) {
  return ((size_t)n * w->y_height + i * w->step + w->y_top) * w->y_width + j * w->step + w->y_left;
}

/* Bytes of scratch memory. */
size_t NAME(windows_scratch)(const Windows *windows, int32_t threads);
#define windows_scratch NAME(windows_scratch)

/* Sums all windows in memory of `windows_scratch`; with `finishes`, rows of y that are done are told of. */
void NAME(sum_windows)(const Windows *windows, uint8_t *scratch, int finishes);
#define sum_windows NAME(sum_windows)
