/*
 * Sums over 3 × 3 windows of images that are mostly not 0, by Winograd's minimal filtering F(4 × 4, 3 × 3): 36 products for the 16
 * sums of a tile, where one for each tap takes 144 (Lavin & Gray, Fast algorithms for convolutional neural networks, 2016).
 */
#pragma once
#include "windows.h"

/* Whether these are the fastest sums, where so large a share of x's elements are not 0. */
int NAME(are_winograd)(const Windows *windows, float share);
#define are_winograd NAME(are_winograd)

/* None where the shapes rule these sums out. */
size_t NAME(winograd_scratch)(const Windows *windows, int32_t threads);
#define winograd_scratch NAME(winograd_scratch)

/*
 * As `sum_windows`, without a start and without telling of rows that are done, of weights that are turned around yet: [row][column]
 * in reverse, [output][channel]. Elements and weights that are not finite, or nearly too large, may give NaN in all sums of a tile.
 */
void NAME(sum_winograd)(const Windows *windows, uint8_t *scratch);
#define sum_winograd NAME(sum_winograd)
