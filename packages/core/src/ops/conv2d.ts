/**
 * Two-dimensional convolution (cross-correlation), channels last:
 *
 *     y[i, j, o] = b[o] + Σ_{a,c,k} x[i·stride + a − padding, j·stride + c − padding, k] · W[a, c, k, o]
 *
 * x [height, width, in] · W [kernel, kernel, in, out] + b [out] → y [height', width', out],
 * height' = ⌊(height + 2·padding − kernel)/stride⌋ + 1. PyTorch stores the weight as [out, in, kernel, kernel].
 */
import { Schema } from "effect"
import { type Layer, leaf, node, parameter } from "../graph/builder.ts"
import { type Initial, InitialSchema } from "../graph/graph.ts"
import { accumulates, addCost, elementwise, make as kernel, type Operand, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import { Flag, type Of } from "../options.ts"
import { mustBe, type Shape, size } from "../shape.ts"
import { biasGradient } from "./bias.ts"
import { type Geometry, Padding, PositiveInt, Side, slide } from "./pixels.ts"

/**
 * Calls `visit` for every pair of pixels that a weight connects: indices of the input pixel, the output pixel and the tap,
 * in units of pixels and taps.
 */
const forEachTap = (
  input: Shape,
  weight: Shape,
  output: Shape,
  { stride, padding }: Geometry,
  visit: (inputPixel: number, outputPixel: number, tap: number) => void,
): void => {
  const [batch, height, width] = input as [number, number, number]
  const [rows, columns] = weight as [number, number]
  const [, outHeight, outWidth] = output as [number, number, number]
  for (let n = 0; n < batch; n++)
    for (let i = 0; i < outHeight; i++)
      for (let j = 0; j < outWidth; j++)
        for (let a = 0; a < rows; a++) {
          const y = i * stride + a - padding
          if (y < 0 || y >= height) continue
          for (let b = 0; b < columns; b++) {
            const x = j * stride + b - padding
            if (x >= 0 && x < width)
              visit((n * height + y) * width + x, (n * outHeight + i) * outWidth + j, a * columns + b)
          }
        }
}

/** Connections between an input and an output of these shapes, those into the padding included, as kernels that pad make them. */
const connections = (weight: Shape, output: Shape): number => size(output.slice(0, 3)) * size(weight)

export const convForward = kernel<Geometry>()({
  name: "conv2d.forward",
  operands: { x: "read", weight: "read", bias: "read?", y: "write" },
})

export const convForwardReference: Reference<typeof convForward> = {
  cost: ({ x, weight, bias, y }) =>
    addCost(
      accumulates(connections(weight.shape, y.shape), x),
      elementwise(bias === undefined ? 0 : size(y.shape), 0, 1),
    ),
  run: ({ x, weight, bias, y }, geometry) => {
    const [, , inputs, outputs] = weight.shape as [number, number, number, number]
    const sums = new Float64Array(y.data.length)
    if (bias !== undefined) for (let i = 0; i < sums.length; i += outputs) sums.set(bias.data, i)
    forEachTap(x.shape, weight.shape, y.shape, geometry, (from, to, tap) => {
      for (let k = 0; k < inputs; k++) {
        const value = x.data[from * inputs + k]!
        if (value === 0) continue
        const row = (tap * inputs + k) * outputs
        for (let o = 0; o < outputs; o++) sums[to * outputs + o]! += value * weight.data[row + o]!
      }
    })
    y.data.set(sums)
  },
}

export const convInputGradient = kernel<Geometry>()({
  name: "conv2d.inputGradient",
  operands: { outputGradient: "read", weight: "read", inputGradient: "gradient" },
})

export const convInputGradientReference: Reference<typeof convInputGradient> = {
  cost: ({ outputGradient, weight }) => accumulates(connections(weight.shape, outputGradient.shape), outputGradient),
  run: ({ outputGradient, weight, inputGradient }, geometry) => {
    const [, , inputs, outputs] = weight.shape as [number, number, number, number]
    const sums = new Float64Array(inputGradient.data.length)
    forEachTap(inputGradient.shape, weight.shape, outputGradient.shape, geometry, (from, to, tap) => {
      for (let k = 0; k < inputs; k++) {
        const row = (tap * inputs + k) * outputs
        let sum = 0
        for (let o = 0; o < outputs; o++) sum += outputGradient.data[to * outputs + o]! * weight.data[row + o]!
        sums[from * inputs + k]! += sum
      }
    })
    addInto(inputGradient, sums)
  },
}

export const convWeightGradient = kernel<Geometry>()({
  name: "conv2d.weightGradient",
  operands: { x: "read", outputGradient: "read", weightGradient: "gradient" },
})

export const convWeightGradientReference: Reference<typeof convWeightGradient> = {
  cost: ({ x, outputGradient, weightGradient }) =>
    accumulates(connections(weightGradient.shape, outputGradient.shape), x),
  run: ({ x, outputGradient, weightGradient }, geometry) => {
    const [, , inputs, outputs] = weightGradient.shape as [number, number, number, number]
    const sums = new Float64Array(weightGradient.data.length)
    forEachTap(x.shape, weightGradient.shape, outputGradient.shape, geometry, (from, to, tap) => {
      for (let k = 0; k < inputs; k++) {
        const value = x.data[from * inputs + k]!
        if (value === 0) continue
        const row = (tap * inputs + k) * outputs
        for (let o = 0; o < outputs; o++) sums[row + o]! += value * outputGradient.data[to * outputs + o]!
      }
    })
    addInto(weightGradient, sums)
  },
}

const addInto = (gradient: Operand, sums: Float64Array): void => {
  for (let i = 0; i < sums.length; i++) gradient.data[i]! += sums[i]!
}

export const conv2dOp = make({
  name: "conv2d",
  attributes: Schema.Struct({ stride: Side, padding: Padding }),
  inputs: ["activation", "parameter", "parameter?"],
  infer: ([x, weight, bias], geometry, fail) => {
    const [kernelSize = 1, , , outputs = 1] = weight!.shape
    const [height, width, channels] = slide(x!, { ...geometry, kernelSize }, fail)
    mustBe("weight", weight!.shape, [kernelSize, kernelSize, channels, undefined], fail)
    if (bias) mustBe("bias", bias.shape, [outputs], fail)
    return { shape: [height, width, outputs], elements: "float32", batched: true }
  },
  hasWeights: true,
  recompute: "weights",
  forward: ({ emit, input, arity, output, attributes }) =>
    emit(convForward, { x: input(0), weight: input(1), bias: arity > 2 ? input(2) : undefined, y: output }, attributes),
  backward: ({ emit, input, presynaptic, arity, outputGradient, gradient, attributes }) => {
    if (outputGradient === undefined) return
    const weightGradient = gradient(1)
    if (weightGradient) emit(convWeightGradient, { x: presynaptic(), outputGradient, weightGradient }, attributes)
    const bias = arity > 2 ? gradient(2) : undefined
    if (bias) emit(biasGradient, { outputGradient, biasGradient: bias })
    // Last, so that the memory of the input is free for its gradient.
    const inputGradient = gradient(0)
    if (inputGradient) emit(convInputGradient, { outputGradient, weight: input(1), inputGradient }, attributes)
  },
})

export interface Conv2dOptions {
  /** Output channels. */
  readonly channels: number
  /** Height and width of the window. */
  readonly kernelSize: number
  /** Default 1. */
  readonly stride?: number
  /** Zeros on every side. Default 0. */
  readonly padding?: number
  /** Default true. */
  readonly bias?: boolean
  /** How weight and bias start. */
  readonly initial?: Initial
}

export const Conv2dSchema: Of<Conv2dOptions> = Schema.Struct({
  channels: PositiveInt,
  kernelSize: Side,
  stride: Schema.optionalKey(Side),
  padding: Schema.optionalKey(Padding),
  bias: Schema.optionalKey(Flag),
  initial: Schema.optionalKey(InitialSchema),
})

/** The channels of an image, for builders that must know them before the shape is checked. */
export const channelsOf = (shape: Shape): number => shape.at(-1) ?? 1

/** A convolution. Unless told, it starts as PyTorch's: uniform within ±1/√(inputs·kernel²). */
export const conv2d = (options: Conv2dOptions): Layer =>
  leaf<Conv2dOptions>("conv2d", Conv2dSchema, options, (x, name, given) => {
    const { channels, kernelSize, stride = 1, padding = 0, bias = true, initial = {} } = given
    const inputs = channelsOf(x.shape)
    const start = { kind: "uniform", bound: 1 / Math.sqrt(inputs * kernelSize ** 2) } as const
    const shape = [kernelSize, kernelSize, inputs, channels]
    const weight = parameter(x, `${name}.weight`, shape, initial.weight ?? start)
    const operands = bias ? [x, weight, parameter(x, `${name}.bias`, [channels], initial.bias ?? start)] : [x, weight]
    return node(x, name, conv2dOp, { stride, padding }, operands)
  })
