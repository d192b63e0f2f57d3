/* Clearing and copying buffers, firing rates, and the check for non-finite values. */
#include "kernel.h"

/* 32-bit words of an operand. */
static int32_t words_in(const Call *call, int i) {
  const Buffer *b = shape(call, i);
  return b->elements == SPIKES ? b->rows * words_of(b->channels) : b->size;
}

/* target = 0 */
static void zero_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const int32_t begin = piece * PIECE, count = smaller(PIECE, words_in(call, 0) - begin);
  __builtin_memset(words(call, 0) + begin, 0, 4 * (size_t)count);
}
CHECK(zero) { return given(call, 0); }
KERNEL(zero) { parallel(call->run, ceiling(words_in(call, 0), PIECE), zero_piece, (void *)call); }

/* target = source */
static void copy_block(const Call *call, int32_t first, int32_t count) {
  __builtin_memcpy(floats(call, 1) + first, floats(call, 0) + first, 4 * (size_t)count);
}
CHECK(copy) { return same_size(call, 0, 1); }
KERNEL(copy) { each_block(call, shape(call, 0)->size, copy_block); }

/* metrics[index] += mean(spikes)/T; attributes: index, T. The output of a smooth neuron is not an integer. */
static void rate_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const int32_t begin = piece * PIECE, end = begin + smaller(PIECE, words_in(call, 0) - begin);
  double sum = 0;
  if (is_spikes(call, 0)) {
    int32_t count = 0;
    for (int32_t i = begin; i < end; i++) count += __builtin_popcount(words(call, 0)[i]);
    sum = count;
  } else {
    for (int32_t i = begin; i < end; i++) sum += (double)floats(call, 0)[i];
  }
  ((double *)call->run->scratch)[piece] = sum;
}
CHECK(spikes_rate) {
  return call->attributes[0] >= 0 && call->attributes[0] < shape(call, 1)->size && call->attributes[1] >= 1;
}
SCRATCH(spikes_rate) { return sizeof(double) * (size_t)ceiling(words_in(call, 0), PIECE); }
KERNEL(spikes_rate) {
  const int32_t pieces = ceiling(words_in(call, 0), PIECE);
  parallel(call->run, pieces, rate_piece, (void *)call);
  double sum = 0;
  for (int32_t i = 0; i < pieces; i++) sum += ((double *)call->run->scratch)[i];
  float *metric = floats(call, 1) + call->attributes[0];
  *metric = (float)(*metric + sum / shape(call, 0)->size / call->attributes[1]);
}

typedef struct {
  const float *x;
  int32_t count, found;
} Search;

static void search_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  Search *s = work;
  const float *x = s->x + piece * PIECE;
  const int32_t count = smaller(PIECE, s->count - piece * PIECE);
  vi found = {0};
  int32_t i = 0;
  for (; i + 4 * LANES <= count; i += 4 * LANES)
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) found |= (vi)magnitude(load(x + i + v * LANES)) >= 0x7f800000;
  for (; i < count; i += LANES) found |= (vi)magnitude(load_up_to(x + i, count - i)) >= 0x7f800000;
  if (bits_of(found)) __atomic_store_n(&s->found, 1, __ATOMIC_RELAXED);
}
int are_finite(const Run *run, const float *x, int32_t count) {
  Search s = {x, count, 0};
  parallel(run, ceiling(count, PIECE), search_piece, &s);
  return !s.found;
}
