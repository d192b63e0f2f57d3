/*
 * 3 × 3 convolutions over mostly non-zero images, by Winograd's minimal filtering F(4 × 4, 3 × 3): 36 products for the 16 sums of a tile,
 * instead of 144, one for each tap (Lavin & Gray, Fast algorithms for convolutional neural networks, 2016).
 */
#pragma once
#include "sliding-windows.h"

/* Whether this is the fastest algorithm if `share` of x's elements are not 0. */
int NAME(are_winograd)(const Windows *windows, float share);
#define are_winograd NAME(are_winograd)

/* Bytes of scratch memory; 0 if the shapes rule this algorithm out. */
size_t NAME(winograd_scratch)(const Windows *windows, int32_t threads);
#define winograd_scratch NAME(winograd_scratch)

/*
 * Like `sum_windows`, but without initial values and without reports of complete rows. Weights are not rotated yet: [row][column] in
 * reverse, [output][channel]. Elements and weights that are not finite, or close to overflow, may yield NaN in all sums of a tile.
 */
void NAME(sum_winograd)(const Windows *windows, uint8_t *scratch);
#define sum_winograd NAME(sum_winograd)
