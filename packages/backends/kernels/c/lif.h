/*
 * Leaky integrate-and-fire neurons in one pass over memory: equivalent to elementwise.forward and elementwise.backward of the expressions
 * that src/lif.ts recognises, with the same order of operations and therefore bit-identical.
 */
#pragma once
#include "kernel.h"

/* Runs lif.forward, a `Call`, on rows of its spikes whose inputs are all available. */
void NAME(lif_rows)(const void *call, int32_t first, int32_t count);
#define lif_rows NAME(lif_rows)
