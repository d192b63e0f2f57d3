/** Builds graphs from layers. */
import { Effect } from "effect"
import { GraphError } from "../errors.ts"
import { isOp, type ValueType } from "../op.ts"
import { mustExist, type Shape } from "../shape.ts"
import { quote } from "../text.ts"
import { asTensor, type Draft, Tensor } from "./builder.ts"
import { typesOf } from "./check.ts"
import { type Graph, inputName } from "./graph.ts"

/** A layer, or a function from tensor to several named read-outs. */
export type Network = (x: Tensor) => Tensor | Readonly<Record<string, Tensor>>

/** The entries of a plain object, in order; empty for any other value. */
const readoutsOf = (made: unknown): ReadonlyArray<readonly [name: string, tensor: unknown]> =>
  made !== null && typeof made === "object" && Object.getPrototypeOf(made) === Object.prototype
    ? Object.entries(made)
    : []

/**
 * Builds a graph for samples of `shape`. A network with several read-outs returns them by name; the first becomes `output`.
 *
 * @throws GraphError for incompatible shapes, duplicate names or options out of range
 * @example
 * const both = Graph.makeUnsafe([8], (x) => {
 *   const features = x.pipe(linear({ features: 32 }), lif())
 *   return { class: features.pipe(linear({ features: 10 })), angle: features.pipe(linear({ features: 1 })) }
 * })
 */
export const makeUnsafe = (shape: Shape, network: Network): Graph => {
  const fail = (reason: string): never => {
    throw new GraphError({ node: inputName, reason })
  }
  if (!Array.isArray(shape) || shape.length === 0)
    fail(`the input's shape is ${quote(shape)}; it must be a list of extents, such as [28, 28, 1]`)
  mustExist("the input", shape, fail)
  const type: ValueType = { shape, elements: "float32", batched: true }
  const draft: Draft = { parameters: [], nodes: [], types: new Map([[inputName, type]]), ops: new Set() }
  const x = new Tensor(draft, "", inputName, type)
  const made = typeof network === "function" ? network(x) : network
  const readouts = readoutsOf(made)
  const [, first = made] = readouts[0] ?? []
  const { name } = asTensor(first, network, x)
  if (name === inputName) fail("the network has no layer")
  for (const op of draft.ops)
    if (!isOp(op)) fail(`${quote(op.name)} is not an op of the library; build the network from its layers`)
  const outputs = Object.fromEntries(readouts.map(([own, each]) => [own, asTensor(each, network, x).name]))
  const graph = {
    ...{ input: shape, parameters: draft.parameters, nodes: draft.nodes, output: name },
    ...(readouts.length > 0 && { outputs }),
  }
  return { ...graph, types: typesOf(graph) }
}

/** Builds a graph for samples of `shape`. Fails with a GraphError where {@link makeUnsafe} throws. */
export const make = (shape: Shape, network: Network): Effect.Effect<Graph, GraphError> =>
  tryGraph(() => makeUnsafe(shape, network))

/** Returns a thrown GraphError as a failure; any other exception stays a defect. */
export const tryGraph = <A>(build: () => A): Effect.Effect<A, GraphError> =>
  Effect.try({
    try: build,
    catch: (error) => {
      if (error instanceof GraphError) return error
      throw error
    },
  })
