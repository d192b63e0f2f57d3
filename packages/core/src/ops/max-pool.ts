/**
 * Max pooling: the largest value of each window; spikes stay spikes (the "or" of the window). Its gradient goes to the first
 * largest value of the window in row order, as in PyTorch. x [height, width, channels] → y [height', width', channels].
 */
import { type Layer, leaf, node } from "../graph/builder.ts"
import { elementwise, make as kernel, type Operand, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import { size } from "../shape.ts"
import { type PoolOptions, PoolSchema } from "./average-pool.ts"
import { forEachInWindow, slidePool, slidingRange, type Window, WindowSchema } from "./pixels.ts"

/** For each output element, the index of the input element that it takes. */
const winners = (x: Operand, output: ReadonlyArray<number>, window: Window): Int32Array => {
  const winner = new Int32Array(size(output)).fill(-1)
  forEachInWindow(x.shape, output, slidingRange(window), (from, to) => {
    if (winner[to] === -1 || x.data[from]! > x.data[winner[to]!]!) winner[to] = from
  })
  return winner
}

export const maxPoolForward = kernel<Window>()({
  name: "maxPool.forward",
  operands: { x: "read", y: "write" },
})

export const maxPoolForwardReference: Reference<typeof maxPoolForward> = {
  cost: ({ y }, { kernelSize }) => elementwise(size(y.shape), 0, kernelSize ** 2 - 1),
  run: ({ x, y }, window) =>
    winners(x, y.shape, window).forEach((from, to) => {
      y.data[to] = x.data[from]!
    }),
}

export const maxPoolBackward = kernel<Window>()({
  name: "maxPool.backward",
  operands: { x: "read", outputGradient: "read", inputGradient: "gradient" },
})

export const maxPoolBackwardReference: Reference<typeof maxPoolBackward> = {
  cost: ({ outputGradient }, { kernelSize }) => elementwise(size(outputGradient.shape), 0, kernelSize ** 2),
  run: ({ x, outputGradient, inputGradient }, window) =>
    winners(x, outputGradient.shape, window).forEach((from, to) => {
      inputGradient.data[from]! += outputGradient.data[to]!
    }),
}

export const maxPoolOp = make<Window>({
  name: "maxPool",
  attributes: WindowSchema,
  inputs: ["activation"],
  infer: ([x], window, fail) => ({ shape: slidePool(x!, window, fail), elements: x!.elements, batched: true }),
  recompute: "cheap",
  forward: ({ emit, input, output, attributes }) => emit(maxPoolForward, { x: input(0), y: output }, { ...attributes }),
  backward: ({ emit, input, outputGradient, gradient, attributes }) => {
    const inputGradient = outputGradient && gradient(0)
    if (inputGradient) emit(maxPoolBackward, { x: input(0), outputGradient, inputGradient }, { ...attributes })
  },
})

/** Max pooling. */
export const maxPool = (options: PoolOptions): Layer =>
  leaf("maxPool", PoolSchema, options, (x, name, { kernelSize, stride = kernelSize, padding = 0 }) =>
    node(x, name, maxPoolOp, { kernelSize, stride, padding }, [x]),
  )
