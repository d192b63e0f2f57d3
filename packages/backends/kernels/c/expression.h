/*
 * An expression, as src/expressions.ts packs it: a header, steps, stores. Its attribute says how many words behind itself it begins.
 *
 * A step computes a register, a strip of floats, from others that earlier steps have computed. The first `constants` steps, constants
 * and numbers all, run once for many strips: no later step writes to their registers. A store puts a register where it belongs; a step
 * that computes it may write there at once where nothing else that is read lies there. Core's expressions/elementwise.ts says what it means.
 */
#pragma once
#include "kernel.h"

typedef struct {
  int32_t registers, constants, steps, stores;
} Expression;

/* What a step does: src/expressions.ts counts them too. */
enum {
  CONSTANT, /* a: the bits of a float */
  LEAF,     /* a: an operand, b: a plane of it, or −1 for an operand of one value an element or fewer */
  NUMBER,   /* a: an operand, b: the place of one number in it */
  NEGATE,
  ABSOLUTE,
  EXP,
  LOG,
  SQRT,
  TANH,
  SIGMA,
  ARCTANGENT,
  ADD,
  SUBTRACT,
  MULTIPLY,
  DIVIDE,
  MINIMUM,
  MAXIMUM,
  AT_LEAST,
  GREATER,
  SELECT,
  MULTIPLY_ADD,      /* a·b + c, each rounded, as in what follows */
  MULTIPLY_SUBTRACT, /* a·b − c */
  SUBTRACT_PRODUCT,  /* c − a·b */
  MULTIPLY_TWICE,    /* a·b·c */
  STEP_KINDS
};

/* `store`: the store whose operand the result may be written to at once, or −1. */
typedef struct {
  int32_t kind, to, a, b, c, store;
} Step;

/* Where a register goes: a plane of an operand, or with −1 all of it: a value, or a gradient that is added to or set. */
typedef struct {
  int32_t operand, plane, from;
} Store;

enum { MOST_REGISTERS = 64, MOST_STEPS = 1 << 12 };

INLINE const Expression *expression_of(const int32_t *attribute) { return (const Expression *)(attribute + *attribute); }
INLINE const Step *steps_of(const Expression *e) { return (const Step *)(e + 1); }
INLINE const Store *stores_of(const Expression *e) { return (const Store *)(steps_of(e) + e->steps); }
