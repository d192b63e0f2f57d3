/*
 * Leaky integrate-and-fire neurons in one pass over memory: what elementwise.forward and elementwise.backward compute of the expressions
 * that src/lif.ts recognises, in the same order of operations and so with the same bits.
 */
#pragma once
#include "kernel.h"

/* Runs lif.forward, a `Call`, on rows of its spikes, all of whose inputs are there. */
void NAME(lif_rows)(const void *call, int32_t first, int32_t count);
#define lif_rows NAME(lif_rows)
