/*
 * Linear maps of rows of `inputs` numbers with weights [inputs, outputs].
 *
 *     y[n, o] = bias[o] + Σ_i x[n, i] · w[i, o]
 *
 * In the forward direction every output is summed in one order, whatever the vector width: bias first, then inputs ascending;
 * products are rounded before they are added. So WebAssembly and native code give the same bits.
 */
#pragma once
#include "runtime.h"

typedef struct {
  int32_t batch, inputs, outputs;
} Linear;

size_t linear_scratch(const Linear *, int32_t threads);

/* Forward. `bias` may be null. Spikes are packed bits, words_of(inputs) words for each row. */
void linear_forward_spikes(const Run *, const Linear *, const uint32_t *x, const float *w, const float *bias, float *y);
void linear_forward(const Run *, const Linear *, const float *x, const float *w, const float *bias, float *y);

/* ∂w = xᵀ·∂y, set or added to. */
void linear_weight_gradient_spikes(const Run *, const Linear *, const uint32_t *x, const float *dy, float *dw, int accumulate);
void linear_weight_gradient(const Run *, const Linear *, const float *x, const float *dy, float *dw, int accumulate);

/* ∂x = ∂y·wᵀ, set or added to. */
void linear_input_gradient(const Run *, const Linear *, const float *dy, const float *w, float *dx, int accumulate);
