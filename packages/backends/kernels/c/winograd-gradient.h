/*
 * ∂W of 3 × 3 windows with stride 1 over float images that are mostly not 0, such as pooled spikes. If every element is an event,
 * Winograd's minimal filtering takes a quarter of the products that sums over events take: see winograd-tiles.h.
 */
#pragma once
#include "convolution.h"

/* For calls of conv2d.weightGradient: whether this is the fastest kernel; bytes of scratch memory, 0 if the shapes rule it out. */
int NAME(is_winograd_gradient)(const Call *call);
#define is_winograd_gradient NAME(is_winograd_gradient)
size_t NAME(winograd_gradient_scratch)(const Call *call);
#define winograd_gradient_scratch NAME(winograd_gradient_scratch)

/* Elements that are not finite, or close to overflow, may yield NaN in all nine taps of a channel and an output. */
void NAME(winograd_gradient)(const Call *call);
#define winograd_gradient NAME(winograd_gradient)
