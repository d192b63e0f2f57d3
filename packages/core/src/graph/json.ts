/** The JSON form of a graph. Reading performs the same checks as building. */

import { Effect, Schema } from "effect"
import { aGraph, argument } from "../arguments.ts"
import { describeFault, GraphError } from "../errors.ts"
import type { AnyOp } from "../op.ts"
import { ops } from "../ops/index.ts"
import { faultIn, oneOf, whole } from "../options.ts"
import { quote } from "../text.ts"
import { typesOf } from "./check.ts"
import { type Graph, InitializerSchema, Name, type NodeData } from "./graph.ts"
import { tryGraph } from "./make.ts"
import { renewed } from "./older.ts"

/** A graph as JSON; `version` is the version of the format. */
export interface GraphJson extends Omit<Graph, "types" | "nodes"> {
  readonly nodes: ReadonlyArray<NodeData>
  readonly version: 1
}

const Extents = Schema.Array(whole(1))

/** The Schema of {@link GraphJson}. */
export const GraphSchema: Schema.Codec<GraphJson> = Schema.Struct({
  version: Schema.Literal(1),
  input: Schema.NonEmptyArray(whole(1)),
  parameters: Schema.Array(
    Schema.Struct({
      name: Name,
      shape: Extents,
      initializer: InitializerSchema,
      role: oneOf(["weight", "constant", "statistic"]),
    }),
  ),
  nodes: Schema.Array(
    Schema.Struct({
      name: Name,
      op: Schema.String,
      attributes: Schema.Record(Schema.String, Schema.Unknown),
      inputs: Schema.Array(Schema.String),
    }),
  ),
  output: Schema.String,
  outputs: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
})

/** Converts a graph to JSON. */
export const toJson = (graph: Graph): GraphJson => {
  const { input, parameters, nodes, output, outputs } = argument(graph, aGraph)
  const bare = nodes.map(({ rule: _, ...node }) => node)
  return { version: 1, input, parameters, nodes: bare, output, ...(outputs && { outputs }) }
}

const ruleOf = ({ name, op }: NodeData): AnyOp => {
  const rule = ops.get(op)
  if (rule === undefined) throw new GraphError({ node: name, reason: `there is no op ${quote(op)}` })
  return rule
}

/** Reads a graph from JSON. Fails with a GraphError at the first invalid parameter or node. */
export const fromJson = (json: unknown): Effect.Effect<Graph, GraphError> =>
  Effect.suspend(() => {
    const fault = faultIn(GraphSchema as Schema.Codec<unknown>, json)
    if (fault) return Effect.fail(new GraphError({ node: "graph", reason: describeFault(fault) }))
    const { version: _, nodes, ...given } = json as GraphJson
    return tryGraph(() => {
      const graph = { ...given, nodes: nodes.map(renewed).map((node) => ({ ...node, rule: ruleOf(node) })) }
      return { ...graph, types: typesOf(graph) }
    })
  })
