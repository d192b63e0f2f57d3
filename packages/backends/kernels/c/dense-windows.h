/*
 * Convolutions with stride 1 over mostly non-zero images, such as the input gradient behind a batch norm. A tile of sums, pixels by vectors
 * of outputs, stays in registers; sliding-windows.h defines the sums. Products are fused with additions where the machine has FMA.
 */
#pragma once
#include "register-tile.h"
#include "sliding-windows.h"

/* Estimates, from a sample, the share of a float operand's elements that are not 0. */
float NAME(nonzero_share)(const Call *call, int operand);
#define nonzero_share NAME(nonzero_share)

/* Whether dense sums are faster than sums over events: blocks are well filled, and more than half of x is not 0. */
int NAME(are_dense)(const Windows *windows, float share);
#define are_dense NAME(are_dense)

size_t NAME(dense_windows_scratch)(const Windows *windows, int32_t threads);
#define dense_windows_scratch NAME(dense_windows_scratch)

/*
 * Like `sum_windows`, but without initial values and without reports of complete rows. Weights are packed as [block of
 * outputs][row][column][channel][BLOCK_OUTPUTS] and padded with zeros. The zeros around an image are multiplied too, so a non-finite weight
 * yields NaN at the edges.
 */
void NAME(sum_dense_windows)(const Windows *windows, uint8_t *scratch);
#define sum_dense_windows NAME(sum_dense_windows)
