/*
 * Windows that move by 1 over images that are mostly not 0: the input gradient behind a batch norm, say. A tile of sums stays in
 * registers, pixels by lanes of outputs; see windows.h for what is summed. Products are fused with sums where there is FMA.
 */
#pragma once
#include "register-tile.h"
#include "windows.h"

/* The share of an operand's elements, floats, that are not 0: of a sample. */
float NAME(nonzero_share)(const Call *call, int operand);
#define nonzero_share NAME(nonzero_share)

/* Whether dense sums are faster than sums over events: where the blocks are well filled, and more than half of x is not 0. */
int NAME(are_dense)(const Windows *windows, float share);
#define are_dense NAME(are_dense)

size_t NAME(dense_windows_scratch)(const Windows *windows, int32_t threads);
#define dense_windows_scratch NAME(dense_windows_scratch)

/*
 * As `sum_windows`, without a start and without telling of rows that are done, of weights packed as
 * [block of outputs][row][column][channel][BLOCK_OUTPUTS] and padded with zeros. The zeros around an image are multiplied too: a weight
 * that is not finite gives NaN at the edges.
 */
void NAME(sum_dense_windows)(const Windows *windows, uint8_t *scratch);
#define sum_dense_windows NAME(sum_dense_windows)
