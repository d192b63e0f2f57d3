#include "event-lists.h"

/* --- collecting */

#if VECTOR_BYTES == 64
static const int32_t ascending[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* Writes base + i for each set bit i of 16. */
INLINE int32_t pick(uint32_t bits, uint32_t base, uint32_t *index) {
  const __m512i all = _mm512_add_epi32(_mm512_loadu_si512(ascending), _mm512_set1_epi32((int32_t)base));
  _mm512_storeu_si512(index, _mm512_maskz_compress_epi32((__mmask16)bits, all));
  return __builtin_popcount(bits);
}

INLINE int32_t pick_bits(uint32_t word, uint32_t base, uint32_t *index) {
  const int32_t low = pick(word & 0xffff, base, index);
  return low + pick(word >> 16, base + 16, index + low);
}

static int32_t collect_floats(const float *x, int32_t count, uint32_t base, Events to) {
  int32_t found = 0;
  for (int32_t i = 0; i < count; i += 16) {
    const __mmask16 there = (__mmask16)(count - i >= 16 ? 0xffff : (1u << (count - i)) - 1);
    const __m512 values = _mm512_maskz_loadu_ps(there, x + i);
    const __mmask16 bits = _mm512_cmp_ps_mask(values, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    _mm512_storeu_ps(to.value + found, _mm512_maskz_compress_ps(bits, values));
    found += pick(bits, base + (uint32_t)i, to.index + found);
  }
  return found;
}
#else
INLINE int32_t pick_bits(uint32_t word, uint32_t base, uint32_t *index) {
  int32_t found = 0;
  for (; word; word &= word - 1) index[found++] = base + (uint32_t)__builtin_ctz(word);
  return found;
}

/* Branch-free: whether an element is 0 cannot be predicted. */
static int32_t collect_floats(const float *x, int32_t count, uint32_t base, Events to) {
  int32_t found = 0;
  for (int32_t i = 0; i < count; i++) {
    to.index[found] = base + (uint32_t)i;
    to.value[found] = x[i];
    found += x[i] != 0;
  }
  return found;
}
#endif

int32_t collect(const Call *call, int i, int32_t first, int32_t count, uint32_t base, Events to) {
  if (!is_spikes(call, i)) return collect_floats(floats(call, i) + first, count, base, to);
  const int32_t channels = shape(call, i)->channels, per_row = words_of(channels);
  int32_t found = 0, row = first / channels, c = first % channels;
  for (int32_t done = 0; done < count;) {
    const int32_t here = smaller(smaller(32 - (c & 31), channels - c), count - done);
    uint32_t word = words(call, i)[(size_t)row * per_row + (c >> 5)] >> (c & 31);
    if (here < 32) word &= (1u << here) - 1;
    found += pick_bits(word, base + (uint32_t)done, to.index + found);
    done += here;
    c += here;
    if (c == channels) c = 0, row++;
  }
  return found;
}

void add_rows(int rounding, float *y, int32_t width, const float *rows, size_t stride, uint32_t skip, Events e, int32_t count) {
  if (!e.value) add_all(SPIKE, y, width, rows, stride, skip, e, count);
  else if (FUSES && rounding == FUSED) add_all(FUSED_PRODUCT, y, width, rows, stride, skip, e, count);
  else add_all(PRODUCT, y, width, rows, stride, skip, e, count);
}
