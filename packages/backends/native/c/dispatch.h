#pragma once
#include "session.h"

/* The kernels for the widest vectors of this processor, of at most `widest` bytes; null if it supports none of them. */
const Kernels *kernels_for(int32_t widest);
