/**
 * What a neuron stores from one time step to the next.
 *
 * The next step needs the new states, and the backward direction needs values of the forward one. Both often follow from fewer
 * values: of a LIF neuron the potential before the reset gives the spike and the potential after it. So the smallest set of values
 * is stored from which all new states follow: a minimum vertex cut between what a step is given and its new states (Ford &
 * Fulkerson, 1956), of all such sets the one nearest to what is given, because most else follows from that.
 */
import { type Expression, operandsOf } from "./expression.ts"

/**
 * Expressions from which, with the parameters, all new states can be computed: at most as many as there are states.
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

  // Every vertex has an entry and an exit, and between them room for one unit of flow; source and sink come last.
  const count = vertices.length
  const [source, sink, size] = [2 * count, 2 * count + 1, 2 * count + 2]
  const room = Array.from({ length: size }, () => new Float64Array(size))
  const connect = (from: number, to: number, capacity: number) => {
    room[from]![to] = capacity
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
      room[at]!.forEach((capacity, to) => {
        if (capacity <= 0 || from.has(to)) return
        from.set(to, at)
        queue.push(to)
      })
    if (!from.has(sink)) return vertices.filter((_, i) => from.has(2 * i) && !from.has(2 * i + 1))
    for (let to = sink; to !== source; to = from.get(to) as number) {
      const at = from.get(to) as number
      room[at]![to]! -= 1
      room[to]![at]! += 1
    }
  }
}
