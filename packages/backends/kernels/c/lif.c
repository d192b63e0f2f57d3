#include "lif.h"
#include "pooling.h"

enum { SOFT, HARD, NONE, RESETS };

typedef struct {
  int reset;
  float decay, threshold;
} Neuron;

/* Attributes of both directions. */
enum { RESET, DECAY, THRESHOLD };

/* The decay is an attribute, or an operand if it is learnt. */
INLINE Neuron neuron_of(const Call *call, int decay) {
  return (Neuron){call->attributes[RESET], given(call, decay) ? *floats(call, decay) : number(call, DECAY), number(call, THRESHOLD)};
}

INLINE int neuron_fits(const Call *call) { return call->attributes[RESET] >= 0 && call->attributes[RESET] < RESETS; }

/* s: a potential of NaN does not fire. */
INLINE vi fires(Neuron n, vf u) { return (vi)(u >= n.threshold); }

/* --- forward: u = λ·v₋₁ + x,  s = [u ≥ threshold],  v₋₁ = reset(u₋₁, s₋₁) */

enum { X, BEFORE, LEARNT_DECAY, MEMBRANE, FIRED };

/* v: the potential after the reset. */
INLINE vf reset_potential(Neuron n, vf u) {
  if (n.reset == SOFT) return u - only(fires(n, u), splat(n.threshold));
  if (n.reset == HARD) return u * (1.0f - only(fires(n, u), splat(1)));
  return u;
}

/* Updates 32 neurons and returns their spikes as bits. The membranes may be in place. */
INLINE uint32_t step(Neuron n, const float *x, const float *before, float *membrane) {
  uint32_t bits = 0;
  for (int i = 0; i < 32; i += LANES) {
    const vf u = reset_potential(n, load(before + i)) * n.decay + load(x + i);
    store(membrane + i, u);
    bits |= bits_of(fires(n, u)) << i;
  }
  return bits;
}

/* Updates fewer than 32 neurons. */
INLINE uint32_t last_step(Neuron n, int32_t count, const float *x, const float *before, float *membrane) {
  float in[32] = {0}, was[32] = {0}, is[32];
  __builtin_memcpy(in, x, 4 * (size_t)count);
  __builtin_memcpy(was, before, 4 * (size_t)count);
  const uint32_t bits = step(n, in, was, is);
  __builtin_memcpy(membrane, is, 4 * (size_t)count);
  return bits & (uint32_t)((1ull << count) - 1);
}

INLINE void rows(const Call *call, Neuron n, int32_t first, int32_t count) {
  const int32_t channels = shape(call, FIRED)->channels, per_row = words_of(channels);
  for (int32_t row = first; row < first + count; row++)
    for (int32_t c = 0; c < channels; c += 32) {
      float buffer[32];
      const int32_t i = row * channels + c, left = smaller(32, channels - c);
      const float *x = values(call, X, i, left, buffer), *before = floats(call, BEFORE) + i;
      float *membrane = floats(call, MEMBRANE) + i;
      words(call, FIRED)[(size_t)row * per_row + (c >> 5)] = left == 32 ? step(n, x, before, membrane) : last_step(n, left, x, before, membrane);
    }
}

/* Calls a copy that is compiled for the reset. */
void lif_rows(const void *context, int32_t first, int32_t count) {
  const Call *call = context;
  Neuron n = neuron_of(call, LEARNT_DECAY);
  if (n.reset == SOFT) n.reset = SOFT, rows(call, n, first, count);
  else if (n.reset == HARD) n.reset = HARD, rows(call, n, first, count);
  else n.reset = NONE, rows(call, n, first, count);
}

static int32_t rows_per_piece(const Call *call) { return larger(1, PIECE / larger(1, shape(call, FIRED)->channels)); }

static void piece_of_rows(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const int32_t first = piece * rows_per_piece(call);
  lif_rows(call, first, smaller(rows_per_piece(call), shape(call, FIRED)->rows - first));
}

CHECK(lif_forward) {
  return neuron_fits(call) && same_size(call, X, BEFORE) && same_size(call, X, MEMBRANE) && same_size(call, X, FIRED) &&
         has_size(call, LEARNT_DECAY, 1);
}
KERNEL(lif_forward) { parallel(call->run, ceiling(shape(call, FIRED)->rows, rows_per_piece(call)), piece_of_rows, (void *)call); }

/*
 * --- backward: ∂u = ∂v·∂v/∂u + (∂s + ∂v·∂v/∂s)·g(u − threshold),  ∂x += ∂u,  ∂v₋₁ = λ·∂u, with the triangle
 * g(z) = max(0, height − slope·|z|). The gradient route through the reset may be detached.
 */

enum { U, DY, CARRY, GIVEN_DECAY, DX };
enum { HEIGHT = 3, SLOPE, ROUTED, POOL };

typedef struct {
  Neuron n;
  float height, slope;
  int routed;
} Backward;

INLINE vf gradient(Backward b, vf u, vf dy, int carries, vf arriving) {
  const vf rise = b.height - magnitude(u - b.n.threshold) * b.slope;
  const vf g = only((vi)(rise > 0.0f) | (vi)(rise != rise), rise);
  if (!carries) return dy * g;
  if (b.routed && b.n.reset == SOFT) dy += -arriving * b.n.threshold;
  if (b.routed && b.n.reset == HARD) dy -= arriving * u;
  if (b.n.reset == HARD) arriving *= 1.0f - only(fires(b.n, u), splat(1));
  return arriving + dy * g;
}

/* `du` of at most BLOCK neurons; `carry` becomes λ·∂u. */
INLINE void block_of(Backward b, int32_t count, const float *u, const float *dy, float *carry, float *du) {
  int32_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    const vf d = gradient(b, load(u + i), load(dy + i), carry != 0, carry ? load(carry + i) : splat(0));
    store(du + i, d);
    if (carry) store(carry + i, d * b.n.decay);
  }
  const int32_t left = count - i;
  if (left == 0) return;
  const vf d = gradient(b, load_some(u + i, left), load_some(dy + i, left), carry != 0, carry ? load_some(carry + i, left) : splat(0));
  store_some(du + i, left, d);
  if (carry) store_some(carry + i, left, d * b.n.decay);
}

/* Calls a copy that is compiled for the reset. */
static void any_block(Backward b, int32_t count, const float *u, const float *dy, float *carry, float *du) {
  if (!carry) return block_of(b, count, u, dy, 0, du);
  if (b.n.reset == SOFT) b.n.reset = SOFT, block_of(b, count, u, dy, carry, du);
  else if (b.n.reset == HARD) b.n.reset = HARD, block_of(b, count, u, dy, carry, du);
  else b.n.reset = NONE, block_of(b, count, u, dy, carry, du);
}

static void gradient_block(const Call *call, int32_t first, int32_t count) {
  const Backward b = {neuron_of(call, GIVEN_DECAY), number(call, HEIGHT), number(call, SLOPE), call->attributes[ROUTED]};
  const int32_t pool = call->attributes[POOL];
  float arrived[BLOCK], du[BLOCK];
  const float *dy = pool ? arrived : floats(call, DY) + first;
  if (pool) unpool(floats(call, DY), shape(call, DY), extent(call, U, 1), extent(call, U, 2), pool, first, count, arrived);
  /* A gradient that is overwritten needs no buffer of its own. */
  float *to = call->operands[DX].accumulate ? du : floats(call, DX) + first;
  any_block(b, count, floats(call, U) + first, dy, given(call, CARRY) ? floats(call, CARRY) + first : 0, to);
  if (to == du) write_gradient(call, DX, first, count, du);
}

CHECK(lif_backward) {
  const int32_t *in = shape(call, U)->extent, size = call->attributes[POOL];
  const int arrives = size == 0 ? same_size(call, U, DY)
                                : shape(call, U)->rank == 4 && unpool_fits(shape(call, DY), size, in[1], in[2]) &&
                                    shape(call, DY)->extent[0] == in[0] && shape(call, DY)->extent[3] == in[3];
  return neuron_fits(call) && arrives && same_size(call, U, CARRY) && same_size(call, U, DX) && has_size(call, GIVEN_DECAY, 1);
}
KERNEL(lif_backward) { each_block(call, shape(call, U)->size, gradient_block); }
