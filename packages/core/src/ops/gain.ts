/** Multiplication by one learnable number: y = g·x, g a parameter of shape []. */
import { Schema } from "effect"
import { type Layer, leaf, NoOptions, node, parameter } from "../graph/builder.ts"
import { Name } from "../graph/graph.ts"
import { elementwise, make as kernel, type Reference } from "../kernel.ts"
import { make, sameShape } from "../op.ts"
import { Float32 } from "../options.ts"
import { mustBe, size } from "../shape.ts"

export const gainForward = kernel()({
  name: "gain.forward",
  operands: { x: "read", gain: "read", y: "write" },
})

export const gainForwardReference: Reference<typeof gainForward> = {
  cost: ({ y }) => elementwise(size(y.shape), 1, 0),
  run: ({ x, gain, y }) => {
    for (let i = 0; i < y.data.length; i++) y.data[i] = gain.data[0]! * x.data[i]!
  },
}

/** ∂x = g·∂y,  ∂g = Σ ∂y·x */
export const gainBackward = kernel()({
  name: "gain.backward",
  operands: {
    x: "read",
    gain: "read",
    outputGradient: "read",
    inputGradient: "gradient?",
    gainGradient: "gradient",
  },
})

export const gainBackwardReference: Reference<typeof gainBackward> = {
  cost: ({ x }) => elementwise(size(x.shape), 2, 2),
  run: ({ x, gain, outputGradient, inputGradient, gainGradient }) => {
    let sum = 0
    for (let i = 0; i < x.data.length; i++) sum += outputGradient.data[i]! * x.data[i]!
    gainGradient.data[0]! += sum
    if (inputGradient)
      for (let i = 0; i < x.data.length; i++) inputGradient.data[i]! += gain.data[0]! * outputGradient.data[i]!
  },
}

export const gainOp = make({
  name: "gain",
  attributes: NoOptions,
  inputs: ["value", "parameter"],
  infer: (inputs, _, fail) => {
    mustBe("gain", inputs[1]!.shape, [], fail)
    return sameShape(inputs)
  },
  forward: ({ emit, input, output }) => emit(gainForward, { x: input(0), gain: input(1), y: output }),
  backward: ({ emit, input, outputGradient, gradient, unwanted }) =>
    outputGradient &&
    emit(gainBackward, {
      x: input(0),
      gain: input(1),
      outputGradient,
      inputGradient: gradient(0),
      gainGradient: gradient(1) ?? unwanted(1),
    }),
})

export interface GainOptions {
  /** The parameter's name below the current path. Default: the node's name and `.gain`. */
  readonly parameter?: string
  /** Where it starts. Default 1. */
  readonly initial?: number
}

export const GainSchema: Schema.Codec<GainOptions> = Schema.Struct({
  parameter: Schema.optionalKey(Name),
  initial: Schema.optionalKey(Float32),
})

/** Multiplies by a learnable number. */
export const gain = (options: GainOptions = {}): Layer =>
  leaf("gain", GainSchema, options, (x, name, { parameter: chosen, initial = 1 }) => {
    const own = chosen === undefined ? `${name}.gain` : x.path === "" ? chosen : `${x.path}.${chosen}`
    return node(x, name, gainOp, {}, [x, parameter(x, own, [], { kind: "constant", value: initial })])
  })
