/*
 * elementwise.forward and elementwise.backward: an interpreter of expressions over strips of floats that stay in the first-level cache.
 * Operations are neither reordered nor contracted, so every machine computes the same bits.
 */
#include "expression.h"
#include "elementary.h"
#include "pooling.h"

/* Floats in a strip; a register has room for a word of spikes that extends beyond its end. */
enum { STRIP = 512, REGISTER = STRIP + 32 };

/* Operands: inputs, then outputs. */
enum { STATE = 13, Y = 14, FORWARD_OPERANDS };
enum { DY = 13, CARRY, DX, DP = 18, BACKWARD_OPERANDS = 26 };
enum { NUMBERS = 12 };

/*
 * Attributes of the backward direction, after the expression: if DY is the gradient of an average pool over the elements, the pool's window
 * size, else 0; then the height and width of the pool's input.
 */
enum { POOL = 1, HEIGHT, WIDTH };

/* Differences between the kernels: number of operands, first operand that is written, operands whose size gives the number of elements. */
typedef struct {
  int32_t operands, first_written, counts[2];
} Form;
static const Form forward_form = {FORWARD_OPERANDS, STATE, {Y, STATE}}, backward_form = {BACKWARD_OPERANDS, CARRY, {DY, CARRY}};
/* Operands that write_gradient the number of elements in the backward direction if no gradient arrives. */
static const int32_t otherwise[] = {DX, 0};

INLINE int is_pooled(const Call *call, const Form *form) { return form == &backward_form && given(call, DY) && call->attributes[POOL] != 0; }

static int32_t planes_of(const Expression *e, int32_t operand) {
  int32_t planes = 0;
  for (int32_t i = 0; i < e->stores; i++) planes += stores_of(e)[i].operand == operand;
  return planes;
}

/* The number of elements; 0 if unknown. */
enum { MAX_POOLED = 1 << 30 };
static int32_t elements_of(const Call *call, const Expression *e, const Form *form) {
  if (is_pooled(call, form)) {
    const int64_t size = (int64_t)extent(call, DY, 0) * extent(call, DY, 3) * call->attributes[HEIGHT] * call->attributes[WIDTH];
    return size <= MAX_POOLED ? (int32_t)size : 0;
  }
  if (given(call, form->counts[0])) return shape(call, form->counts[0])->size;
  const int32_t planes = planes_of(e, form->counts[1]);
  if (given(call, form->counts[1])) return planes > 0 ? shape(call, form->counts[1])->size / planes : 0;
  for (int i = 0; i < 2; i++)
    if (form == &backward_form && given(call, otherwise[i])) return shape(call, otherwise[i])->size;
  return 0;
}

/* Length of the parameter sums: the total size of all parameters with a gradient. */
static int64_t summed(const Call *call) {
  int64_t numbers = 0;
  for (int i = DP; i < BACKWARD_OPERANDS; i++) numbers += given(call, i) ? shape(call, i)->size : 0;
  return numbers;
}

/*
 * Each piece has sums for all parameters, so there are few pieces if the parameters are large. MAX_SUMMED keeps all sizes in bytes below
 * 2³².
 */
enum { MAX_SUM_PIECES = 16, MANY_SUMS = 1 << 20, MAX_SUMMED = 1 << 26 };

/* --- checking */

/* Whether each of `numbers` parameters is shared by the same number of elements. */
static int shared_by(int32_t numbers, int32_t elements) { return numbers > 0 && numbers <= elements && elements % numbers == 0; }

static int lies_within(const int32_t *attribute, int32_t left) {
  const int64_t header = sizeof(Expression) / 4;
  if (left < 1 || *attribute < 1 || *attribute + header > left) return 0;
  const Expression *e = expression_of(attribute);
  if (e->registers < 1 || e->registers > MAX_REGISTERS || e->steps < 0 || e->steps > MAX_STEPS || e->constants < 0 ||
      e->constants > e->steps || e->stores < 0 || e->stores > MAX_STEPS)
    return 0;
  return *attribute + header + e->steps * (int64_t)(sizeof(Step) / 4) + e->stores * (int64_t)(sizeof(Store) / 4) <= left;
}

/* Whether a register is in a set, one bit for each. */
static int has(uint64_t registers, int32_t i) { return i >= 0 && i < MAX_REGISTERS && registers >> i & 1; }

static int step_fits(const Call *call, const Form *form, int32_t elements, const Step *s, uint64_t written) {
  if (s->kind == CONSTANT) return 1;
  if (s->kind == LEAF || s->kind == NUMBER) {
    /* The carry is both read and written. */
    if (s->a < 0 || !(s->a < form->first_written || (form == &backward_form && s->a == CARRY)) || !given(call, s->a)) return 0;
    const Buffer *b = shape(call, s->a);
    if (s->kind == NUMBER) return b->elements == FLOAT32 && s->b >= 0 && s->b < b->size;
    if (s->a == DY && is_pooled(call, form)) return s->b < 0;
    if (s->b < 0) return b->size == elements || (b->elements == FLOAT32 && shared_by(b->size, elements));
    return b->elements == FLOAT32 && (int64_t)elements * ((int64_t)s->b + 1) <= b->size;
  }
  const int operands = s->kind < ADD ? 1 : s->kind < SELECT ? 2 : 3;
  const int32_t of[] = {s->a, s->b, s->c};
  for (int i = 0; i < operands; i++)
    if (!has(written, of[i])) return 0;
  return 1;
}

static int store_fits(const Call *call, const Form *form, int32_t elements, const Store *s, uint64_t written) {
  if (!has(written, s->from) || s->operand < form->first_written || s->operand >= form->operands) return 0;
  if (!given(call, s->operand)) return 0;
  const Buffer *b = shape(call, s->operand);
  if (form == &backward_form && s->operand >= DP) return s->plane < 0 && shared_by(b->size, elements);
  if (s->plane >= 0) return b->elements == FLOAT32 && (int64_t)elements * ((int64_t)s->plane + 1) <= b->size;
  return b->size == elements;
}

static int fits(const Call *call, const Form *form) {
  if (!lies_within(call->attributes, call->words)) return 0;
  const int32_t *a = call->attributes;
  if (is_pooled(call, form) && !unpool_fits(shape(call, DY), a[POOL], a[HEIGHT], a[WIDTH])) return 0;
  const Expression *e = expression_of(a);
  const int32_t elements = elements_of(call, e, form);
  uint64_t written = 0, constant = 0;
  for (int32_t i = 0; i < e->steps; i++) {
    const Step *s = &steps_of(e)[i];
    if (s->kind < 0 || s->kind >= STEP_KINDS || s->to < 0 || s->to >= e->registers || has(constant, s->to)) return 0;
    if (!step_fits(call, form, elements, s, written)) return 0;
    if (s->store >= e->stores || (s->store >= 0 && (s->kind < NEGATE || stores_of(e)[s->store].from != s->to))) return 0;
    written |= (uint64_t)1 << s->to;
    if (i >= e->constants) continue;
    if (s->kind != CONSTANT && s->kind != NUMBER) return 0;
    constant |= (uint64_t)1 << s->to;
  }
  for (int32_t i = 0; i < e->stores; i++)
    if (!store_fits(call, form, elements, &stores_of(e)[i], written)) return 0;
  return form == &forward_form || summed(call) <= MAX_SUMMED;
}

/* --- running */

#define EACH(result)                          \
  for (int32_t i = 0; i < count; i += LANES) { \
    const vf x = load(a + i);                  \
    store(to + i, result);                     \
  }                                            \
  break;
#define EACH_OF_THREE(result)                                    \
  for (int32_t i = 0; i < count; i += LANES) {                    \
    const vf x = load(a + i), y = load(b + i), z = load(c + i);   \
    store(to + i, result);                                        \
  }                                                               \
  break;
#define EACH_OF_TWO(result)                             \
  for (int32_t i = 0; i < count; i += LANES) {           \
    const vf x = load(a + i), y = load(b + i);           \
    store(to + i, result);                               \
  }                                                      \
  break;

/* Runs one step on a strip; vectors may extend beyond its end, within the registers. */
static void compute(const Step *s, const float *const *registers, float *to, int32_t count) {
  const float *a = registers[s->a], *b = s->kind >= ADD ? registers[s->b] : 0, *c = s->kind >= SELECT ? registers[s->c] : 0;
  switch (s->kind) {
    case NEGATE: EACH(-x)
    case ABSOLUTE: EACH(magnitude(x))
    case EXP: EACH(exp_lanes(x))
    case LOG: EACH(log_lanes(x))
    case SQRT: EACH(sqrt_lanes(x))
    case TANH: EACH(tanh_lanes(x))
    case SIGMA: EACH(sigmoid_lanes(x))
    case ARCTANGENT: EACH(atan_lanes(x))
    case ADD: EACH_OF_TWO(x + y)
    case SUBTRACT: EACH_OF_TWO(x - y)
    case MULTIPLY: EACH_OF_TWO(x * y)
    case DIVIDE: EACH_OF_TWO(x / y)
    case MINIMUM: EACH_OF_TWO(choose((vi)(x < y) | (vi)(x != x), x, y))
    case MAXIMUM: EACH_OF_TWO(choose((vi)(x > y) | (vi)(x != x), x, y))
    case AT_LEAST: EACH_OF_TWO(only((vi)(x >= y), splat(1)))
    case GREATER: EACH_OF_TWO(only((vi)(x > y), splat(1)))
    case MULTIPLY_ADD: EACH_OF_THREE(x * y + z)
    case MULTIPLY_SUBTRACT: EACH_OF_THREE(x * y - z)
    case SUBTRACT_PRODUCT: EACH_OF_THREE(z - x * y)
    case MULTIPLY_TWICE: EACH_OF_THREE(x * y * z)
    default: EACH_OF_THREE(choose((vi)(x != 0.0f), y, z))
  }
}

typedef struct {
  const Call *call;
  const Form *form;
  int32_t elements, pieces, strip;
  /* Bytes of one thread's registers; start of the sums. */
  size_t registers;
  double *sums;
} Job;

/* Returns a leaf's values for a strip: in place, or copied to `to`. */
static const float *leaf(const Job *job, const Step *s, int32_t first, int32_t count, float *to) {
  const Call *call = job->call;
  const int32_t elements = job->elements;
  const Buffer *b = shape(call, s->a);
  const float *from = floats(call, s->a);
  if (s->a == DY && is_pooled(call, job->form)) {
    unpool(from, b, call->attributes[HEIGHT], call->attributes[WIDTH], call->attributes[POOL], first, count, to);
    return to;
  }
  if (b->elements == SPIKES) {
    unpack(call, s->a, first, count, to);
    return to;
  }
  if (s->kind == NUMBER || b->size == 1) {
    const vf x = splat(from[s->kind == NUMBER ? s->b : 0]);
    for (int32_t i = 0; i < (s->kind == NUMBER ? REGISTER : count); i += LANES) store(to + i, x);
    return to;
  }
  if (s->b >= 0 || b->size == elements) {
    from += (s->b >= 0 ? (size_t)s->b * (size_t)elements : 0) + (size_t)first;
    /* Prefetches the next strip while this one is computed. */
    for (int32_t i = count; i < 2 * count; i += 16) __builtin_prefetch(from + i);
    if (count % LANES == 0) return from;
    __builtin_memcpy(to, from, 4 * (size_t)count);
    return to;
  }
  int32_t at = first % b->size;
  for (int32_t i = 0; i < count;) {
    const int32_t run = smaller(count - i, b->size - at);
    __builtin_memcpy(to + i, from + at, 4 * (size_t)run);
    i += run, at = 0;
  }
  return to;
}

/* Stores the spikes of a strip: whole rows, or part of a row starting at a word. */
static void store_spikes(const Call *call, int32_t first, int32_t count, const float *from) {
  const int32_t channels = shape(call, Y)->channels, per_row = words_of(channels);
  for (int32_t i = 0; i < count;) {
    const int32_t row = (first + i) / channels, c = (first + i) % channels, left = smaller(smaller(32, channels - c), count - i);
    uint32_t bits = 0;
    for (int32_t k = 0; k < 32; k += LANES) bits |= bits_of((vi)(load(from + i + k) != 0.0f)) << k;
    words(call, Y)[(size_t)row * per_row + (c >> 5)] = left == 32 ? bits : bits & ((1u << left) - 1);
    i += left;
  }
}

static Job job_of(const Call *call, const Form *form) {
  const Expression *e = expression_of(call->attributes);
  Job job = {.call = call, .form = form, .elements = elements_of(call, e, form), .strip = STRIP};
  if (form == &forward_form && given(call, Y) && is_spikes(call, Y)) {
    const int32_t channels = shape(call, Y)->channels;
    /* Strips start at a word of spikes. */
    if (channels > 0 && channels < STRIP) job.strip = STRIP / channels * channels;
    else if (channels > STRIP) job.strip = 0;
  }
  job.registers = align64(4 * (size_t)REGISTER * (size_t)e->registers);
  job.pieces = ceiling(job.elements, PIECE);
  const int32_t numbers = form == &backward_form ? (int32_t)summed(call) : 0;
  if (numbers) job.pieces = smaller(job.pieces, larger(1, smaller(MAX_SUM_PIECES, MANY_SUMS / numbers)));
  return job;
}

static void add_up(const Job *job, double *sums, const Store *s, int32_t first, int32_t count, const float *from) {
  for (int i = DP; i < s->operand; i++) sums += given(job->call, i) ? shape(job->call, i)->size : 0;
  const int32_t size = shape(job->call, s->operand)->size;
  if (size == 1) {
    double sum = 0;
    for (int32_t i = 0; i < count; i++) sum += from[i];
    sums[0] += sum;
    return;
  }
  for (int32_t i = 0, at = first % size; i < count; i++, at = at + 1 == size ? 0 : at + 1) sums[at] += from[i];
}

/* Address to which a store copies a strip, or null if it does more than copy. */
static float *target_of(const Job *job, const Store *s, int32_t first) {
  const Call *call = job->call;
  if ((job->form == &backward_form && s->operand >= DP) || is_spikes(call, s->operand) || call->operands[s->operand].accumulate) return 0;
  return floats(call, s->operand) + (s->plane > 0 ? (size_t)s->plane * (size_t)job->elements : 0) + (size_t)first;
}

static void run_strip(const Job *job, double *sums, float *memory, const float **registers, int32_t first, int32_t count, int is_first) {
  const Call *call = job->call;
  const Expression *e = expression_of(call->attributes);
  for (int32_t i = is_first ? 0 : e->constants; i < e->steps; i++) {
    const Step *s = &steps_of(e)[i];
    float *to = memory + (size_t)s->to * REGISTER;
    if (s->kind == CONSTANT) {
      union {
        int32_t bits;
        float value;
      } constant = {.bits = s->a};
      for (int32_t k = 0; k < REGISTER; k += LANES) store(to + k, splat(constant.value));
    } else if (s->kind < NEGATE) {
      registers[s->to] = leaf(job, s, first, count, to);
      continue;
    } else {
      float *target = s->store >= 0 && count % LANES == 0 ? target_of(job, &stores_of(e)[s->store], first) : 0;
      to = target ? target : to;
      compute(s, registers, to, count);
    }
    registers[s->to] = to;
  }
  /* Copies registers that alias an operand before any store may overwrite them. */
  for (int32_t i = 0; i < e->stores; i++) {
    const int32_t r = stores_of(e)[i].from;
    float *own = memory + (size_t)r * REGISTER;
    if (registers[r] == own || registers[r] == target_of(job, &stores_of(e)[i], first)) continue;
    __builtin_memcpy(own, registers[r], 4 * (size_t)count);
    registers[r] = own;
  }
  for (int32_t i = 0; i < e->stores; i++) {
    const Store *s = &stores_of(e)[i];
    const float *from = registers[s->from];
    float *target = target_of(job, s, first);
    if (from == target) continue;
    if (job->form == &backward_form && s->operand >= DP) add_up(job, sums, s, first, count, from);
    else if (target) __builtin_memcpy(target, from, 4 * (size_t)count);
    else if (is_spikes(call, s->operand)) store_spikes(call, first, count, from);
    else write_gradient(call, s->operand, first, count, from);
  }
}

/* Length of the strip that begins at `first`. */
static int32_t strip_at(const Job *job, int32_t first, int32_t end) {
  if (job->strip) return smaller(job->strip, end - first);
  const int32_t channels = shape(job->call, Y)->channels;
  return smaller(smaller(STRIP, channels - first % channels), end - first);
}

/* First element of a piece: the start of a row if spikes are written. */
static int32_t piece_begins(const Job *job, int32_t piece) {
  const int32_t unit = job->form == &forward_form && given(job->call, Y) ? larger(1, shape(job->call, Y)->channels) : 1;
  return (int32_t)((int64_t)(job->elements / unit) * piece / job->pieces) * unit;
}

static void run_piece(void *work, int32_t piece, int32_t thread) {
  const Job *job = work;
  float *memory = (float *)(job->call->run->scratch + job->registers * (size_t)thread);
  const float *registers[MAX_REGISTERS];
  for (int32_t i = 0; i < MAX_REGISTERS; i++) registers[i] = memory;
  double *sums = job->sums ? job->sums + (size_t)piece * (size_t)summed(job->call) : 0;
  const int32_t begin = piece_begins(job, piece), end = piece_begins(job, piece + 1);
  for (int32_t first = begin; first < end;) {
    const int32_t count = strip_at(job, first, end);
    run_strip(job, sums, memory, registers, first, count, first == begin);
    first += count;
  }
}

static size_t scratch(const Call *call, const Form *form) {
  const Job job = job_of(call, form);
  const size_t sums = form == &backward_form ? sizeof(double) * (size_t)summed(call) * (size_t)job.pieces : 0;
  return job.registers * (size_t)call->run->threads + sums;
}

static void run(const Call *call, const Form *form) {
  Job job = job_of(call, form);
  const int32_t numbers = form == &backward_form ? (int32_t)summed(call) : 0;
  if (numbers) {
    job.sums = (double *)(call->run->scratch + job.registers * (size_t)call->run->threads);
    __builtin_memset(job.sums, 0, sizeof(double) * (size_t)numbers * (size_t)job.pieces);
  }
  if (job.elements > 0) parallel(call->run, job.pieces, run_piece, &job);
  for (int32_t i = DP, at = 0; numbers && i < BACKWARD_OPERANDS; i++) {
    if (!given(call, i)) continue;
    for (int32_t k = 0; k < shape(call, i)->size; k++, at++) {
      double sum = 0;
      for (int32_t piece = 0; piece < job.pieces; piece++) sum += job.sums[(size_t)piece * (size_t)numbers + (size_t)at];
      const float total = (float)sum;
      write_gradient(call, i, k, 1, &total);
    }
  }
}

CHECK(elementwise_forward) { return fits(call, &forward_form); }
SCRATCH(elementwise_forward) { return scratch(call, &forward_form); }
KERNEL(elementwise_forward) { run(call, &forward_form); }

CHECK(elementwise_backward) { return fits(call, &backward_form); }
SCRATCH(elementwise_backward) { return scratch(call, &backward_form); }
KERNEL(elementwise_backward) { run(call, &backward_form); }
