/*
 * ℓ = (1 − β)·CE(logits, label) + β·MSE(logits, target): its mean over the batch divided by T, or its weighted sum: see core's loss.ts. In
 * float64, sample by sample.
 */
#include "elementary.h"
#include "kernel.h"

enum { LOGITS, LABELS, WEIGHTS };
enum { ONE_HOT, MIX, REST, STEPS };

typedef struct {
  float row[BLOCK];
  /* e^(logit − max) of a block. */
  double powers[BLOCK];
  double largest, total;
} Sample;

/* A block of logits of sample n, unpacked to `buffer` if they are spikes. */
static const float *block_of(const Call *call, int32_t classes, int32_t n, int32_t first, float *buffer) {
  return values(call, LOGITS, n * classes + first, smaller(BLOCK, classes - first), buffer);
}

static int32_t classes_of(const Call *call) { return shape(call, LOGITS)->size / shape(call, LABELS)->size; }

static void raise(Sample *s, const float *row, int32_t count) {
  for (int32_t c = 0; c < count; c++) s->powers[c] = row[c] - s->largest;
  exp_scalars(s->powers, count);
}

/* max and Σ e^(logit − max) of sample n; a NaN logit makes both NaN. */
static void normalize(const Call *call, int32_t n, Sample *s) {
  const int32_t classes = classes_of(call);
  s->largest = -__builtin_inf();
  s->total = 0;
  for (int32_t first = 0; first < classes; first += BLOCK) {
    const float *row = block_of(call, classes, n, first, s->row);
    for (int32_t c = 0; c < smaller(BLOCK, classes - first); c++)
      if (!(row[c] <= s->largest)) s->largest = row[c];
  }
  for (int32_t first = 0; first < classes; first += BLOCK) {
    const float *row = block_of(call, classes, n, first, s->row);
    const int32_t count = smaller(BLOCK, classes - first);
    raise(s, row, count);
    for (int32_t c = 0; c < count; c++) s->total += s->powers[c];
  }
}

/* Samples in a piece; the sums of the pieces are added in order. */
enum { SAMPLES = 16 };

static void loss_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const int32_t classes = classes_of(call), batch = shape(call, LABELS)->size;
  const double mix = number(call, MIX), rest = number(call, REST);
  double loss = 0;
  Sample s;
  for (int32_t n = piece * SAMPLES; n < smaller(batch, piece * SAMPLES + SAMPLES); n++) {
    normalize(call, n, &s);
    const float label = floats(call, LABELS)[n];
    double of_label = __builtin_nan(""), squares = 0;
    for (int32_t first = 0; first < classes; first += BLOCK) {
      const float *row = block_of(call, classes, n, first, s.row);
      for (int32_t c = 0; c < smaller(BLOCK, classes - first); c++) {
        const int is_label = (float)(first + c) == label;
        if (is_label) of_label = row[c];
        const double difference = row[c] - (!call->attributes[ONE_HOT] || is_label ? 1.0 : 0.0);
        squares += difference * difference;
      }
    }
    const double of_sample = rest * (log_scalar(s.total) + s.largest - of_label) + mix * squares / classes;
    loss += given(call, WEIGHTS) ? floats(call, WEIGHTS)[n] * of_sample : of_sample;
  }
  ((double *)call->run->scratch)[piece] = loss;
}

static int attributes_fit(const Call *call) {
  const int32_t *a = call->attributes, batch = shape(call, LABELS)->size;
  return (a[ONE_HOT] == 0 || a[ONE_HOT] == 1) && a[STEPS] >= 1 && (batch == 0 || shape(call, LOGITS)->size % batch == 0) &&
         (batch > 0 || shape(call, LOGITS)->size == 0) && has_size(call, WEIGHTS, batch);
}

/* metrics[0] += ℓ/T,  outputs += logits */
enum { METRICS = 3, OUTPUTS };
static void outputs_block(const Call *call, int32_t first, int32_t count) {
  float buffer[BLOCK];
  const float *logits = values(call, LOGITS, first, count, buffer);
  float *restrict outputs = floats(call, OUTPUTS) + first;
  for (int32_t i = 0; i < count; i++) outputs[i] += logits[i];
}
CHECK(loss_forward) { return attributes_fit(call) && shape(call, METRICS)->size >= 1 && has_size(call, OUTPUTS, shape(call, LOGITS)->size); }
SCRATCH(loss_forward) { return sizeof(double) * (size_t)ceiling(shape(call, LABELS)->size, SAMPLES); }
KERNEL(loss_forward) {
  const int32_t batch = shape(call, LABELS)->size, pieces = ceiling(batch, SAMPLES);
  parallel(call->run, pieces, loss_piece, (void *)call);
  double loss = 0;
  for (int32_t i = 0; i < pieces; i++) loss += ((double *)call->run->scratch)[i];
  float *metric = floats(call, METRICS);
  *metric = (float)(*metric + (given(call, WEIGHTS) ? loss : loss / batch / call->attributes[STEPS]));
  if (given(call, OUTPUTS)) each_block(call, shape(call, LOGITS)->size, outputs_block);
}

/* ∂out = ((1 − β)·(softmax(out) − onehot(y)) + 2β·(out − target)/classes) / (N·T), or · wₙ instead of / (N·T) */
enum { DLOGITS = 3 };
static void gradient_piece(void *work, int32_t piece, int32_t thread) {
  (void)thread;
  const Call *call = work;
  const int32_t classes = classes_of(call), batch = shape(call, LABELS)->size;
  const double mix = number(call, MIX), rest = number(call, REST), equal = 1.0 / ((double)batch * call->attributes[STEPS]);
  Sample s;
  for (int32_t n = piece * SAMPLES; n < smaller(batch, piece * SAMPLES + SAMPLES); n++) {
    normalize(call, n, &s);
    const float label = floats(call, LABELS)[n];
    const double share = given(call, WEIGHTS) ? floats(call, WEIGHTS)[n] : equal;
    for (int32_t first = 0; first < classes; first += BLOCK) {
      const int32_t count = smaller(BLOCK, classes - first);
      const float *row = block_of(call, classes, n, first, s.row);
      float gradient[BLOCK];
      if (classes > BLOCK) raise(&s, row, count);
      for (int32_t c = 0; c < count; c++) {
        const int is_label = (float)(first + c) == label;
        const double difference = row[c] - (!call->attributes[ONE_HOT] || is_label ? 1.0 : 0.0);
        const double cross_entropy = rest * (s.powers[c] / s.total - is_label);
        gradient[c] = (float)(share * (cross_entropy + 2 * mix * difference / classes));
      }
      write_gradient(call, DLOGITS, n * classes + first, count, gradient);
    }
  }
}
CHECK(loss_backward) { return attributes_fit(call) && same_size(call, LOGITS, DLOGITS); }
KERNEL(loss_backward) { parallel(call->run, ceiling(shape(call, LABELS)->size, SAMPLES), gradient_piece, (void *)call); }
