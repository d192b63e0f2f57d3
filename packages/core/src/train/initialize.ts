import type { Graph, Initializer } from "../graph/graph.ts"
import * as Key from "../random.ts"
import { size } from "../shape.ts"

const fill = (initializer: Initializer, key: Key.Key, values: Float32Array): Float32Array => {
  switch (initializer.kind) {
    case "constant":
      return values.fill(initializer.value)
    case "uniform":
      return Key.uniform(key, values).map((u) => initializer.bound * (2 * u - 1))
    case "normal":
      return Key.normal(key, values).map((n) => initializer.standardDeviation * n)
    default:
      return initializer satisfies never
  }
}

/** First values of a graph's parameters, by name. A parameter's numbers depend on the key and its own name alone. */
export const initialize = (graph: Graph, key: Key.Key): ReadonlyMap<string, Float32Array> =>
  new Map(
    graph.parameters.map(({ name, shape, initializer }) => [
      name,
      fill(initializer, Key.fold(key, name), new Float32Array(size(shape))),
    ]),
  )
