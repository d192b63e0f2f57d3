/**
 * Expressions: elementwise mathematics in float32, written once for every backend.
 *
 * An expression is an immutable graph of operations on the values of one element. Everything else is derived from it:
 * its cost, its reverse-mode derivative ({@link ./differentiate.ts}), the values that a neuron stores between time
 * steps ({@link ./storage.ts}), and the code that backends interpret or compile ({@link ./code.ts}). Every operation
 * rounds to float32. Backends preserve the order of operations and do not contract them (no fused multiply-add),
 * because rounding decides which neurons fire.
 *
 * @example
 * const twice = Neuron.constant(2)
 * const softplus = elementwise("softplus", (x) => Neuron.log(Neuron.exp(x.times(twice)).plus(1)).dividedBy(twice))
 */
import { aNumber, argument, aString, type Kind } from "../arguments.ts"

/** Unary operations. */
export const unaryOps = ["negate", "absolute", "exp", "log", "sqrt", "tanh", "sigmoid", "atan"] as const
/** Binary operations. Comparisons return 1 or 0. */
export const binaryOps = ["add", "subtract", "multiply", "divide", "minimum", "maximum", "atLeast", "greater"] as const

/** The name of a unary operation. */
export type UnaryOp = (typeof unaryOps)[number]
/** The name of a binary operation. */
export type BinaryOp = (typeof binaryOps)[number]

/** An expression, or a number that stands for a constant. */
export type Value = Expression | number

type Form =
  | { readonly kind: "constant"; readonly value: number }
  /** An external value: an input, a parameter, a state before the step, or a gradient. */
  | { readonly kind: "leaf"; readonly name: string }
  | { readonly kind: "unary"; readonly op: UnaryOp; readonly a: Expression }
  | { readonly kind: "binary"; readonly op: BinaryOp; readonly a: Expression; readonly b: Expression }
  | { readonly kind: "select"; readonly condition: Expression; readonly a: Expression; readonly b: Expression }
  /** Forward: [z ≥ 0], or `primitive` = G(z) in smooth mode. Derivative: `slope` = g(z). */
  | { readonly kind: "fire"; readonly z: Expression; readonly slope: Expression; readonly primitive: Expression }
  /** Forward: `a`. Derivative: that of `a`, or 0 if the policy cuts the temporal edge `edge`. */
  | { readonly kind: "route"; readonly edge: string; readonly a: Expression }

/**
 * A value of one element. Immutable: methods return new expressions, simplified if that changes no bit of a finite
 * result.
 */
export class Expression {
  constructor(readonly form: Form) {}

  plus(other: Value): Expression {
    return binary("add", this, of(other))
  }
  minus(other: Value): Expression {
    return binary("subtract", this, of(other))
  }
  times(other: Value): Expression {
    return binary("multiply", this, of(other))
  }
  dividedBy(other: Value): Expression {
    return binary("divide", this, of(other))
  }
  negated(): Expression {
    return unary("negate", this)
  }
  /** 1 if this ≥ other, else 0. */
  atLeast(other: Value): Expression {
    return binary("atLeast", this, of(other))
  }
  /** 1 if this > other, else 0. */
  greaterThan(other: Value): Expression {
    return binary("greater", this, of(other))
  }

  /** The value, if this is a constant. */
  get constant(): number | undefined {
    return this.form.kind === "constant" ? this.form.value : undefined
  }
}

/** A constant, rounded to float32. */
export const constant = (value: number): Expression =>
  new Expression({ kind: "constant", value: Math.fround(argument(value, aNumber, "Neuron")) })

/** The result of an operation on constants, which may be NaN. */
const folded = (value: number): Expression => new Expression({ kind: "constant", value: Math.fround(value) })

/** An external value with a name. */
export const leaf = (name: string): Expression =>
  new Expression({ kind: "leaf", name: argument(name, aString, "Expressions.leaf") })

/** Converts a number to a constant; returns an expression unchanged. */
export const of = (value: Value): Expression =>
  typeof value === "number" ? constant(value) : argument(value, anExpression, "Neuron")

const anExpression: Kind = ["an expression or a number", (value) => value instanceof Expression]

/** The definition of each unary operation, rounded to float32. */
export const unaryFunctions: { readonly [O in UnaryOp]: (a: number) => number } = {
  negate: (a) => -a,
  absolute: Math.abs,
  exp: (a) => Math.fround(Math.exp(a)),
  log: (a) => Math.fround(Math.log(a)),
  sqrt: (a) => Math.fround(Math.sqrt(a)),
  tanh: (a) => Math.fround(Math.tanh(a)),
  sigmoid: (a) => Math.fround(1 / (1 + Math.exp(-a))),
  atan: (a) => Math.fround(Math.atan(a)),
}

/** The definition of each binary operation, rounded to float32. */
export const binaryFunctions: { readonly [O in BinaryOp]: (a: number, b: number) => number } = {
  add: (a, b) => Math.fround(a + b),
  subtract: (a, b) => Math.fround(a - b),
  multiply: (a, b) => Math.fround(a * b),
  divide: (a, b) => Math.fround(a / b),
  minimum: Math.min,
  maximum: Math.max,
  atLeast: (a, b) => (a >= b ? 1 : 0),
  greater: (a, b) => (a > b ? 1 : 0),
}

/** A unary operation. Folds constants. */
export const unary = (op: UnaryOp, a: Expression): Expression => {
  if (a.constant !== undefined) return folded(unaryFunctions[op](a.constant))
  if (op === "negate" && a.form.kind === "unary" && a.form.op === "negate") return a.form.a
  return new Expression({ kind: "unary", op, a })
}

type Negated = Expression & { readonly form: { readonly kind: "unary"; readonly a: Expression } }

const isNegated = (a: Expression): a is Negated => a.form.kind === "unary" && a.form.op === "negate"

/** A binary operation, simplified if that changes no bit of a finite result except the sign of a zero. */
export const binary = (op: BinaryOp, a: Expression, b: Expression): Expression => {
  const [x, y] = [a.constant, b.constant]
  if (x !== undefined && y !== undefined) return folded(binaryFunctions[op](x, y))
  switch (op) {
    case "add":
      if (x === 0) return b
      if (y === 0) return a
      if (isNegated(b)) return binary("subtract", a, b.form.a)
      if (isNegated(a)) return binary("subtract", b, a.form.a)
      break
    case "subtract":
      if (isNegated(b)) return binary("add", a, b.form.a)
      if (y === 0) return a
      if (x === 0) return unary("negate", b)
      break
    case "multiply":
      if (x === 0 || y === 0) return constant(0)
      if (x === 1) return b
      if (y === 1) return a
      if (x === -1) return unary("negate", b)
      if (y === -1) return unary("negate", a)
      break
    case "divide":
      if (x === 0) return constant(0)
      if (y === 1) return a
      break
    case "atLeast":
    case "greater":
      // Compares the two values directly: the sign of a difference is exact only with subnormal numbers, which some
      // hardware flushes to 0.
      if (y === 0 && a.form.kind === "binary" && a.form.op === "subtract")
        return new Expression({ kind: "binary", op, a: a.form.a, b: a.form.b })
      break
    default:
  }
  return new Expression({ kind: "binary", op, a, b })
}

/** |a| */
export const absolute = (a: Value): Expression => unary("absolute", of(a))
/** eᵃ */
export const exp = (a: Value): Expression => unary("exp", of(a))
/** The natural logarithm of a. */
export const log = (a: Value): Expression => unary("log", of(a))
/** √a */
export const sqrt = (a: Value): Expression => unary("sqrt", of(a))
/** The hyperbolic tangent of a. */
export const tanh = (a: Value): Expression => unary("tanh", of(a))
/** σ(a) = 1/(1 + e⁻ᵃ) */
export const sigmoid = (a: Value): Expression => unary("sigmoid", of(a))
/** The arctangent of a, in radians. */
export const atan = (a: Value): Expression => unary("atan", of(a))
/** The smaller of a and b. */
export const minimum = (a: Value, b: Value): Expression => binary("minimum", of(a), of(b))
/** The larger of a and b. */
export const maximum = (a: Value, b: Value): Expression => binary("maximum", of(a), of(b))

/** `a` if the condition is not 0, else `b`. No gradient flows through the condition. */
export const select = (condition: Value, a: Value, b: Value): Expression => {
  const [chosen, one, other] = [of(condition), of(a), of(b)]
  if (chosen.constant !== undefined) return chosen.constant !== 0 ? one : other
  if (one === other || (one.constant !== undefined && one.constant === other.constant)) return one
  return new Expression({ kind: "select", condition: chosen, a: one, b: other })
}

/**
 * A surrogate gradient (Neftci et al., IEEE Signal Processing Magazine 2019). The slope g(z) replaces the derivative of
 * the step function [z ≥ 0] with which a neuron fires; z is the membrane potential minus the threshold. The primitive
 * G, with G′ = g and G(0) = 1/2, replaces the step function itself in smooth mode, so that gradients can be checked
 * against finite differences.
 */
export interface SurrogateExpression {
  readonly slope: (z: Expression) => Expression
  readonly primitive: (z: Expression) => Expression
}

/** A spike, [z ≥ 0], whose derivative is the surrogate's. */
export const fire = (z: Expression, surrogate: SurrogateExpression): Expression =>
  new Expression({ kind: "fire", z: of(z), slope: of(surrogate?.slope?.(z)), primitive: of(surrogate.primitive?.(z)) })

/** A value whose gradient flows only if the policy does not cut the temporal edge `edge`. */
export const route = (edge: string, a: Value): Expression => {
  const value = of(a)
  return value.constant === undefined ? new Expression({ kind: "route", edge, a: value }) : value
}

/** The operands of an expression's operation, in order. */
export const operandsOf = ({ form }: Expression): ReadonlyArray<Expression> => {
  switch (form.kind) {
    case "constant":
    case "leaf":
      return []
    case "unary":
    case "route":
      return [form.a]
    case "binary":
      return [form.a, form.b]
    case "select":
      return [form.condition, form.a, form.b]
    case "fire":
      return [form.z, form.slope, form.primitive]
    default:
      return form satisfies never
  }
}

/**
 * Rebuilds expressions bottom-up. `replace` may return a replacement for an expression; it receives the original and
 * its rebuilt operands.
 */
export const rewrite = (
  roots: ReadonlyArray<Expression>,
  replace: (original: Expression, operands: ReadonlyArray<Expression>) => Expression | undefined,
): ReadonlyArray<Expression> => {
  const known = new Map<Expression, Expression>()
  const visit = (expression: Expression): Expression => {
    const found = known.get(expression)
    if (found) return found
    const operands = operandsOf(expression).map(visit)
    const result = replace(expression, operands) ?? withOperands(expression, operands)
    known.set(expression, result)
    return result
  }
  return roots.map(visit)
}

const withOperands = (expression: Expression, operands: ReadonlyArray<Expression>): Expression => {
  const { form } = expression
  const [a, b, c] = operands as [Expression, Expression, Expression]
  switch (form.kind) {
    case "constant":
    case "leaf":
      return expression
    case "unary":
      return unary(form.op, a)
    case "binary":
      return binary(form.op, a, b)
    case "select":
      return select(a, b, c)
    case "route":
      return route(form.edge, a)
    case "fire":
      return new Expression({ kind: "fire", z: a, slope: b, primitive: c })
    default:
      return form satisfies never
  }
}
