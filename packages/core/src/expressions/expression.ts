/**
 * Expressions: elementwise mathematics over float32, written once for every backend.
 *
 * An expression is an immutable graph of operations on the values of one element. Everything else is derived from it: its cost,
 * its reverse-mode derivative ({@link ./differentiate.ts}), the values that a neuron stores between time steps
 * ({@link ./storage.ts}), the code that backends interpret or print ({@link ./code.ts}). Every operation rounds to float32, and
 * backends keep their order and contract none of them, because rounding decides which neurons fire.
 *
 * @example
 * const twice = Neuron.constant(2)
 * const softplus = elementwise("softplus", (x) => Neuron.log(Neuron.exp(x.times(twice)).plus(1)).dividedBy(twice))
 */
import { aNumber, argument, aString, type Kind } from "../arguments.ts"

/** Operations of one operand. */
export const unaryOps = ["negate", "absolute", "exp", "log", "sqrt", "tanh", "sigmoid", "atan"] as const
/** Operations of two operands. Comparisons give 1 where they hold and 0 elsewhere. */
export const binaryOps = ["add", "subtract", "multiply", "divide", "minimum", "maximum", "atLeast", "greater"] as const

export type UnaryOp = (typeof unaryOps)[number]
export type BinaryOp = (typeof binaryOps)[number]

/** An expression or a number, which stands for a constant. */
export type Value = Expression | number

type Form =
  | { readonly kind: "constant"; readonly value: number }
  /** A value that is given: an input, a parameter, a state before the step, a gradient. */
  | { readonly kind: "leaf"; readonly name: string }
  | { readonly kind: "unary"; readonly op: UnaryOp; readonly a: Expression }
  | { readonly kind: "binary"; readonly op: BinaryOp; readonly a: Expression; readonly b: Expression }
  | { readonly kind: "select"; readonly condition: Expression; readonly a: Expression; readonly b: Expression }
  /** [z ≥ 0] forward, `slope` = g(z) in its derivative; `primitive` = G(z) in the smooth mode. */
  | { readonly kind: "fire"; readonly z: Expression; readonly slope: Expression; readonly primitive: Expression }
  /** `a` forward; a constant in the derivative where the policy cuts the temporal edge `edge`. */
  | { readonly kind: "route"; readonly edge: string; readonly a: Expression }

/** A value of one element. Immutable; methods give new expressions, simplified where that changes no bit of a finite result. */
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
  /** 1 where this is at least the other, else 0. */
  atLeast(other: Value): Expression {
    return binary("atLeast", this, of(other))
  }
  /** 1 where this is greater than the other, else 0. */
  greaterThan(other: Value): Expression {
    return binary("greater", this, of(other))
  }

  /** The value of a constant. */
  get constant(): number | undefined {
    return this.form.kind === "constant" ? this.form.value : undefined
  }
}

/** A constant, in float32. */
export const constant = (value: number): Expression =>
  new Expression({ kind: "constant", value: Math.fround(argument(value, aNumber, "Neuron")) })

/** The result of an operation on constants, which may be NaN. */
const folded = (value: number): Expression => new Expression({ kind: "constant", value: Math.fround(value) })

/** A value that is given by name. */
export const leaf = (name: string): Expression =>
  new Expression({ kind: "leaf", name: argument(name, aString, "Expressions.leaf") })

/** An expression, of a number too. */
export const of = (value: Value): Expression =>
  typeof value === "number" ? constant(value) : argument(value, anExpression, "Neuron")

const anExpression: Kind = ["an expression or a number", (value) => value instanceof Expression]

/** Each operation as a function of numbers that rounds to float32: what the operation means. */
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

/** An operation of one operand, folded where it is a constant. */
export const unary = (op: UnaryOp, a: Expression): Expression => {
  if (a.constant !== undefined) return folded(unaryFunctions[op](a.constant))
  if (op === "negate" && a.form.kind === "unary" && a.form.op === "negate") return a.form.a
  return new Expression({ kind: "unary", op, a })
}

type Negated = Expression & { readonly form: { readonly kind: "unary"; readonly a: Expression } }

const isNegated = (a: Expression): a is Negated => a.form.kind === "unary" && a.form.op === "negate"

/** An operation of two operands, simplified where that changes no bit of a finite result but the sign of a zero. */
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
      // The sign of a difference is exact where subnormal numbers are kept, and not all hardware keeps them.
      if (y === 0 && a.form.kind === "binary" && a.form.op === "subtract")
        return new Expression({ kind: "binary", op, a: a.form.a, b: a.form.b })
      break
    default:
  }
  return new Expression({ kind: "binary", op, a, b })
}

export const absolute = (a: Value): Expression => unary("absolute", of(a))
export const exp = (a: Value): Expression => unary("exp", of(a))
export const log = (a: Value): Expression => unary("log", of(a))
export const sqrt = (a: Value): Expression => unary("sqrt", of(a))
export const tanh = (a: Value): Expression => unary("tanh", of(a))
/** σ(a) = 1/(1 + e⁻ᵃ) */
export const sigmoid = (a: Value): Expression => unary("sigmoid", of(a))
export const atan = (a: Value): Expression => unary("atan", of(a))
export const minimum = (a: Value, b: Value): Expression => binary("minimum", of(a), of(b))
export const maximum = (a: Value, b: Value): Expression => binary("maximum", of(a), of(b))

/** `a` where the condition is not 0, else `b`. No gradient flows through the condition. */
export const select = (condition: Value, a: Value, b: Value): Expression => {
  const [chosen, one, other] = [of(condition), of(a), of(b)]
  if (chosen.constant !== undefined) return chosen.constant !== 0 ? one : other
  if (one === other || (one.constant !== undefined && one.constant === other.constant)) return one
  return new Expression({ kind: "select", condition: chosen, a: one, b: other })
}

/**
 * A surrogate gradient: the slope g that stands in for the derivative of the step with which a neuron fires (Neftci et al., IEEE
 * Signal Processing Magazine 2019), and its primitive G, G′ = g and G(0) = 1/2, which the smooth mode fires in place of the step,
 * so that gradients can be held against finite differences. z is the membrane potential above the threshold.
 */
export interface SurrogateExpression {
  readonly slope: (z: Expression) => Expression
  readonly primitive: (z: Expression) => Expression
}

/** A spike, [z ≥ 0], whose derivative is the surrogate's. */
export const fire = (z: Expression, surrogate: SurrogateExpression): Expression =>
  new Expression({ kind: "fire", z: of(z), slope: of(surrogate?.slope?.(z)), primitive: of(surrogate.primitive?.(z)) })

/** A value whose gradient flows only where the policy leaves the temporal edge `edge` uncut. */
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

/** Rebuilds expressions from their leaves on; `replace` may put another expression in the place of any, of one with new operands. */
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
