/*
 * ∂x[r, s, k] = Σ_{a, b, o} ∂y[(r + padding − a)/stride, (s + padding − b)/stride, o] · W[a, b, k, o], where these are whole numbers.
 *
 * Pixels of x whose positions leave the same remainders by the stride see the same taps: for each such phase this is a sum over
 * windows of ∂y, with the phase's taps turned around and W transposed.
 */
#include "convolution.h"
#include "dense-windows.h"
#include "nine.h"
#include "transpose.h"
#include "winograd.h"

enum { DY, WEIGHT, DX };

/* One axis of a phase: pixels phase + stride·i see taps first + stride·k for k < taps, of outputs i + shift − k. */
typedef struct {
  int32_t pixels, first, taps, shift;
} Axis;

static Axis axis_of(const Convolution *c, int32_t phase, int32_t length) {
  const int32_t first = (phase + c->padding) % c->stride;
  return (Axis){ceiling(larger(0, length - phase), c->stride), first, first < c->size ? (c->size - first - 1) / c->stride + 1 : 0,
                (phase + c->padding) / c->stride};
}

typedef struct {
  const Call *call;
  Convolution convolution;
  Axis rows, columns;
  /* [taps, outputs, inputs]; or packed in blocks of inputs, as dense-windows.h says. */
  float *turned;
  int packed;
} Turn;

/* One tap of the phase: [outputs, inputs] of [inputs, outputs]. */
static void turn_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Turn *t = work;
  const Convolution *c = &t->convolution;
  const int32_t a = t->rows.first + c->stride * (t->rows.taps - 1 - piece / t->columns.taps);
  const int32_t b = t->columns.first + c->stride * (t->columns.taps - 1 - piece % t->columns.taps);
  const size_t tap = (size_t)c->inputs * c->outputs;
  const float *restrict from = floats(t->call, WEIGHT) + (size_t)(a * c->size + b) * tap;
  /* Inputs that lie together, and how far blocks of them are apart. */
  const int32_t width = t->packed ? BLOCK_OUTPUTS : c->inputs;
  const size_t block = (size_t)t->rows.taps * t->columns.taps * c->outputs * width;
  float *const to = t->turned + (size_t)piece * c->outputs * width;
  /* In squares, so that both sides stay in the cache. */
  enum { SQUARE = BLOCK_OUTPUTS < 16 ? BLOCK_OUTPUTS : 16 };
  for (int32_t k = 0; k < c->inputs; k += SQUARE) {
    const int32_t count = smaller(SQUARE, c->inputs - k);
    float *const column = to + k / width * block + k % width;
    for (int32_t o = 0; o < c->outputs; o += SQUARE)
      transpose(from + (size_t)k * c->outputs + o, (size_t)c->outputs, count, smaller(SQUARE, c->outputs - o), column + (size_t)o * width,
                (size_t)width);
    const int32_t padding = t->packed && k + count == c->inputs ? width - k % width - count : 0;
    if (padding)
      for (int32_t o = 0; o < c->outputs; o++) __builtin_memset(column + (size_t)o * width + count, 0, 4 * (size_t)padding);
  }
}

static Windows windows_of(const Call *call, const Convolution *c, int32_t row_phase, int32_t column_phase) {
  const Axis rows = axis_of(c, row_phase, c->height), columns = axis_of(c, column_phase, c->width);
  return (Windows){.call = call, .operand = DY, .batch = c->batch, .height = c->out_height, .width = c->out_width, .channels = c->outputs,
                   .rows = rows.taps, .columns = columns.taps, .stride = 1,
                   .top = rows.taps - 1 - rows.shift, .left = columns.taps - 1 - columns.shift,
                   .out_height = rows.pixels, .out_width = columns.pixels, .outputs = c->inputs,
                   .step = c->stride, .y_top = row_phase, .y_left = column_phase, .y_height = c->height, .y_width = c->width,
                   .y = floats(call, DX), .accumulate = call->operands[DX].accumulate, .rounding = FUSED};
}

/* Bytes of the weights of one phase, turned around. */
static size_t turned_bytes(const Convolution *c) {
  const size_t taps = (size_t)ceiling(c->size, c->stride), inputs = (size_t)ceiling(c->inputs, BLOCK_OUTPUTS) * BLOCK_OUTPUTS;
  return align64(4 * taps * taps * inputs * (size_t)c->outputs);
}

CHECK(conv_input_gradient) { return convolution_fits(call, DX, WEIGHT, DY); }
SCRATCH(conv_input_gradient) {
  const Convolution c = convolution_of(call, DX, WEIGHT, DY);
  const int32_t threads = call->run->threads;
  size_t most = 0;
  for (int32_t r = 0; r < smaller(c.stride, c.height); r++)
    for (int32_t s = 0; s < smaller(c.stride, c.width); s++) {
      const Windows w = windows_of(call, &c, r, s);
      const size_t events = are_nine(&w) ? nine_scratch(&w, threads) : windows_scratch(&w, threads);
      const size_t dense = dense_windows_scratch(&w, threads), turned = turned_bytes(&c) + (events > dense ? events : dense);
      const size_t winograd = winograd_scratch(&w, threads);
      const size_t bytes = turned > winograd ? turned : winograd;
      if (bytes > most) most = bytes;
    }
  return most;
}
KERNEL(conv_input_gradient) {
  const Convolution c = convolution_of(call, DX, WEIGHT, DY);
  float *turned = (float *)call->run->scratch;
  const float share = nonzero_share(call, DY);
  for (int32_t r = 0; r < smaller(c.stride, c.height); r++)
    for (int32_t s = 0; s < smaller(c.stride, c.width); s++) {
      Windows w = windows_of(call, &c, r, s);
      if (are_winograd(&w, share)) {
        w.weight = floats(call, WEIGHT);
        sum_winograd(&w, call->run->scratch);
        continue;
      }
      const int dense = are_dense(&w, share);
      w.weight = turned;
      Turn t = {call, c, axis_of(&c, r, c.height), axis_of(&c, s, c.width), turned, dense};
      parallel(call->run, t.rows.taps * t.columns.taps, turn_piece, &t);
      uint8_t *scratch = call->run->scratch + turned_bytes(&c);
      if (dense) sum_dense_windows(&w, scratch);
      else if (are_nine(&w)) sum_nine(&w, scratch, 0);
      else sum_windows(&w, scratch, 0);
    }
}
