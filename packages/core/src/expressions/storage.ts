/**
 * What a neuron stores between time steps.
 *
 * The next step needs the new states; the backward direction needs values of the forward direction. Often, both can be
 * computed from fewer values: for a LIF neuron, the potential before the reset determines the spike and the potential
 * after the reset. So the smallest set of values that determines all new states is stored: a minimum vertex cut between
 * the step's inputs and its new states (Ford & Fulkerson, 1956). Among minimum cuts, the one nearest the inputs is
 * chosen, because most other values can be computed from it.
 */
import { type Expression, operandsOf } from "./expression.ts"

/**
 * Expressions from which, together with the parameters, all new states can be computed; at most one per state.
 *
 * @param states the new states
 * @param varies whether a leaf changes over time
 */
export const storedOf = (
  states: ReadonlyArray<Expression>,
  varies: (leaf: string) => boolean,
): ReadonlyArray<Expression> => {
  const known = new Map<Expression, boolean>()
  const isVarying = (expression: Expression): boolean => {
    let result = known.get(expression)
    if (result === undefined) {
      const { form } = expression
      const operands = operandsOf(expression).filter((operand) => isVarying(operand))
      result = form.kind === "leaf" ? varies(form.name) : operands.length > 0
      known.set(expression, result)
    }
    return result
  }
  states.forEach(isVarying)
  const vertices = [...known].filter(([, varying]) => varying).map(([expression]) => expression)
  const number = new Map(vertices.map((vertex, i) => [vertex, i]))

  // Every vertex is split into an entry and an exit, connected with capacity 1; source and sink come last.
  const count = vertices.length
  const [source, sink, size] = [2 * count, 2 * count + 1, 2 * count + 2]
  const residual = Array.from({ length: size }, () => new Float64Array(size))
  const connect = (from: number, to: number, capacity: number) => {
    residual[from]![to] = capacity
  }
  vertices.forEach((vertex, i) => {
    connect(2 * i, 2 * i + 1, 1)
    if (vertex.form.kind === "leaf") connect(source, 2 * i, Number.POSITIVE_INFINITY)
    for (const operand of operandsOf(vertex)) {
      const from = number.get(operand)
      if (from !== undefined) connect(2 * from + 1, 2 * i, Number.POSITIVE_INFINITY)
    }
  })
  for (const state of states) {
    const i = number.get(state)
    if (i !== undefined) connect(2 * i + 1, sink, Number.POSITIVE_INFINITY)
  }

  for (;;) {
    const from = new Map<number, number>([[source, source]])
    const queue = [source]
    for (const at of queue)
      residual[at]!.forEach((capacity, to) => {
        if (capacity <= 0 || from.has(to)) return
        from.set(to, at)
        queue.push(to)
      })
    if (!from.has(sink)) return vertices.filter((_, i) => from.has(2 * i) && !from.has(2 * i + 1))
    for (let to = sink; to !== source; to = from.get(to) as number) {
      const at = from.get(to) as number
      residual[at]![to]! -= 1
      residual[to]![at]! += 1
    }
  }
}
