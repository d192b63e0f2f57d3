#include "kernel.h"

/* Unpacks bits first … first + count − 1 of a row of spikes to 0 and 1. */
INLINE void unpack_row(const uint32_t *row, int32_t first, int32_t count, float *to) {
  while (count > 0) {
    const int32_t shift = first & 31, here = smaller(32 - shift, count);
    const uint32_t word = row[first >> 5] >> shift;
    if (here == 32)
      for (int i = 0; i < 32; i += LANES) store(to + i, only(mask_of(word >> i), splat(1)));
    else
      for (int32_t i = 0; i < here; i++) to[i] = (word >> i) & 1;
    to += here, first += here, count -= here;
  }
}

void unpack(const Call *call, int i, int32_t first, int32_t count, float *to) {
  const Buffer *x = shape(call, i);
  const int32_t channels = x->channels, per_row = words_of(channels);
  int32_t row = first / channels, begin = first % channels;
  for (; count > 0; row++, begin = 0) {
    const int32_t here = smaller(channels - begin, count);
    unpack_row(words(call, i) + (size_t)row * per_row, begin, here, to);
    to += here, count -= here;
  }
}

typedef struct {
  const Call *call;
  Block block;
  int32_t size;
} Blocks;

static void piece_of_blocks(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Blocks *blocks = work;
  const int32_t begin = piece * PIECE, end = begin + smaller(PIECE, blocks->size - begin);
  for (int32_t first = begin; first < end; first += BLOCK) blocks->block(blocks->call, first, smaller(BLOCK, end - first));
}

void each_block(const Call *call, int32_t size, Block block) {
  Blocks blocks = {call, block, size};
  parallel(call->run, ceiling(size, PIECE), piece_of_blocks, &blocks);
}
