/** The JSON form of a graph. Reading it checks all that building does. */
import { Effect, Schema } from "effect"
import { describeFault, GraphError } from "../errors.ts"
import { faultIn, oneOf, whole } from "../options.ts"
import { typesOf } from "./check.ts"
import { type Graph, InitializerSchema, Name } from "./graph.ts"
import { tryGraph } from "./make.ts"

/** A graph as JSON; `version` is that of the form. */
export interface GraphJson extends Omit<Graph, "types"> {
  readonly version: 1
}

const Extents = Schema.Array(whole(1))

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
})

/** A graph as JSON. */
export const toJson = ({ input, parameters, nodes, output }: Graph): GraphJson => ({
  version: 1,
  input,
  parameters,
  nodes,
  output,
})

/** A graph from JSON. Fails at the first parameter or node that does not fit. */
export const fromJson = (json: unknown): Effect.Effect<Graph, GraphError> =>
  Effect.suspend(() => {
    const fault = faultIn(GraphSchema as Schema.Codec<unknown>, json)
    if (fault) return Effect.fail(new GraphError({ node: "graph", reason: describeFault(fault) }))
    const { version: _, ...graph } = json as GraphJson
    return tryGraph(() => ({ ...graph, types: typesOf(graph) }))
  })
