/**
 * Convolution (cross-correlation) of images and sequences, channels last:
 *
 *     y[i, j, o] = b[o] + Σ_{a,c,k} x[i·stride + a·dilation − padding, j·stride + c·dilation − padding, k] · W[a, c, k, o]
 *
 * x [height, width, in] · W [kernel, kernel, in/groups, out] + b [out] → y [height', width', out],
 * height' = ⌊(height + padding − dilation·(kernel − 1) − 1)/stride⌋ + 1, where padding is the sum of both sides. Output o depends only
 * on the inputs of its group. PyTorch stores the weight as [out, in/groups, kernel, kernel].
 *
 * For sequences: x [length, in] · W [kernel, in/groups, out] + b [out] → y [length', out].
 *
 * A transposed convolution, PyTorch's `ConvTranspose2d`, is the same sum over an input with stride − 1 zeros between its pixels.
 * PyTorch stores its weights flipped, as [in, out/groups, kernel, kernel].
 */
import { Schema } from "effect"
import { GraphError } from "../errors.ts"
import { type Layer, leaf, node, parameter, type Tensor } from "../graph/builder.ts"
import { type Initial, InitialSchema } from "../graph/graph.ts"
import { accumulates, addCost, elementwise, make as kernel, type Operand, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import { Flag, type Of } from "../options.ts"
import { mustBe, type Shape, size } from "../shape.ts"
import { biasGradient } from "./bias.ts"
import {
  both,
  type Extents,
  ExtentsSchema,
  forEachTap,
  type Geometry,
  geometryFields,
  geometryOf,
  imagesOf,
  mustSlide,
  type PaddingOption,
  PaddingOptionSchema,
  PositiveInt,
  slide,
  type Window,
  windowOf,
} from "./window.ts"

/** A window, and the number of channel groups. */
export type Convolution = Window & { readonly groups: number }

/**
 * Number of connections between an input and an output of these shapes, including those into the padding, which kernels that pad
 * compute too.
 */
const connections = (x: Shape, weight: Shape, y: Shape, { rows, columns }: Convolution): number => {
  const [batch, height, width] = imagesOf(rows.spread * columns.spread > 1 ? x : y)
  return batch * height * width * size(weight)
}

/**
 * Calls `visit` for each connected input element: its index, the index of the first of its weights, and that of the first output
 * they contribute to. Both are followed by one contiguous entry per output of the group.
 */
const forEachInput = (
  x: Shape,
  weight: Shape,
  y: Shape,
  convolution: Convolution,
  visit: (input: number, weight: number, output: number) => void,
): void => {
  const [inputs, outputs] = weight.slice(-2) as [number, number]
  const { groups } = convolution
  forEachTap(x, y, convolution, (from, to, tap) => {
    for (let g = 0; g < groups; g++)
      for (let k = 0; k < inputs; k++) {
        const first = (g * outputs) / groups
        visit((from * groups + g) * inputs + k, (tap * inputs + k) * outputs + first, to * outputs + first)
      }
  })
}

/** y = convolution of x with W, plus b */
export const convForward = kernel<Convolution>()({
  name: "conv2d.forward",
  operands: { x: "read", weight: "read", bias: "read?", y: "write" },
})

export const convForwardReference: Reference<typeof convForward> = {
  cost: ({ x, weight, bias, y }, convolution) =>
    addCost(
      accumulates(connections(x.shape, weight.shape, y.shape, convolution), x),
      elementwise(bias === undefined ? 0 : size(y.shape), 0, 1),
    ),
  run: ({ x, weight, bias, y }, convolution) => {
    const outputs = weight.shape.at(-1)!
    const sums = new Float64Array(y.data.length)
    if (bias !== undefined) for (let i = 0; i < sums.length; i += outputs) sums.set(bias.data, i)
    forEachInput(x.shape, weight.shape, y.shape, convolution, (from, row, to) => {
      const value = x.data[from]!
      if (value !== 0)
        for (let o = 0; o < outputs / convolution.groups; o++) sums[to + o]! += value * weight.data[row + o]!
    })
    y.data.set(sums)
  },
}

/** ∂x += Σ ∂y·W over the outputs that x is connected to */
export const convInputGradient = kernel<Convolution>()({
  name: "conv2d.inputGradient",
  operands: { outputGradient: "read", weight: "read", inputGradient: "gradient" },
})

export const convInputGradientReference: Reference<typeof convInputGradient> = {
  cost: ({ outputGradient, weight, inputGradient }, convolution) =>
    accumulates(connections(inputGradient.shape, weight.shape, outputGradient.shape, convolution), outputGradient),
  run: ({ outputGradient, weight, inputGradient }, convolution) => {
    const outputs = weight.shape.at(-1)! / convolution.groups
    const sums = new Float64Array(inputGradient.data.length)
    forEachInput(inputGradient.shape, weight.shape, outputGradient.shape, convolution, (from, row, to) => {
      let sum = 0
      for (let o = 0; o < outputs; o++) sum += outputGradient.data[to + o]! * weight.data[row + o]!
      sums[from]! += sum
    })
    addInto(inputGradient, sums)
  },
}

/** ∂W += Σ x·∂y over the connections that share W */
export const convWeightGradient = kernel<Convolution>()({
  name: "conv2d.weightGradient",
  operands: { x: "read", outputGradient: "read", weightGradient: "gradient" },
})

export const convWeightGradientReference: Reference<typeof convWeightGradient> = {
  cost: ({ x, outputGradient, weightGradient }, convolution) =>
    accumulates(connections(x.shape, weightGradient.shape, outputGradient.shape, convolution), x),
  run: ({ x, outputGradient, weightGradient }, convolution) => {
    const outputs = weightGradient.shape.at(-1)! / convolution.groups
    const sums = new Float64Array(weightGradient.data.length)
    forEachInput(x.shape, weightGradient.shape, outputGradient.shape, convolution, (from, row, to) => {
      const value = x.data[from]!
      if (value !== 0) for (let o = 0; o < outputs; o++) sums[row + o]! += value * outputGradient.data[to + o]!
    })
    addInto(weightGradient, sums)
  },
}

const addInto = (gradient: Operand, sums: Float64Array): void => {
  for (let i = 0; i < sums.length; i++) gradient.data[i]! += sums[i]!
}

/** Attributes of a convolution's node. */
export interface Attributes extends Geometry {
  readonly groups?: number
}

const mustDivide = (groups: number, inputs: number, outputs: number, fail: (reason: string) => never): void => {
  for (const [count, what] of [
    [inputs, "input"],
    [outputs, "output"],
  ] as const)
    if (count % groups !== 0) fail(`groups is ${groups}, which does not divide the ${count} ${what} channels`)
}

const convolutionOf = (weight: Shape, { groups = 1, ...geometry }: Attributes): Convolution => ({
  ...windowOf(weight.length - 1, weight.length < 4 ? weight[0]! : (weight.slice(0, 2) as [number, number]), geometry),
  groups,
})

/** Schemas of the attributes that all convolutions have. */
export const convolutionFields = { ...geometryFields, groups: Schema.optionalKey(PositiveInt) }

/** The op of a convolution or transposed convolution. */
export const convolutionOp = (name: string, attributes: Schema.Codec<Attributes>) =>
  make<Attributes>({
    name,
    attributes,
    inputs: ["activation", "parameter", "parameter?"],
    infer: ([x, weight, bias], attributes, fail) => {
      const [inputs = 1, outputs = 1] = [x!.shape.at(-1), weight!.shape.at(-1)]
      const { groups = 1 } = attributes
      if (weight!.shape.length < 3 || weight!.shape.length > 4) fail("the weight must have three axes, or four")
      mustSlide(x!.shape, [weight!.shape.length - 1], fail)
      mustDivide(groups, inputs, outputs, fail)
      mustBe("weight", weight!.shape, [...weight!.shape.slice(0, -2), inputs / groups, undefined], fail)
      if (bias) mustBe("bias", bias.shape, [outputs], fail)
      const shape = [...slide(x!.shape, convolutionOf(weight!.shape, attributes), fail), outputs]
      return { shape, elements: "float32", batched: true }
    },
    hasWeights: true,
    recompute: "weights",
    forward: ({ emit, input, inputType, arity, output, attributes }) =>
      emit(
        convForward,
        { x: input(0), weight: input(1), bias: arity > 2 ? input(2) : undefined, y: output },
        convolutionOf(inputType(1).shape, attributes),
      ),
    backward: ({ emit, input, inputType, presynaptic, arity, outputGradient, gradient, attributes }) => {
      if (outputGradient === undefined) return
      const convolution = convolutionOf(inputType(1).shape, attributes)
      const weightGradient = gradient(1)
      if (weightGradient) emit(convWeightGradient, { x: presynaptic(), outputGradient, weightGradient }, convolution)
      const bias = arity > 2 ? gradient(2) : undefined
      if (bias) emit(biasGradient, { outputGradient, biasGradient: bias })
      // Last, so that the gradient can reuse the memory of the input.
      const inputGradient = gradient(0)
      if (inputGradient) emit(convInputGradient, { outputGradient, weight: input(1), inputGradient }, convolution)
    },
  })

export const conv2dOp = convolutionOp("conv2d", Schema.Struct(convolutionFields))

/** Options of {@link conv2d}. */
export interface Conv2dOptions {
  /** Output channels. */
  readonly channels: number
  /** Height and width of the window. */
  readonly kernelSize: Extents
  /** Default 1. */
  readonly stride?: Extents
  /** Zeros around the image, `"same"` (the output has the extents of the input) or `"valid"` (none). Default 0. */
  readonly padding?: PaddingOption
  /** Distance between the pixels of a window. Default 1. */
  readonly dilation?: Extents
  /**
   * Number of groups that the channels are divided into; an output depends only on the inputs of its group. If it is the number of
   * channels, the convolution is depthwise. Default 1.
   */
  readonly groups?: number
  /** Default true. */
  /** Whether to add a bias. */
  readonly bias?: boolean
  /** Initializers of weight and bias. */
  readonly initial?: Initial
}

/** Schemas of the options that all convolutions have. */
export const mapFields = {
  channels: PositiveInt,
  groups: Schema.optionalKey(PositiveInt),
  bias: Schema.optionalKey(Flag),
  initial: Schema.optionalKey(InitialSchema),
}

/** The Schema of {@link Conv2dOptions}. */
export const Conv2dSchema: Of<Conv2dOptions> = Schema.Struct({
  ...mapFields,
  kernelSize: ExtentsSchema,
  stride: Schema.optionalKey(ExtentsSchema),
  padding: Schema.optionalKey(PaddingOptionSchema),
  dilation: Schema.optionalKey(ExtentsSchema),
})

/** Throws reasons why a layer cannot be built as GraphErrors of its node. */
export const failAt =
  (node: string, kind: string) =>
  (reason: string): never => {
    throw new GraphError({ node, reason: `${kind}: ${reason}` })
  }

/** The shape and fan-in of a convolution's weight, and the attributes of its node. */
export const convolutionParts = (x: Tensor, axes: number, options: Conv2dOptions, fail: (reason: string) => never) => {
  const { channels, kernelSize, groups = 1 } = options
  mustSlide(x.shape, [axes], fail)
  const inputs = x.shape.at(-1)!
  mustDivide(groups, inputs, channels, fail)
  const kernel = axes === 2 ? [both(kernelSize)[0]] : both(kernelSize)
  return {
    shape: [...kernel, inputs / groups, channels],
    fanIn: (size(kernel) * inputs) / groups,
    attributes: { ...geometryOf(kernelSize, options, fail), ...(groups === 1 ? {} : { groups }) } as Attributes,
  }
}

/** Adds the parameters of a convolution and its node. */
export const withParameters = (
  x: Tensor,
  name: string,
  op: typeof conv2dOp,
  { bias = true, initial = {} }: Pick<Conv2dOptions, "bias" | "initial">,
  { shape, fanIn, attributes }: ReturnType<typeof convolutionParts>,
): Tensor => {
  const start = { kind: "uniform", bound: 1 / Math.sqrt(fanIn) } as const
  const weight = parameter(x, `${name}.weight`, shape, initial.weight ?? start)
  const operands = bias
    ? [x, weight, parameter(x, `${name}.bias`, [shape.at(-1)!], initial.bias ?? start)]
    : [x, weight]
  return node(x, name, op, attributes, operands)
}

/**
 * A convolution of images: x [height, width, in] → y [height', width', channels].
 *
 * Default initialisation as in PyTorch: uniform within ±1/√(inputs/groups·kernel area).
 *
 * @example
 * const graph = Graph.makeUnsafe(
 *   [40, 98, 8],
 *   Graph.sequential(conv2d({ channels: 8, kernelSize: [3, 5], padding: "same", groups: 8 }), flatten()),
 * )
 */
export const conv2d = (options: Conv2dOptions): Layer =>
  leaf("conv2d", Conv2dSchema, options, (x, name, given) =>
    withParameters(x, name, conv2dOp, given, convolutionParts(x, 3, given, failAt(name, "conv2d"))),
  )
