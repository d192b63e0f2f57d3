/**
 * Scaled weight standardisation (Brock et al., "Characterizing signal propagation to close the performance gap in unnormalized
 * ResNets", ICLR 2021), for each output channel o with a fan-in of n weights:
 *
 *     Ŵ[·, o] = gain[o] · (W[·, o] − mean) / √(variance · n + ε),   variance unbiased, ε = 10⁻⁴
 *
 * W [kernel, kernel, in/groups, out], gain [out] → Ŵ of the shape of W. It depends on parameters alone, so a program computes it
 * once per batch.
 */
import { Schema } from "effect"
import { type Layer, leaf, NoOptions, node, parameter } from "../graph/builder.ts"
import { normal, zeros } from "../initializers.ts"
import { elementwise, make as kernel, type Operand, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import { Float32 } from "../options.ts"
import { mustBe, size } from "../shape.ts"
import { type Conv2dOptions, Conv2dSchema, conv2dOp, convolutionParts, failAt } from "./conv2d.ts"
import { scaleOp } from "./scale.ts"

const epsilon = 1e-4

/** Mean and 1/√(variance·n + ε) of each output channel. */
const moments = (weight: Operand) => {
  const outputs = weight.shape.at(-1) as number
  const fanIn = weight.data.length / outputs
  return Array.from({ length: outputs }, (_, o) => {
    let sum = 0
    for (let i = o; i < weight.data.length; i += outputs) sum += weight.data[i]!
    const mean = sum / fanIn
    let squares = 0
    for (let i = o; i < weight.data.length; i += outputs) squares += (weight.data[i]! - mean) ** 2
    const variance = squares / Math.max(1, fanIn - 1)
    return { mean, scale: 1 / Math.sqrt(variance * fanIn + epsilon) }
  })
}

/** Ŵ = gain · (W − mean) · scale */
export const weightStandardizationForward = kernel()({
  name: "weightStandardization.forward",
  operands: { weight: "read", gain: "read", y: "write" },
})

export const weightStandardizationForwardReference: Reference<typeof weightStandardizationForward> = {
  cost: ({ weight }) => elementwise(size(weight.shape), 3, 3),
  run: ({ weight, gain, y }) => {
    const outputs = gain.data.length
    moments(weight).forEach(({ mean, scale }, o) => {
      for (let i = o; i < y.data.length; i += outputs) y.data[i] = gain.data[o]! * (weight.data[i]! - mean) * scale
    })
  },
}

/** With x̂ = (W − mean)·scale and r = n/(n−1):  ∂gain = Σ ∂Ŵ·x̂,  ∂W = gain·scale·(∂Ŵ − mean(∂Ŵ) − r·x̂·Σ(∂Ŵ·x̂)). */
export const weightStandardizationBackward = kernel()({
  name: "weightStandardization.backward",
  operands: {
    weight: "read",
    gain: "read",
    outputGradient: "read",
    weightGradient: "gradient",
    gainGradient: "gradient",
  },
})

export const weightStandardizationBackwardReference: Reference<typeof weightStandardizationBackward> = {
  cost: ({ weight }) => elementwise(size(weight.shape), 6, 6),
  run: ({ weight, gain, outputGradient, weightGradient, gainGradient }) => {
    const outputs = gain.data.length
    const fanIn = weight.data.length / outputs
    const ratio = fanIn / Math.max(1, fanIn - 1)
    moments(weight).forEach(({ mean, scale }, o) => {
      let sum = 0
      let projection = 0
      for (let i = o; i < weight.data.length; i += outputs) {
        sum += outputGradient.data[i]!
        projection += outputGradient.data[i]! * (weight.data[i]! - mean) * scale
      }
      gainGradient.data[o]! += projection
      for (let i = o; i < weight.data.length; i += outputs) {
        const standardized = (weight.data[i]! - mean) * scale
        weightGradient.data[i]! +=
          gain.data[o]! * scale * (outputGradient.data[i]! - sum / fanIn - ratio * standardized * projection)
      }
    })
  },
}

export const weightStandardizationOp = /* @__PURE__ */ make({
  name: "weightStandardization",
  attributes: NoOptions,
  inputs: ["parameter", "parameter"],
  infer: ([weight, gain], _, fail) => {
    const { shape } = weight!
    mustBe("weight", shape, [undefined, undefined, undefined, undefined], fail)
    mustBe("gain", gain!.shape, [shape[3]], fail)
    if (size(shape) === shape[3]) fail("an output has a single weight, and so no variance")
    return weight!
  },
  forward: ({ emit, input, output }) =>
    emit(weightStandardizationForward, { weight: input(0), gain: input(1), y: output }),
  backward: ({ emit, input, outputGradient, gradient, unwanted }) =>
    outputGradient &&
    emit(weightStandardizationBackward, {
      weight: input(0),
      gain: input(1),
      outputGradient,
      weightGradient: gradient(0) ?? unwanted(0),
      gainGradient: gradient(1) ?? unwanted(1),
    }),
})

/** Options of {@link scaledWeightStandardizedConv2d}. */
export interface ScaledWeightStandardizedConv2dOptions extends Conv2dOptions {
  /** A factor on the input. It is multiplied into the standardised weights once per batch, so that spikes stay spikes. Default 1. */
  readonly inputFactor?: number
}

/** The Schema of {@link ScaledWeightStandardizedConv2dOptions}. */
export const ScaledWeightStandardizedConv2dSchema: Schema.Codec<ScaledWeightStandardizedConv2dOptions> =
  /* @__PURE__ */ Schema.Struct({
    ...Conv2dSchema.fields,
    inputFactor: /* @__PURE__ */ Schema.optionalKey(Float32),
  })

/**
 * A {@link conv2d} with standardised weights. By default, weights start normal with standard deviation 1/√(inputs/groups·kernel
 * area), biases at 0 and gains at 1.
 */
export const scaledWeightStandardizedConv2d = (options: ScaledWeightStandardizedConv2dOptions): Layer =>
  leaf("conv2d", ScaledWeightStandardizedConv2dSchema, options, (x, name, given) => {
    const { channels, bias = true, initial = {}, inputFactor = 1 } = given
    const { shape, fanIn, attributes } = convolutionParts(x, 3, given, failAt(name, "conv2d"))
    const start = normal(1 / Math.sqrt(fanIn))
    const weight = parameter(x, `${name}.weight`, shape, initial.weight ?? start)
    const gain = parameter(x, `${name}.gain`, [channels], { kind: "constant", value: 1 })
    const standardized = node(x, `${name}.standardized`, weightStandardizationOp, {}, [weight, gain])
    const factor = { factor: inputFactor }
    const scaled = inputFactor === 1 ? standardized : node(x, `${name}.scaled`, scaleOp, factor, [standardized])
    const operands = bias ? [x, scaled, parameter(x, `${name}.bias`, [channels], initial.bias ?? zeros)] : [x, scaled]
    return node(x, name, conv2dOp, attributes, operands)
  })
