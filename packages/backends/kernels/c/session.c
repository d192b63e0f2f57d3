#include "session.h"

#define ROW(name, core_name, operands, attributes, scratch, kept) name##_opcode,
enum {
#include "kernels.def"
  OPCODES
};
#undef ROW

const int32_t kernel_count = OPCODES;

/* Unit of buffers and offsets, in bytes. */
enum { UNIT = 64 };
/* Maximum elements in a buffer: leaves room for loop counters to exceed the size by some blocks within 32 bits. */
enum { MAX_ELEMENTS = 1 << 30 };

/* The segment that begins a micro-batch; src/packed.ts has the same number. */
enum { BEGIN = 1 };

/* Data derived from weights, by kernel and weight buffer; beyond MAX_KEPT entries, none is kept. */
enum { MAX_KEPT = 64 };
typedef struct {
  int32_t count, opcodes[MAX_KEPT], weights[MAX_KEPT];
  Kept of[MAX_KEPT];
} Keeping;

struct Session {
  const Kernels *use;
  const Program *program;
  uint8_t *arena;
  Run run;
  Keeping keeping;
};

/* --- reading a program */

static int32_t operands_of(const Kernel *kernel) {
  int32_t count = 0;
  while (kernel->operands[count]) count++;
  return count;
}

static int32_t words_of_instruction(const Kernel *kernel) { return 1 + operands_of(kernel) + kernel->attributes; }

/* Decodes an instruction into a call, without data. */
static Call call_of(const Kernel *kernel, const Buffer *buffers, const int32_t *at, const Run *run) {
  Call call = {.run = run};
  int i = 0;
  for (; kernel->operands[i]; i++) {
    const int32_t operand = at[1 + i];
    if (operand < 0) continue;
    call.operands[i].buffer = &buffers[buffer_of(operand)];
    call.operands[i].accumulate = accumulates(operand);
  }
  call.attributes = at + 1 + i;
  return call;
}

static int32_t weight_of(const int32_t *at) { return buffer_of(at[1 + KEPT_OPERAND]); }

/* The data that an instruction's kernel keeps of its weight, or null. */
static Kept *kept_of(Keeping *keeping, const int32_t *at) {
  for (int32_t i = 0; i < keeping->count; i++)
    if (keeping->opcodes[i] == at[0] && keeping->weights[i] == weight_of(at)) return &keeping->of[i];
  return 0;
}

/* Collects what a checked program keeps, lays it out from `memory` on (or only counts, if null), and returns the bytes. */
static size_t keep(const Kernels *use, const Program *program, const Run *run, Keeping *keeping, uint8_t *memory) {
  size_t bytes = 0;
  for (int s = 0; s < SEGMENTS; s++) {
    const int32_t *at = (const int32_t *)program + program->segments[s].begin;
    for (int32_t i = 0; i < program->segments[s].count; i++) {
      const Kernel *kernel = &use->kernels[at[0]];
      const Call call = call_of(kernel, buffers_of(program), at, run);
      const size_t own = kernel->kept ? kernel->kept(&call) : 0;
      if (own && keeping->count < MAX_KEPT && !kept_of(keeping, at)) {
        keeping->opcodes[keeping->count] = at[0];
        keeping->weights[keeping->count] = weight_of(at);
        keeping->of[keeping->count++] = (Kept){memory ? (float *)(memory + bytes) : 0, 0};
        bytes += align64(own);
      }
      at += words_of_instruction(kernel);
    }
  }
  return bytes;
}

/* --- checking a program */

static int good_buffer(const Buffer *b, int32_t arena) {
  if (b->elements < FLOAT32 || b->elements > WORDS || b->rank < 0 || b->rank > MAX_RANK) return 0;
  int64_t size = 1;
  for (int i = 0; i < b->rank; i++) {
    if (b->extent[i] < 0) return 0;
    size *= b->extent[i];
    if (size > MAX_ELEMENTS) return 0;
  }
  const int32_t channels = b->rank ? b->extent[b->rank - 1] : 1;
  if (b->size != size || b->channels != channels || b->rows != (channels ? (int32_t)size / channels : 0)) return 0;
  const int64_t words = b->elements == SPIKES ? (int64_t)b->rows * words_of(channels) : size;
  if (words > MAX_ELEMENTS) return 0;
  if (b->offset < 0 || b->slots < 1 || b->every < 1 || b->stride < (4 * words + UNIT - 1) / UNIT) return 0;
  return (int64_t)b->offset + (int64_t)b->slots * b->stride <= arena;
}

static int32_t refuse_instruction(const Kernels *use, const Program *program, const int32_t *at, int32_t left) {
  if (left < 1 || at[0] < 0 || at[0] >= kernel_count) return UNKNOWN_OPCODE;
  const Kernel *kernel = &use->kernels[at[0]];
  if (left < words_of_instruction(kernel)) return BAD_SEGMENT;
  const Buffer *buffers = buffers_of(program);
  for (int i = 0; kernel->operands[i]; i++) {
    const char letter = kernel->operands[i];
    const int may_be_absent = letter < 'a';
    const int32_t operand = at[1 + i];
    if (operand == -1) {
      if (!may_be_absent) return MISSING_OPERAND;
      continue;
    }
    if (operand < 0 || buffer_of(operand) >= program->buffers) return BAD_OPERAND;
    const Buffer *b = &buffers[buffer_of(operand)];
    switch (letter | 32) {
      case 'f':
        if (b->elements != FLOAT32) return WRONG_ELEMENTS;
        break;
      case 's':
        if (b->elements != SPIKES) return WRONG_ELEMENTS;
        break;
      case 'x':
        if (b->elements == WORDS) return WRONG_ELEMENTS;
        break;
      default:
        if (b->elements != WORDS || b->size < 2) return WRONG_ELEMENTS;
    }
  }
  Call call = call_of(kernel, buffers, at, 0);
  call.words = left - (int32_t)(call.attributes - at);
  return kernel->check(&call) ? 0 : WRONG_SHAPES;
}

static double refusal(int32_t reason, int32_t index) { return -(reason + 16.0 * index); }

static size_t program_bytes(const Program *program) { return align64(4 * (size_t)program->words); }

double session_bytes(const int32_t *packed, double words, int32_t threads) {
  const Program *program = (const Program *)packed;
  const int32_t header = sizeof(Program) / 4, each = sizeof(Buffer) / 4;
  if (threads < 1 || threads > MAX_THREADS || !(words >= header && words <= INT32_MAX) || program->magic != PROGRAM_MAGIC ||
      program->words != words || program->arena < 0 || program->time_steps < 1 || program->buffers < 0 ||
      program->buffers > (program->words - header) / each)
    return -NOT_A_PROGRAM;
  const Buffer *buffers = buffers_of(program);
  for (int32_t i = 0; i < program->buffers; i++)
    if (!good_buffer(&buffers[i], program->arena)) return refusal(BAD_BUFFER, i);

  const Kernels *use = kernels_here();
  const Run run = {threads, 0};
  size_t scratch = 0;
  int32_t index = 0;
  for (int s = 0; s < SEGMENTS; s++) {
    const Segment segment = program->segments[s];
    if (segment.begin < header + program->buffers * each || segment.begin > program->words || segment.count < 0)
      return refusal(BAD_SEGMENT, index);
    const int32_t *at = packed + segment.begin;
    for (int32_t i = 0; i < segment.count; i++, index++) {
      const int32_t wrong = refuse_instruction(use, program, at, (int32_t)(packed + program->words - at));
      if (wrong) return refusal(wrong, index);
      const Kernel *kernel = &use->kernels[at[0]];
      if (kernel->scratch) {
        const Call call = call_of(kernel, buffers, at, &run);
        const size_t bytes = kernel->scratch(&call);
        if (bytes > scratch) scratch = bytes;
      }
      at += words_of_instruction(kernel);
    }
  }
  Keeping keeping = {0};
  return (double)(align64(sizeof(Session)) + program_bytes(program) + keep(use, program, &run, &keeping, 0) + align64(scratch));
}

void session_open(void *memory, const int32_t *packed, int32_t threads, uint8_t *arena) {
  const Program *program = (const Program *)packed;
  uint8_t *copy = (uint8_t *)memory + align64(sizeof(Session));
  __builtin_memcpy(copy, packed, 4 * (size_t)program->words);
  Session *session = memory;
  *session = (Session){.use = kernels_here(), .program = (const Program *)copy, .arena = arena, .run = {threads, 0}};
  uint8_t *kept = copy + program_bytes(program);
  session->run.scratch = kept + keep(session->use, session->program, &session->run, &session->keeping, kept);
}

/* --- running a program */

/* Decodes an instruction into a call, with its data at time step t. */
static Call locate(Session *session, const int32_t *at, int32_t t) {
  const Kernel *kernel = &session->use->kernels[at[0]];
  Call call = call_of(kernel, buffers_of(session->program), at, &session->run);
  for (int i = 0; kernel->operands[i]; i++) {
    const Buffer *b = call.operands[i].buffer;
    if (!b) continue;
    const int64_t step = (int64_t)t - lag_of(at[1 + i]);
    /* Rounds quotients of negative numbers down. */
    const int64_t interval = step < 0 ? -((b->every - 1 - step) / b->every) : step / b->every;
    const int64_t slot = (interval % b->slots + b->slots) % b->slots;
    call.operands[i].data = session->arena + UNIT * ((size_t)b->offset + (size_t)slot * (size_t)b->stride);
  }
  if (kernel->kept && kernel->kept(&call)) call.kept = kept_of(&session->keeping, at);
  return call;
}

/* Whether two operands share memory. */
static int overlap(const Operand *a, const Operand *b) {
  const uint8_t *first = a->data, *second = b->data;
  return first && second && first < second + UNIT * (size_t)b->buffer->stride && second < first + UNIT * (size_t)a->buffer->stride;
}

/*
 * Whether `next` can run on rows of the result of `call` as they are completed: neurons after a kernel that calls `finish`. If the
 * program's layout lets the neurons write where the producer still reads, they have to wait.
 */
static int fuses(int32_t opcode, const Kernel *kernel, const Call *call, int32_t next_opcode, const Call *next) {
  if (next_opcode != lif_forward_opcode) return 0;
  if (opcode != linear_forward_opcode && opcode != conv_forward_opcode && opcode != batch_norm_forward_opcode &&
      opcode != batch_norm_inference_opcode)
    return 0;
  const int32_t operands = operands_of(kernel);
  const Operand *y = &call->operands[operands - 1];
  enum { MEMBRANE = 3, FIRED = 4 };
  /* Flattened spikes have different rows. */
  if (y->data != next->operands[0].data || y->buffer->channels != next->operands[FIRED].buffer->channels) return 0;
  for (int i = 0; i < operands; i++)
    if (overlap(&call->operands[i], &next->operands[MEMBRANE]) || overlap(&call->operands[i], &next->operands[FIRED])) return 0;
  return 1;
}

static void run_segment(Session *session, Segment segment, int32_t t) {
  const Kernel *kernels = session->use->kernels;
  const int32_t *at = (const int32_t *)session->program + segment.begin;
  for (int32_t i = 0; i < segment.count; i++) {
    const int32_t opcode = at[0];
    const Kernel *kernel = &kernels[opcode];
    Call call = locate(session, at, t);
    at += words_of_instruction(kernel);
    if (i + 1 < segment.count) {
      Call next = locate(session, at, t);
      const Epilogue then = {session->use->lif_rows, &next};
      if (fuses(opcode, kernel, &call, at[0], &next)) {
        call.then = &then;
        kernel->run(&call);
        at += words_of_instruction(&kernels[at[0]]);
        i++;
        continue;
      }
    }
    kernel->run(&call);
  }
}

int32_t session_run(Session *session, const int32_t *calls, int32_t count) {
  const Program *program = session->program;
  for (int32_t i = 0; i < count; i++)
    if (calls[2 * i] < 0 || calls[2 * i] >= SEGMENTS || calls[2 * i + 1] < 0) return UNKNOWN_CALL;
  for (int32_t i = 0; i < count; i++) {
    if (calls[2 * i] == BEGIN)
      for (int32_t k = 0; k < session->keeping.count; k++) session->keeping.of[k].is_made = 0;
    run_segment(session, program->segments[calls[2 * i]], calls[2 * i + 1]);
  }
  return 0;
}

int32_t session_is_finite(const Session *session, int32_t buffer) {
  if (buffer < 0 || buffer >= session->program->buffers) return 0;
  const Buffer *b = &buffers_of(session->program)[buffer];
  return b->elements == FLOAT32 && session->use->are_finite(&session->run, (const float *)(session->arena + UNIT * (size_t)b->offset), b->size);
}
