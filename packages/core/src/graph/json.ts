/** The JSON form of a graph. Reading it checks everything that building does. */
import { Effect, Schema } from "effect"
import { GraphError } from "../errors.ts"
import type { ValueType } from "../op.ts"
import { ops } from "../ops/index.ts"
import { infer } from "./builder.ts"
import { type Graph, inputName } from "./graph.ts"

/** A graph as JSON; `version` is that of the form. */
export interface GraphJson extends Omit<Graph, "types"> {
  readonly version: 1
}

const Extents = Schema.Array(Schema.Int.check(Schema.isGreaterThan(0)))

const InitializerSchema = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("constant"), value: Schema.Finite }),
  Schema.Struct({ kind: Schema.Literal("uniform"), bound: Schema.Finite }),
  Schema.Struct({ kind: Schema.Literal("normal"), standardDeviation: Schema.Finite }),
])

export const GraphSchema: Schema.Codec<GraphJson> = Schema.Struct({
  version: Schema.Literal(1),
  input: Extents,
  parameters: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      shape: Extents,
      initializer: InitializerSchema,
      role: Schema.Literals(["weight", "statistic"]),
    }),
  ),
  nodes: Schema.Array(
    Schema.Struct({
      name: Schema.String,
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

/** A graph from JSON. Fails with the node at fault where names or shapes do not fit. */
export const fromJson = (json: unknown): Effect.Effect<Graph, GraphError> =>
  Effect.gen(function* () {
    const form = yield* Schema.decodeUnknownEffect(GraphSchema)(json).pipe(
      Effect.mapError((error) => new GraphError({ node: "graph", reason: String(error) })),
    )
    const types = new Map<string, ValueType>([[inputName, { shape: form.input, elements: "float32", batched: true }]])
    const define = (name: string, type: ValueType) =>
      types.has(name)
        ? Effect.fail(new GraphError({ node: name, reason: "the name is used twice" }))
        : Effect.sync(() => types.set(name, type))
    for (const { name, shape } of form.parameters) yield* define(name, { shape, elements: "float32", batched: false })
    for (const { name, op: opName, attributes, inputs } of form.nodes) {
      const op = ops.get(opName)
      if (op === undefined) return yield* new GraphError({ node: name, reason: `there is no op ${opName}` })
      const missing = inputs.find((input) => !types.has(input))
      if (missing !== undefined)
        return yield* new GraphError({ node: name, reason: `its input ${missing} does not stand before it` })
      const type = yield* Effect.try({
        try: () =>
          infer(
            name,
            op,
            attributes,
            inputs.map((input) => types.get(input) as ValueType),
          ),
        catch: (error) => (error instanceof GraphError ? error : new GraphError({ node: name, reason: String(error) })),
      })
      yield* define(name, type)
    }
    if (!form.nodes.some(({ name }) => name === form.output))
      return yield* new GraphError({ node: form.output, reason: "the output is no node of the graph" })
    const { version: _, ...graph } = form
    return { ...graph, types }
  })
