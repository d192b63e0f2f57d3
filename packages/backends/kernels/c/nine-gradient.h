/* ∂W of windows of 3 × 3 that move by 1: an event meets nine rows of ∂y at once, so it is found once for nine sums. */
#pragma once
#include "convolution.h"

INLINE int has_nine_gradient(const Convolution *c) { return c->groups == 1 && is_nine(&c->rows) && is_nine(&c->columns); }

/* For calls of conv2d.weightGradient: bytes of scratch memory, and the work in it. */
size_t NAME(nine_gradient_scratch)(const Call *call);
#define nine_gradient_scratch NAME(nine_gradient_scratch)
void NAME(nine_gradient)(const Call *call);
#define nine_gradient NAME(nine_gradient)
