/**
 * Average and sum pooling: the mean or sum over each window. Padding zeros count (PyTorch's count_include_pad). x [height, width,
 * channels] → y [height', width', channels]; for sequences, x [length, channels] → y [length', channels].
 */
import { Schema } from "effect"
import { type Layer, leaf, node, type Tensor } from "../graph/builder.ts"
import { accumulates, addCost, elementwise, make as kernel, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import type { Of } from "../options.ts"
import { type Shape, size } from "../shape.ts"
import { failAt } from "./conv2d.ts"
import {
  areaOf,
  both,
  type Extents,
  ExtentsSchema,
  forEachInWindow,
  type Geometry,
  geometryFields,
  geometryOf,
  mustSlide,
  type PaddingOption,
  PaddingOptionSchema,
  slidePool,
  type WeightedWindow,
  type Window,
  windowOf,
} from "./window.ts"

/** y = share · Σ x over each window */
export const averagePoolForward = kernel<WeightedWindow>()({
  name: "averagePool.forward",
  operands: { x: "read", y: "write" },
})

export const averagePoolForwardReference: Reference<typeof averagePoolForward> = {
  cost: ({ x, y }, window) =>
    addCost(
      { ...accumulates(size(y.shape) * areaOf(window), x), multiplications: 0 },
      elementwise(window.share === 1 ? 0 : size(y.shape), 1, 0),
    ),
  run: ({ x, y }, window) => {
    y.data.fill(0)
    forEachInWindow(x.shape, y.shape, window, (from, to) => {
      y.data[to]! += x.data[from]!
    })
    for (let i = 0; i < y.data.length; i++) y.data[i]! *= window.share
  },
}

/** ∂x += share · Σ ∂y over the windows that contain x */
export const averagePoolBackward = kernel<WeightedWindow>()({
  name: "averagePool.backward",
  operands: { outputGradient: "read", inputGradient: "gradient" },
})

export const averagePoolBackwardReference: Reference<typeof averagePoolBackward> = {
  cost: ({ outputGradient }, window) =>
    addCost(
      elementwise(window.share === 1 ? 0 : size(outputGradient.shape), 1, 0),
      elementwise(size(outputGradient.shape) * areaOf(window), 0, 1),
    ),
  run: ({ outputGradient, inputGradient }, window) =>
    forEachInWindow(inputGradient.shape, outputGradient.shape, window, (from, to) => {
      inputGradient.data[from]! += window.share * outputGradient.data[to]!
    }),
}

/** Attributes of a pool's node. */
export interface PoolAttributes extends Geometry {
  readonly kernelSize: Extents
}

/** The Schema of {@link PoolAttributes}. */
export const PoolAttributesSchema: Schema.Codec<PoolAttributes> = /* @__PURE__ */ Schema.Struct({
  ...geometryFields,
  kernelSize: ExtentsSchema,
})

/** The window of a pool over a value of this shape. */
export const poolWindow = (shape: Shape, { kernelSize, ...geometry }: PoolAttributes): Window =>
  windowOf(shape.length, kernelSize, geometry)

/** The op of a pool: the sum over each window, times a factor. */
export const poolOp = (name: string, shareOf: (window: Window) => number) => {
  const weighted = (shape: Shape, attributes: PoolAttributes): WeightedWindow => {
    const window = poolWindow(shape, attributes)
    return { ...window, share: shareOf(window) }
  }
  return make<PoolAttributes>({
    name,
    attributes: PoolAttributesSchema,
    inputs: ["activation"],
    infer: ([x], attributes, fail) => ({
      shape: slidePool(x!.shape, poolWindow(x!.shape, attributes), fail),
      elements: "float32",
      batched: true,
    }),
    recompute: "cheap",
    forward: ({ emit, input, inputType, output, attributes }) =>
      emit(averagePoolForward, { x: input(0), y: output }, weighted(inputType(0).shape, attributes)),
    backward: ({ emit, inputType, outputGradient, gradient, attributes }) => {
      const inputGradient = outputGradient && gradient(0)
      if (inputGradient)
        emit(averagePoolBackward, { outputGradient, inputGradient }, weighted(inputType(0).shape, attributes))
    },
  })
}

export const averagePoolOp = /* @__PURE__ */ poolOp("averagePool", (window) => 1 / areaOf(window))

/** Options of pooling layers of images. */
export interface PoolOptions {
  /** Height and width of the window. */
  readonly kernelSize: Extents
  /** Default: the window's own size. */
  readonly stride?: Extents
  /** Zeros around the image, at most half of the window; `"same"` or `"valid"`. Default 0. */
  readonly padding?: PaddingOption
  /** Distance between the pixels of a window. Default 1. */
  readonly dilation?: Extents
}

/** The Schema of {@link PoolOptions}. */
export const PoolSchema: Of<PoolOptions> = /* @__PURE__ */ Schema.Struct({
  kernelSize: ExtentsSchema,
  stride: /* @__PURE__ */ Schema.optionalKey(ExtentsSchema),
  padding: /* @__PURE__ */ Schema.optionalKey(PaddingOptionSchema),
  dilation: /* @__PURE__ */ Schema.optionalKey(ExtentsSchema),
})

/** A pooling layer for values with `axes` axes: 2 for sequences, 3 for images. */
export const poolLayer = <Options extends PoolOptions>(
  kind: string,
  op: typeof averagePoolOp,
  axes: number,
  schema: Of<Options>,
  options: Options,
): Layer =>
  leaf<Options>(kind, schema as unknown as Schema.Codec<Options>, options, (x: Tensor, name, given) => {
    const { kernelSize } = given
    const fail = failAt(name, kind)
    mustSlide(x.shape, [axes], fail)
    const attributes = { kernelSize, ...geometryOf(kernelSize, { ...given, stride: given.stride ?? kernelSize }, fail) }
    const [height, width] = both(kernelSize)
    return node(x, name, op, { ...attributes, kernelSize: height === width ? height : kernelSize }, [x])
  })

/**
 * Average pooling of images: x [height, width, channels] → y [height', width', channels], with height' = ⌊(height + 2·padding −
 * dilation·(kernel − 1) − 1)/stride⌋ + 1.
 */
export const averagePool = (options: PoolOptions): Layer =>
  poolLayer("averagePool", averagePoolOp, 3, PoolSchema, options)
