/*
 * Windows that move by 1 over images that are mostly not 0: the input gradient behind a batch norm, say. A tile of sums stays in
 * registers, pixels by lanes of outputs; see windows.h for what is summed. Products are fused with sums where there is FMA.
 */
#pragma once
#include "windows.h"

/* Outputs of a block: weights are packed as [block][row][column][channel][BLOCK_OUTPUTS], padded with zeros. */
enum { BLOCK_VECTORS = VECTOR_BYTES == 64 ? 4 : 2, BLOCK_OUTPUTS = BLOCK_VECTORS * LANES };

/* Whether dense sums are faster than sums over events: where the blocks are well filled, and more than half of a sample of x's
 * elements are not 0. */
int NAME(are_dense)(const Windows *windows);
#define are_dense NAME(are_dense)

size_t NAME(dense_windows_scratch)(const Windows *windows, int32_t threads);
#define dense_windows_scratch NAME(dense_windows_scratch)

/*
 * As `sum_windows`, of packed weights, without a start and without telling of rows that are done. The zeros around an image are
 * multiplied too: a weight that is not finite gives NaN at the edges.
 */
void NAME(sum_dense_windows)(const Windows *windows, uint8_t *scratch);
#define sum_dense_windows NAME(sum_dense_windows)
