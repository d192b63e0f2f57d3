/*
 * An expression as packed by src/expressions.ts: a header, steps, stores. The attribute is its distance, in words, from the attribute
 * itself.
 *
 * A step computes a register, a strip of floats, from registers that earlier steps have computed. The first `constants` steps, all of them
 * constants and numbers, run once for many strips: no later step writes to their registers. A store writes a register to an operand; the
 * step that computes the register may write there directly if the operand holds nothing that is still read. Core's
 * expressions/elementwise.ts defines the semantics.
 */
#pragma once
#include "kernel.h"

typedef struct {
  int32_t registers, constants, steps, stores;
} Expression;

/* Kinds of steps; src/expressions.ts has the same order. */
enum {
  CONSTANT, /* a: the bits of a float */
  LEAF,     /* a: an operand; b: a plane of it, or −1 for an operand with at most one value per element */
  NUMBER,   /* a: an operand; b: the index of one number in it */
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
  MULTIPLY_ADD,      /* a·b + c, each operation rounded, as in the kinds below */
  MULTIPLY_SUBTRACT, /* a·b − c */
  SUBTRACT_PRODUCT,  /* c − a·b */
  MULTIPLY_TWICE,    /* a·b·c */
  STEP_KINDS
};

/* `store`: the store to whose operand the result may be written directly, or −1. */
typedef struct {
  int32_t kind, to, a, b, c, store;
} Step;

/* Destination of a register: a plane of an operand; or, with −1, the whole operand: a value, or a gradient that is added to or set. */
typedef struct {
  int32_t operand, plane, from;
} Store;

enum { MAX_REGISTERS = 64, MAX_STEPS = 1 << 12 };

INLINE const Expression *expression_of(const int32_t *attribute) { return (const Expression *)(attribute + *attribute); }
INLINE const Step *steps_of(const Expression *e) { return (const Step *)(e + 1); }
INLINE const Store *stores_of(const Expression *e) { return (const Store *)(steps_of(e) + e->steps); }
