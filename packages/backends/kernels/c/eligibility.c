/*
 * Eligibility traces, one number for each synapse, sample and state: see core's ops/eligibility.ts. A piece is a group of rows of the
 * weights.
 */
#include "kernel.h"

enum { X, FACTORS, DY, TRACE, DW };
enum { MAX_STATES = 8, COLUMNS = 256 };

typedef struct {
  const Call *call;
  int32_t states, first, samples, inputs, outputs, rows_per_piece;
} Work;

static Work work_of(const Call *call) {
  const Buffer *factors = shape(call, FACTORS);
  const int32_t samples = factors->rank < 2 ? 0 : factors->extent[factors->rank - 2], outputs = factors->channels;
  const int32_t inputs = samples ? shape(call, X)->size / samples : 0;
  const int32_t rows = larger(1, PIECE / larger(1, samples * outputs));
  return (Work){call, call->attributes[0], call->attributes[1], samples, inputs, outputs, larger(rows, ceiling(inputs, 64))};
}

/* Keeps loops small in WebAssembly, where code size counts. */
#ifdef __wasm__
#define SHORT _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define SHORT
#endif

/* to += a·b. */
static __attribute__((noinline)) void add_product(float *restrict to, const float *restrict a, const float *restrict b, int32_t count) {
  SHORT for (int32_t j = 0; j < count; j++) to[j] += a[j] * b[j];
}

/* Elements first … first + count − 1 of row i of the weights. */
static void columns(const Work *w, int32_t i, int32_t first, int32_t count) {
  const Call *call = w->call;
  const int32_t states = w->states;
  const size_t plane = (size_t)w->samples * w->outputs, synapses = plane * w->inputs;
  const int learns = given(call, DY) && given(call, DW);
  float sums[COLUMNS] = {0}, change[COLUMNS], seen[COLUMNS], before[MAX_STATES][COLUMNS];
  for (int32_t n = 0; n < w->samples; n++) {
    const float x = *values(call, X, n * w->inputs + i, 1, seen);
    SHORT for (int32_t j = 0; j < count; j++) seen[j] = x;
    const size_t at = (size_t)n * w->outputs + first;
    const float *factor = floats(call, FACTORS) + (size_t)w->first * plane + at;
    float *trace = floats(call, TRACE) + ((size_t)n * w->inputs + i) * w->outputs + first;
    SHORT for (int32_t l = 0; l < states; l++) __builtin_memcpy(before[l], trace + l * synapses, 4 * (size_t)count);
    /* Row −1 is the output, with its direct factor and one for each state; then come the rows of A, and after them c. */
    const float *mix = factor, *charge = factor + (1 + states + states * states) * plane;
    for (int32_t k = -1; k < states; k++) {
      float *to = k < 0 ? change : trace + k * synapses;
      if (k < 0) mix += plane;
      __builtin_memset(to, 0, 4 * (size_t)count);
      add_product(to, k < 0 ? factor : charge + k * plane, seen, count);
      SHORT for (int32_t l = 0; l < states; l++, mix += plane) add_product(to, mix, before[l], count);
      if (k < 0 && learns) add_product(sums, floats(call, DY) + at, change, count);
    }
  }
  if (learns) write_gradient(call, DW, i * w->outputs + first, count, sums);
}

static void piece(void *work, int32_t number, int32_t thread) {
  (void)thread;
  const Work *w = work;
  const int32_t begin = number * w->rows_per_piece, end = smaller(w->inputs, begin + w->rows_per_piece);
  for (int32_t i = begin; i < end; i++)
    for (int32_t first = 0; first < w->outputs; first += COLUMNS) columns(w, i, first, smaller(COLUMNS, w->outputs - first));
}

CHECK(eligibility) {
  const Work w = work_of(call);
  const int64_t plane = (int64_t)w.samples * w.outputs, planes = w.states + 1 + (int64_t)w.states * w.states + w.states;
  const int64_t weights = (int64_t)w.inputs * w.outputs;
  return w.states >= 1 && w.states <= MAX_STATES && w.first >= 0 && shape(call, X)->size == (int64_t)w.samples * w.inputs &&
         shape(call, FACTORS)->size >= (w.first + planes) * plane && has_size(call, DY, plane) &&
         has_size(call, TRACE, w.states * w.samples * weights) && has_size(call, DW, weights);
}
KERNEL(eligibility) {
  Work w = work_of(call);
  parallel(call->run, ceiling(w.inputs, w.rows_per_piece), piece, &w);
}
