/*
 * mask[i] = 1 if the i-th uniform number of the key is at least the rate. The number is the upper 24 bits of word i mod 2 of Threefry-2×32
 * (Salmon et al., SC 2011), with 20 rounds, of the counter (0, ⌊i/2⌋). Bit-identical to core's mask.
 */
#include "kernel.h"

typedef uint32_t vu __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));

static const int rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};

/* Both words for LANES successive counters. */
INLINE void threefry(uint32_t hi, uint32_t lo, uint32_t counter, vu *first, vu *second) {
  const uint32_t keys[3] = {hi, lo, hi ^ lo ^ 0x1bd11bda};
  vu lane;
  for (int i = 0; i < LANES; i++) lane[i] = (uint32_t)i;
  vu x0 = (vu){} + keys[0], x1 = lane + counter + keys[1];
  for (int group = 0; group < 5; group++) {
    for (int k = 0; k < 4; k++) {
      const int turn = rotations[(group & 1) * 4 + k];
      x0 += x1;
      x1 = (x1 << turn) | (x1 >> (32 - turn));
      x1 ^= x0;
    }
    x0 += keys[(group + 1) % 3];
    x1 += keys[(group + 2) % 3] + (uint32_t)group + 1;
  }
  *first = x0, *second = x1;
}

/* Moves bit i to bit 2i. */
INLINE uint32_t spread(uint32_t x) {
  x = (x | x << 8) & 0x00ff00ff;
  x = (x | x << 4) & 0x0f0f0f0f;
  x = (x | x << 2) & 0x33333333;
  return (x | x << 1) & 0x55555555;
}

/* The mask's elements 32·k … 32·k + 31. */
static uint32_t draw(const uint32_t *key, int32_t limit, int32_t k) {
  uint32_t even = 0, odd = 0;
  for (int i = 0; i < 16; i += LANES) {
    vu a, b;
    threefry(key[0], key[1], (uint32_t)k * 16 + (uint32_t)i, &a, &b);
    even |= bits_of((vi)((vi)(a >> 8) >= limit)) << i;
    odd |= bits_of((vi)((vi)(b >> 8) >= limit)) << i;
  }
  return spread(even) | spread(odd) << 1;
}

enum { MASK_PIECE = 512 };

static void mask_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const Buffer *mask = shape(call, 1);
  const int32_t channels = mask->channels, per_row = words_of(channels), limit = call->attributes[0];
  const int32_t all = mask->rows * per_row;
  const int32_t begin = piece * MASK_PIECE, end = begin + smaller(MASK_PIECE, all - begin);
  int32_t known = -1;
  uint64_t pair = 0;
  for (int32_t i = begin; i < end; i++) {
    const int32_t word = i % per_row, count = smaller(32, channels - 32 * word);
    const int32_t element = i / per_row * channels + 32 * word, k = element >> 5, shift = element & 31;
    if (k != known) {
      const uint32_t low = known >= 0 && k == known + 1 ? (uint32_t)(pair >> 32) : draw(words(call, 0), limit, k);
      pair = low | (uint64_t)draw(words(call, 0), limit, k + 1) << 32;
      known = k;
    }
    words(call, 1)[i] = (uint32_t)(pair >> shift) & (uint32_t)((1ull << count) - 1);
  }
}

/* The attribute is the smallest 24-bit number for which an element is kept. */
CHECK(dropout_mask) { return call->attributes[0] >= 0 && call->attributes[0] <= 1 << 24; }
KERNEL(dropout_mask) {
  const Buffer *mask = shape(call, 1);
  parallel(call->run, ceiling(mask->rows * words_of(mask->channels), MASK_PIECE), mask_piece, (void *)call);
}
