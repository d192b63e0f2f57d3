/** Multiplication by a constant: y = factor·x. */
import { Schema } from "effect"
import { type Layer, leaf, node } from "../graph/builder.ts"
import { Float32 } from "../options.ts"
import { expressed } from "./elementwise.ts"

/** Attributes of a scale node. */
export interface ScaleAttributes {
  readonly factor: number
}

/** The Schema of the options of {@link scale}. */
export const ScaleSchema: Schema.Codec<ScaleAttributes> = Schema.Struct({ factor: Float32 })

export const scaleOp = expressed<ScaleAttributes>({
  name: "scale",
  attributes: ScaleSchema,
  inputs: ["value"],
  recompute: "cheap",
  body: ([x], { factor }) => x!.times(factor),
})

/** Multiplies by a constant: y = factor·x. */
export const scale = (factor: number): Layer =>
  leaf("scale", ScaleSchema, { factor }, (x, name, options) => node(x, name, scaleOp, options, [x]))
