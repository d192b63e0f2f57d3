/**
 * Average pooling: the mean over each window of kernelSize×kernelSize pixels, the zeros of the padding counted in (PyTorch's
 * count_include_pad). x [height, width, channels] → y [height', width', channels].
 */
import { Schema } from "effect"
import { type Layer, leaf, node } from "../graph/builder.ts"
import { accumulates, addCost, elementwise, make as kernel, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import { size } from "../shape.ts"
import { forEachInWindow, Padding, Side, slidePool, slidingRange, type Window, WindowSchema } from "./pixels.ts"

export const averagePoolForward = kernel<Window>()({
  name: "averagePool.forward",
  operands: { x: "read", y: "write" },
})

export const averagePoolForwardReference: Reference<typeof averagePoolForward> = {
  cost: ({ x, y }, { kernelSize }) =>
    addCost(
      { ...accumulates(size(y.shape) * kernelSize ** 2, x), multiplications: 0 },
      elementwise(size(y.shape), 1, 0),
    ),
  run: ({ x, y }, window) => {
    y.data.fill(0)
    forEachInWindow(x.shape, y.shape, slidingRange(window), (from, to) => {
      y.data[to]! += x.data[from]!
    })
    const share = 1 / window.kernelSize ** 2
    for (let i = 0; i < y.data.length; i++) y.data[i]! *= share
  },
}

export const averagePoolBackward = kernel<Window>()({
  name: "averagePool.backward",
  operands: { outputGradient: "read", inputGradient: "gradient" },
})

export const averagePoolBackwardReference: Reference<typeof averagePoolBackward> = {
  cost: ({ outputGradient }, { kernelSize }) =>
    addCost(
      elementwise(size(outputGradient.shape), 1, 0),
      elementwise(size(outputGradient.shape) * kernelSize ** 2, 0, 1),
    ),
  run: ({ outputGradient, inputGradient }, window) => {
    const share = 1 / window.kernelSize ** 2
    forEachInWindow(inputGradient.shape, outputGradient.shape, slidingRange(window), (from, to) => {
      inputGradient.data[from]! += share * outputGradient.data[to]!
    })
  },
}

export const averagePoolOp = make<Window>({
  name: "averagePool",
  attributes: WindowSchema,
  inputs: ["activation"],
  infer: ([x], window, fail) => ({ shape: slidePool(x!, window, fail), elements: "float32", batched: true }),
  recompute: "cheap",
  forward: ({ emit, input, output, attributes }) =>
    emit(averagePoolForward, { x: input(0), y: output }, { ...attributes }),
  backward: ({ emit, outputGradient, gradient, attributes }) => {
    const inputGradient = outputGradient && gradient(0)
    if (inputGradient) emit(averagePoolBackward, { outputGradient, inputGradient }, { ...attributes })
  },
})

export interface PoolOptions {
  /** Height and width of the window. */
  readonly kernelSize: number
  /** Default: the window's own size. */
  readonly stride?: number
  /** Zeros on every side, at most half of the window. Default 0. */
  readonly padding?: number
}

export const PoolSchema: Schema.Codec<PoolOptions> = Schema.Struct({
  kernelSize: Side,
  stride: Schema.optionalKey(Side),
  padding: Schema.optionalKey(Padding),
})

/** Average pooling. */
export const averagePool = (options: PoolOptions): Layer =>
  leaf("averagePool", PoolSchema, options, (x, name, { kernelSize, stride = kernelSize, padding = 0 }) =>
    node(x, name, averagePoolOp, { kernelSize, stride, padding }, [x]),
  )
