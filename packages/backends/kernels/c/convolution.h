/*
 * Convolutions of images [batch, height, width, channels] with weights [size, size, inputs, outputs].
 *
 *     y[n, i, j, o] = bias[o] + Σ_{a, b, c} x[n, i·stride + a − padding, j·stride + b − padding, c] · w[a, b, c, o]
 *
 * In the forward direction every output is summed in one order, whatever the vector width: bias first, then taps by row and
 * column, then channels; products are rounded before they are added. So WebAssembly and native code give the same bits.
 */
#pragma once
#include "runtime.h"

typedef struct {
  int32_t batch, height, width, inputs;
  int32_t out_height, out_width, outputs;
  int32_t size, stride, padding;
} Convolution;

/* Bytes of scratch memory that any of the functions below needs. */
size_t convolution_scratch(const Convolution *, int32_t threads);

/* Forward. `bias` may be null. Spikes are packed bits, a row of words for each pixel. */
void convolution_forward_spikes(const Run *, const Convolution *, const uint32_t *x, const float *w, const float *bias, float *y);
void convolution_forward(const Run *, const Convolution *, const float *x, const float *w, const float *bias, float *y);

/* ∂w, set or added to. */
void convolution_weight_gradient_spikes(const Run *, const Convolution *, const uint32_t *x, const float *dy, float *dw, int accumulate);
void convolution_weight_gradient(const Run *, const Convolution *, const float *x, const float *dy, float *dw, int accumulate);

/* ∂x, set or added to. */
void convolution_input_gradient(const Run *, const Convolution *, const float *dy, const float *w, float *dx, int accumulate);
