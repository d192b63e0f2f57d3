/*
 * Convolutions with 3 × 3 windows and stride 1, the most common kind.
 * An event contributes to nine sums at once: it is found once, and the sums stay in registers. sliding-windows.h and event-lists.h define
 * the sums.
 */
#pragma once
#include "sliding-windows.h"

/* Whether the windows are 3 × 3 with stride 1. */
INLINE int are_conv3x3(const Windows *w) {
  return w->rows == 3 && w->columns == 3 && make_every_pixel(w) && w->top >= 0 && w->top <= 2 && w->left >= 0 && w->left <= 2 &&
         w->out_height == w->height + 2 * w->top - 2 && w->out_width == w->width + 2 * w->left - 2;
}

size_t NAME(conv3x3_scratch)(const Windows *windows, int32_t threads);
#define conv3x3_scratch NAME(conv3x3_scratch)

/* Like `sum_windows`, but in a different order of summation: blocks of 64 channels, then taps, then channels. */
void NAME(sum_conv3x3)(const Windows *windows, uint8_t *scratch, int finishes);
#define sum_conv3x3 NAME(sum_conv3x3)
