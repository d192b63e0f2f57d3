/**
 * Linear map: y = x·W + b.
 *
 * x [in] · W [in, out] + b [out] → y [out]. For values with more axes it maps the last one, as in PyTorch: the channels of each
 * pixel of an image. PyTorch stores the weight as [out, in].
 */
import { Schema } from "effect"
import { type Layer, leaf, NoOptions, node, parameter } from "../graph/builder.ts"
import { type Initial, InitialSchema } from "../graph/graph.ts"
import { accumulates, addCost, elementwise, make as kernel, type Reference, type TensorType } from "../kernel.ts"
import { make } from "../op.ts"
import { Flag, whole } from "../options.ts"
import { mustBe, size } from "../shape.ts"
import { biasGradient } from "./bias.ts"

/** Number of rows to multiply: samples, or pixels of samples. */
const rowsOf = (x: TensorType, weight: TensorType): number => size(x.shape) / weight.shape[0]!

/** y = x·W + b */
export const linearForward = kernel()({
  name: "linear.forward",
  operands: { x: "read", weight: "read", bias: "read?", y: "write" },
})

export const linearForwardReference: Reference<typeof linearForward> = {
  cost: ({ x, weight, bias, y }) =>
    addCost(
      accumulates(rowsOf(x, weight) * size(weight.shape), x),
      elementwise(bias === undefined ? 0 : size(y.shape), 0, 1),
    ),
  run: ({ x, weight, bias, y }) => {
    const [inputs, outputs] = weight.shape as [number, number]
    const sums = new Float64Array(outputs)
    for (let n = 0; n < y.data.length / outputs; n++) {
      if (bias === undefined) sums.fill(0)
      else sums.set(bias.data)
      for (let i = 0; i < inputs; i++) {
        const value = x.data[n * inputs + i]!
        if (value !== 0) for (let o = 0; o < outputs; o++) sums[o]! += value * weight.data[i * outputs + o]!
      }
      y.data.set(sums, n * outputs)
    }
  },
}

/** ∂x = ∂y·Wᵀ */
export const linearInputGradient = kernel()({
  name: "linear.inputGradient",
  operands: { outputGradient: "read", weight: "read", inputGradient: "gradient" },
})

export const linearInputGradientReference: Reference<typeof linearInputGradient> = {
  cost: ({ outputGradient, weight }) =>
    accumulates((size(outputGradient.shape) / weight.shape[1]!) * size(weight.shape), outputGradient),
  run: ({ outputGradient, weight, inputGradient }) => {
    const [inputs, outputs] = weight.shape as [number, number]
    for (let n = 0; n < outputGradient.data.length / outputs; n++)
      for (let i = 0; i < inputs; i++) {
        let sum = 0
        for (let o = 0; o < outputs; o++) sum += outputGradient.data[n * outputs + o]! * weight.data[i * outputs + o]!
        inputGradient.data[n * inputs + i]! += sum
      }
  },
}

/** ∂W = xᵀ·∂y, summed over the batch */
export const linearWeightGradient = kernel()({
  name: "linear.weightGradient",
  operands: { x: "read", outputGradient: "read", weightGradient: "gradient" },
})

export const linearWeightGradientReference: Reference<typeof linearWeightGradient> = {
  cost: ({ x, weightGradient }) => accumulates(rowsOf(x, weightGradient) * size(weightGradient.shape), x),
  run: ({ x, outputGradient, weightGradient }) => {
    const [inputs, outputs] = weightGradient.shape as [number, number]
    const sums = new Float64Array(inputs * outputs)
    for (let n = 0; n < outputGradient.data.length / outputs; n++)
      for (let i = 0; i < inputs; i++) {
        const value = x.data[n * inputs + i]!
        if (value !== 0)
          for (let o = 0; o < outputs; o++) sums[i * outputs + o]! += value * outputGradient.data[n * outputs + o]!
      }
    for (let i = 0; i < sums.length; i++) weightGradient.data[i]! += sums[i]!
  },
}

export const linearOp = make({
  name: "linear",
  attributes: NoOptions,
  inputs: ["activation", "parameter", "parameter?"],
  infer: ([x, weight, bias], _, fail) => {
    const [, outputs = 1] = weight!.shape
    mustBe("weight", weight!.shape, [x!.shape.at(-1), undefined], fail)
    if (bias) mustBe("bias", bias.shape, [outputs], fail)
    return { shape: [...x!.shape.slice(0, -1), outputs], elements: "float32", batched: true }
  },
  hasWeights: true,
  recompute: "weights",
  forward: ({ emit, input, arity, output }) =>
    emit(linearForward, { x: input(0), weight: input(1), bias: arity > 2 ? input(2) : undefined, y: output }),
  backward: ({ emit, input, presynaptic, arity, outputGradient, gradient }) => {
    if (outputGradient === undefined) return
    const weightGradient = gradient(1)
    if (weightGradient) emit(linearWeightGradient, { x: presynaptic(), outputGradient, weightGradient })
    const bias = arity > 2 ? gradient(2) : undefined
    if (bias) emit(biasGradient, { outputGradient, biasGradient: bias })
    // Last, so that the gradient can reuse the memory of the input.
    const inputGradient = gradient(0)
    if (inputGradient) emit(linearInputGradient, { outputGradient, weight: input(1), inputGradient })
  },
})

/** Options of {@link linear}. */
export interface LinearOptions {
  /** Number of outputs. */
  readonly features: number
  /** Default true. */
  /** Whether to add a bias. */
  readonly bias?: boolean
  /** Initializers of weight and bias. */
  readonly initial?: Initial
}

/** The Schema of {@link LinearOptions}. */
export const LinearSchema: Schema.Codec<LinearOptions> = Schema.Struct({
  features: whole(1),
  bias: Schema.optionalKey(Flag),
  initial: Schema.optionalKey(InitialSchema),
})

/**
 * A linear layer over the last axis: x [..., in] → y [..., features]. Use `flatten()` before it to connect all pixels of an image.
 *
 * Default initialisation as in PyTorch: uniform within ±1/√inputs.
 */
export const linear = (options: LinearOptions): Layer =>
  leaf("linear", LinearSchema, options, (x, name, { features, bias = true, initial = {} }) => {
    const inputs = x.shape.at(-1) ?? 1
    const start = { kind: "uniform", bound: 1 / Math.sqrt(inputs) } as const
    const weight = parameter(x, `${name}.weight`, [inputs, features], initial.weight ?? start)
    const operands = bias ? [x, weight, parameter(x, `${name}.bias`, [features], initial.bias ?? start)] : [x, weight]
    return node(x, name, linearOp, {}, operands)
  })
