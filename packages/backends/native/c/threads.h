#pragma once
#include "runtime.h"

/* Ensures that there are `threads` threads, including the caller's; returns how many there are, at most `threads`. */
int32_t start_threads(int32_t threads);
