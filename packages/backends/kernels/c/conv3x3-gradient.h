/* ∂W of 3 × 3 windows with stride 1. An event contributes to nine sums at once, so it is found only once. */
#pragma once
#include "convolution.h"

INLINE int has_conv3x3_gradient(const Convolution *c) { return c->groups == 1 && is_conv3x3_axis(&c->rows) && is_conv3x3_axis(&c->columns); }

/* For calls of conv2d.weightGradient: the bytes of scratch memory, and the kernel. */
size_t NAME(conv3x3_gradient_scratch)(const Call *call);
#define conv3x3_gradient_scratch NAME(conv3x3_gradient_scratch)
void NAME(conv3x3_gradient)(const Call *call);
#define conv3x3_gradient NAME(conv3x3_gradient)
