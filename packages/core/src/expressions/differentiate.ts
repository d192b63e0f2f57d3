/** Reverse-mode differentiation of expressions (Linnainmaa, 1970): the derivative of an expression is an expression. */
import {
  type BinaryOp,
  constant,
  type Expression as E,
  type Expression,
  operandsOf,
  select,
  type UnaryOp,
} from "./expression.ts"

/** ∂a of a unary operation, from its operand a, its result y and the gradient ∂y. */
const unaryRules: { readonly [O in UnaryOp]: (gradient: E, a: E, y: E) => E } = {
  negate: (gradient) => gradient.negated(),
  absolute: (gradient, a) => gradient.times(select(a.atLeast(0), 1, -1)),
  exp: (gradient, _, y) => gradient.times(y),
  log: (gradient, a) => gradient.dividedBy(a),
  sqrt: (gradient, _, y) => gradient.dividedBy(y.times(2)),
  tanh: (gradient, _, y) => gradient.times(constant(1).minus(y.times(y))),
  sigmoid: (gradient, _, y) => gradient.times(y.times(constant(1).minus(y))),
  atan: (gradient, a) => gradient.dividedBy(a.times(a).plus(1)),
}

/** ∂a and ∂b of a binary operation. If the operands of a minimum or maximum are equal, b receives the gradient. */
const binaryRules: {
  readonly [O in BinaryOp]: ((gradient: E, a: E, b: E, y: E) => readonly [E, E]) | undefined
} = {
  add: (gradient) => [gradient, gradient],
  subtract: (gradient) => [gradient, gradient.negated()],
  multiply: (gradient, a, b) => [gradient.times(b), gradient.times(a)],
  divide: (gradient, _, b, y) => [gradient.dividedBy(b), gradient.times(y).dividedBy(b).negated()],
  minimum: (gradient, a, b) => [select(b.greaterThan(a), gradient, 0), select(b.greaterThan(a), 0, gradient)],
  maximum: (gradient, a, b) => [select(a.greaterThan(b), gradient, 0), select(a.greaterThan(b), 0, gradient)],
  // The derivative is 0 wherever it is defined.
  atLeast: undefined,
  greater: undefined,
}

/**
 * Gradients of leaves, by name. A leaf that no gradient reaches is absent.
 *
 * @param seeds expressions and the gradients that arrive at them
 * @param isCut whether the policy cuts a temporal edge
 */
export const differentiate = (
  seeds: ReadonlyArray<readonly [output: Expression, gradient: Expression]>,
  isCut: (edge: string) => boolean,
): ReadonlyMap<string, Expression> => {
  const gradients = new Map<Expression, Expression>()
  const add = (to: Expression, gradient: Expression): void => {
    if (gradient.constant === 0) return
    const there = gradients.get(to)
    gradients.set(to, there === undefined ? gradient : there.plus(gradient))
  }
  for (const [output, gradient] of seeds) add(output, gradient)
  const leaves = new Map<string, Expression>()
  for (const expression of executionOrder(seeds.map(([output]) => output)).toReversed()) {
    const gradient = gradients.get(expression)
    if (gradient === undefined) continue
    const { form } = expression
    switch (form.kind) {
      case "leaf":
        leaves.set(form.name, gradient)
        break
      case "unary":
        add(form.a, unaryRules[form.op](gradient, form.a, expression))
        break
      case "binary": {
        const both = binaryRules[form.op]?.(gradient, form.a, form.b, expression)
        if (both && form.a.constant === undefined) add(form.a, both[0])
        if (both && form.b.constant === undefined) add(form.b, both[1])
        break
      }
      case "select":
        add(form.a, select(form.condition, gradient, 0))
        add(form.b, select(form.condition, 0, gradient))
        break
      case "fire":
        add(form.z, gradient.times(form.slope))
        break
      case "route":
        if (!isCut(form.edge)) add(form.a, gradient)
        break
      default:
    }
  }
  return leaves
}

/** All expressions that gradient may flow through from the roots, operands first. */
const executionOrder = (roots: ReadonlyArray<Expression>): ReadonlyArray<Expression> => {
  const order = new Set<Expression>()
  const visit = (expression: Expression): void => {
    if (order.has(expression)) return
    const { form } = expression
    const operands = form.kind === "fire" ? [form.z] : operandsOf(expression)
    operands.forEach(visit)
    order.add(expression)
  }
  roots.forEach(visit)
  return [...order]
}
