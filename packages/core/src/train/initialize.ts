import { aGraph, argument } from "../arguments.ts"
import type { Graph, Initializer, Parameter } from "../graph/graph.ts"
import * as Key from "../random.ts"
import { size } from "../shape.ts"

const apply = (values: Float32Array, value: (drawn: number) => number): Float32Array => {
  for (let i = 0; i < values.length; i++) values[i] = value(values[i] as number)
  return values
}

const fill = (initializer: Initializer, key: Key.Key, values: Float32Array): Float32Array => {
  switch (initializer.kind) {
    case "constant":
      return values.fill(initializer.value)
    case "uniform":
      return apply(Key.uniform(key, values), (u) => initializer.bound * (2 * u - 1))
    case "normal":
      return apply(Key.normal(key, values), (n) => initializer.standardDeviation * n)
    case "values":
      values.set(initializer.values)
      return values
    default:
      return initializer satisfies never
  }
}

/** Writes the initial values of one parameter to `out`. They depend only on the key and the parameter's name. */
export const initialValues = ({ name, initializer }: Parameter, key: Key.Key, out: Float32Array): Float32Array =>
  fill(initializer, Key.fold(key, name), out)

/**
 * The initial values of a graph's parameters, by name.
 *
 * @example
 * const weights = Train.initialize(graph, Key.make(1))
 */
export const initialize = (graph: Graph, key: Key.Key): ReadonlyMap<string, Float32Array> =>
  new Map(
    argument(graph, aGraph, "Train.initialize").parameters.map((parameter) => [
      parameter.name,
      initialValues(parameter, key, new Float32Array(size(parameter.shape))),
    ]),
  )
