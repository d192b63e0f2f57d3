/** Graphs from layers. */
import { Effect } from "effect"
import { GraphError, OptionError } from "../errors.ts"
import { isOp, type ValueType } from "../op.ts"
import { mustExist, type Shape } from "../shape.ts"
import { quote } from "../text.ts"
import { apply, type Draft, type Layer, Tensor } from "./builder.ts"
import { typesOf } from "./check.ts"
import { type Graph, inputName } from "./graph.ts"

/**
 * Builds a graph for samples of `shape`.
 *
 * @throws GraphError where shapes do not fit, names clash or options are out of range
 */
export const makeUnsafe = (shape: Shape, network: Layer): Graph => {
  const fail = (reason: string): never => {
    throw new GraphError({ node: inputName, reason })
  }
  if (!Array.isArray(shape) || shape.length === 0)
    fail(`the input's shape is ${quote(shape)}; it must be a list of extents, as [28, 28, 1]`)
  mustExist("the input", shape, fail)
  const type: ValueType = { shape, elements: "float32", batched: true }
  const draft: Draft = { parameters: [], nodes: [], types: new Map([[inputName, type]]), ops: new Set() }
  const { name } = apply(network, new Tensor(draft, "", inputName, type))
  if (name === inputName) fail("the network has no layer")
  for (const op of draft.ops)
    if (!isOp(op)) fail(`${quote(op.name)} is no op of the library; build the network of its layers`)
  const graph = { input: shape, parameters: draft.parameters, nodes: draft.nodes, output: name }
  return { ...graph, types: typesOf(graph) }
}

/** Builds a graph for samples of `shape`, with errors as values. */
export const make = (shape: Shape, network: Layer): Effect.Effect<Graph, GraphError> =>
  tryGraph(() => makeUnsafe(shape, network))

/** What building throws as a value; a fault of other code stays a defect. */
export const tryGraph = <A>(build: () => A): Effect.Effect<A, GraphError> =>
  Effect.try({
    try: build,
    catch: (error) => {
      if (error instanceof GraphError) return error
      if (error instanceof OptionError) return new GraphError({ node: inputName, reason: error.message })
      throw error
    },
  })
