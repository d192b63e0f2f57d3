/*
 * Windows of 3 × 3 that move by 1: the convolution of most networks. An event meets nine rows at once, so it is found once for nine
 * sums, which stay in registers; see windows.h and events.h for what is summed.
 */
#pragma once
#include "windows.h"

/* Whether these windows are of that kind. */
INLINE int are_nine(const Windows *w) {
  return w->rows == 3 && w->columns == 3 && make_every_pixel(w) && w->top >= 0 && w->top <= 2 && w->left >= 0 && w->left <= 2 &&
         w->out_height == w->height + 2 * w->top - 2 && w->out_width == w->width + 2 * w->left - 2;
}

size_t NAME(nine_scratch)(const Windows *windows, int32_t threads);
#define nine_scratch NAME(nine_scratch)

/* As `sum_windows`, but for the order: channels in blocks of 64, then taps, then channels. */
void NAME(sum_nine)(const Windows *windows, uint8_t *scratch, int finishes);
#define sum_nine NAME(sum_nine)
