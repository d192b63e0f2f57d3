/**
 * Forward-mode differentiation over time (real-time recurrent learning: Williams & Zipser, 1989): how a cell's stored
 * values and its output change with an input or a parameter. For a step h[t] = f(h[t−1], x[t]), y[t] = g(h[t−1], x[t])
 * with stored values h:
 *
 *     ḣ[t] = A[t]·ḣ[t−1] + c[t],    ẏ[t] = o[t]·ḣ[t−1] + d[t],    ḣ = 0 before the first step
 *
 * with A = ∂f/∂h, c = ∂f/∂x, o = ∂g/∂h, d = ∂g/∂x.
 */
import { type Cell, unfold } from "./cell.ts"
import { differentiate } from "./differentiate.ts"
import { type Expression, of } from "./expression.ts"

/** The derivatives of one value: with respect to each value that the previous step stored, and to the varied leaf. */
export interface Derivative {
  readonly byStored: ReadonlyArray<Expression>
  readonly direct: Expression
}

/** The derivatives of a step. */
export interface Linearized {
  readonly stored: ReadonlyArray<Derivative>
  readonly output: Derivative
}

const sum = (terms: ReadonlyArray<Expression>): Expression => terms.reduce((total, term) => total.plus(term), of(0))

/**
 * The derivatives of a step, as expressions of the cell's leaves.
 *
 * @param direction the leaf to differentiate with respect to: `x0` … or `p0` …
 * @param isCut edges that carry no derivative
 */
export const linearize = (cell: Cell, direction: string, isCut: (edge: string) => boolean): Linearized => {
  const { stored, before, output } = unfold(cell)
  /** The derivative of an expression with respect to each leaf. */
  const by = (root: Expression) => {
    const gradients = differentiate([[root, of(1)]], isCut)
    return (name: string): Expression => gradients.get(name) ?? of(0)
  }
  const states = before.map((state, k) => (isCut(cell.states[k] as string) ? () => of(0) : by(state)))
  const derivative = (root: Expression): Derivative => {
    const byLeaf = by(root)
    const through = (name: string) => sum(states.map((state, k) => byLeaf(`s.${k}`).times(state(name))))
    return {
      byStored: stored.map((_, l) => through(`before.${l}`)),
      direct: through(direction).plus(byLeaf(direction)),
    }
  }
  return { stored: stored.map(derivative), output: derivative(output) }
}

/** The derivative of a value, given the derivatives of the stored values. */
export const changed = ({ byStored, direct }: Derivative, carried: ReadonlyArray<Expression>): Expression =>
  sum([...byStored.map((slope, l) => slope.times(carried[l] as Expression)), direct])
