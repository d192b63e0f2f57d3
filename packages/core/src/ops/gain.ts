/** Multiplication by one trainable number: y = g·x, with a parameter g of shape []. */
import { Schema } from "effect"
import { type Layer, leaf, NoOptions, node, parameter } from "../graph/builder.ts"
import { Name } from "../graph/graph.ts"
import { Float32 } from "../options.ts"
import { mustBe } from "../shape.ts"
import { expressed } from "./elementwise.ts"

export const gainOp = expressed({
  name: "gain",
  attributes: NoOptions,
  inputs: ["value", "parameter"],
  check: ([, gain], _, fail) => mustBe("gain", gain!.shape, [], fail),
  body: ([x, gain]) => x!.times(gain!),
})

/** Options of {@link gain}. */
export interface GainOptions {
  /** Name of the parameter below the current path. Default: the node's name followed by `.gain`. */
  readonly parameter?: string
  /** Initial value. Default 1. */
  readonly initial?: number
}

/** The Schema of {@link GainOptions}. */
export const GainSchema: Schema.Codec<GainOptions> = Schema.Struct({
  parameter: Schema.optionalKey(Name),
  initial: Schema.optionalKey(Float32),
})

/** Multiplies by a trainable number. */
export const gain = (options: GainOptions = {}): Layer =>
  leaf("gain", GainSchema, options, (x, name, { parameter: chosen, initial = 1 }) => {
    const own = chosen === undefined ? `${name}.gain` : x.path === "" ? chosen : `${x.path}.${chosen}`
    return node(x, name, gainOp, {}, [x, parameter(x, own, [], { kind: "constant", value: initial })])
  })
