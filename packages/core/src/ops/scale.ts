/** Multiplication by a constant: y = factor·x. */
import { Schema } from "effect"
import { type Layer, leaf, node } from "../graph/builder.ts"
import { elementwise, make as kernel, type Reference } from "../kernel.ts"
import { make, sameShape } from "../op.ts"
import { Float32 } from "../options.ts"
import { size } from "../shape.ts"

export interface ScaleAttributes {
  readonly factor: number
}

export const ScaleSchema: Schema.Codec<ScaleAttributes> = Schema.Struct({ factor: Float32 })

export const scaleForward = kernel<ScaleAttributes>()({
  name: "scale.forward",
  operands: { x: "read", y: "write" },
})

export const scaleForwardReference: Reference<typeof scaleForward> = {
  cost: ({ y }) => elementwise(size(y.shape), 1, 0),
  run: ({ x, y }, { factor }) => {
    for (let i = 0; i < y.data.length; i++) y.data[i] = factor * x.data[i]!
  },
}

export const scaleBackward = kernel<ScaleAttributes>()({
  name: "scale.backward",
  operands: { outputGradient: "read", inputGradient: "gradient" },
})

export const scaleBackwardReference: Reference<typeof scaleBackward> = {
  cost: ({ outputGradient }) => elementwise(size(outputGradient.shape), 1, 1),
  run: ({ outputGradient, inputGradient }, { factor }) => {
    for (let i = 0; i < outputGradient.data.length; i++) inputGradient.data[i]! += factor * outputGradient.data[i]!
  },
}

export const scaleOp = make<ScaleAttributes>({
  name: "scale",
  attributes: ScaleSchema,
  inputs: ["value"],
  infer: sameShape,
  recompute: "cheap",
  forward: ({ emit, input, output, attributes }) => emit(scaleForward, { x: input(0), y: output }, { ...attributes }),
  backward: ({ emit, outputGradient, gradient, attributes }) => {
    const inputGradient = outputGradient && gradient(0)
    if (inputGradient) emit(scaleBackward, { outputGradient, inputGradient }, { ...attributes })
  },
})

/** Multiplies by a constant. */
export const scale = (factor: number): Layer =>
  leaf("scale", ScaleSchema, { factor }, (x, name, options) => node(x, name, scaleOp, options, [x]))
