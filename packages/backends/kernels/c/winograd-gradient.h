/*
 * ∂W of windows of 3 × 3 that move by 1, over images that are floats and mostly not 0: spikes that were pooled, say. By Winograd's
 * minimal filtering it takes a quarter of the products that events take where every element is one: see winograd-tiles.h.
 */
#pragma once
#include "convolution.h"

/* For calls of conv2d.weightGradient: whether this is the fastest way; bytes of scratch memory, none where shapes rule it out. */
int NAME(is_winograd_gradient)(const Call *call);
#define is_winograd_gradient NAME(is_winograd_gradient)
size_t NAME(winograd_gradient_scratch)(const Call *call);
#define winograd_gradient_scratch NAME(winograd_gradient_scratch)

/* Elements that are not finite, or nearly too large, may give NaN in all nine taps of a channel and an output. */
void NAME(winograd_gradient)(const Call *call);
#define winograd_gradient NAME(winograd_gradient)
