/**
 * Derivatives that travel forward with the steps (forward mode; over time: Williams & Zipser, 1989): how what a cell stores and what it
 * gives change with an input or a parameter that changes alike at every step. With the step h[t] = f(h[t−1], x[t]), y[t] = g(h[t−1], x[t]):
 *
 *     ḣ[t] = ∂f/∂h·ḣ[t−1] + ∂f/∂x,    ẏ[t] = ∂g/∂h·ḣ[t−1] + ∂g/∂x,    ḣ = 0 before the first step
 */
import { type Cell, unfold } from "./cell.ts"
import { differentiate } from "./differentiate.ts"
import { type Expression, of } from "./expression.ts"

export interface Tangents {
  /** ḣ of each plane that the step stores. */
  readonly stored: ReadonlyArray<Expression>
  /** ẏ. */
  readonly output: Expression
}

/** The derivatives of expressions by leaves; 0 for a leaf that is not there. */
const derivatives = (roots: ReadonlyArray<Expression>, isCut: (edge: string) => boolean) =>
  roots.map((root) => {
    const by = differentiate([[root, of(1)]], isCut)
    return (name: string): Expression => by.get(name) ?? of(0)
  })

const sum = (terms: ReadonlyArray<Expression>): Expression => terms.reduce((total, term) => total.plus(term), of(0))

/**
 * Tangents as expressions of the cell's leaves and of ḣ before the step.
 *
 * @param direction the leaf that changes: `x0` … or `p0` …
 * @param carried ḣ of each plane that the step before stored
 * @param isCut edges that carry no derivative
 */
export const tangents = (
  cell: Cell,
  direction: string,
  carried: ReadonlyArray<Expression>,
  isCut: (edge: string) => boolean,
): Tangents => {
  const { stored, before, output } = unfold(cell)
  const states = derivatives(before, isCut).map((by, k) =>
    isCut(cell.states[k] as string)
      ? of(0)
      : sum([...carried.map((tangent, l) => by(`before.${l}`).times(tangent)), by(direction)]),
  )
  const [byOutput, ...byStored] = derivatives([output, ...stored], isCut)
  const tangent = (by: (name: string) => Expression) =>
    sum([...states.map((state, k) => by(`s.${k}`).times(state)), by(direction)])
  return { output: tangent(byOutput as (name: string) => Expression), stored: byStored.map(tangent) }
}
