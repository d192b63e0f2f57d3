#pragma once
#include "runtime.h"

/* Makes sure that there are so many threads, the caller's included; gives how many there are, at most `threads`. */
int32_t start_threads(int32_t threads);
