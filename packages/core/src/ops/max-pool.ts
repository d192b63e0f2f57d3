/**
 * Max pooling: the largest value of each window. Spikes stay spikes (the logical or of the window). The gradient goes to the first
 * largest value of the window in row order, as in PyTorch. x [height, width, channels] → y [height', width', channels]; for
 * sequences, x [length, channels] → y [length', channels].
 */
import type { Layer } from "../graph/builder.ts"
import { elementwise, make as kernel, type Operand, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import { size } from "../shape.ts"
import {
  type PoolAttributes,
  PoolAttributesSchema,
  type PoolOptions,
  PoolSchema,
  poolLayer,
  poolWindow,
} from "./average-pool.ts"
import { areaOf, forEachInWindow, slidePool, type Window } from "./window.ts"

/** The index of the largest input element for each output element. */
const winners = (x: Operand, output: ReadonlyArray<number>, window: Window): Int32Array => {
  const winner = new Int32Array(size(output)).fill(-1)
  forEachInWindow(x.shape, output, window, (from, to) => {
    if (winner[to] === -1 || x.data[from]! > x.data[winner[to]!]!) winner[to] = from
  })
  return winner
}

/** y = max of x over each window */
export const maxPoolForward = kernel<Window>()({
  name: "maxPool.forward",
  operands: { x: "read", y: "write" },
})

export const maxPoolForwardReference: Reference<typeof maxPoolForward> = {
  cost: ({ y }, window) => elementwise(size(y.shape), 0, areaOf(window) - 1),
  run: ({ x, y }, window) =>
    winners(x, y.shape, window).forEach((from, to) => {
      y.data[to] = x.data[from]!
    }),
}

/** ∂x += Σ ∂y over the windows in which x is the first largest value */
export const maxPoolBackward = kernel<Window>()({
  name: "maxPool.backward",
  operands: { x: "read", outputGradient: "read", inputGradient: "gradient" },
})

export const maxPoolBackwardReference: Reference<typeof maxPoolBackward> = {
  cost: ({ outputGradient }, window) => elementwise(size(outputGradient.shape), 0, areaOf(window)),
  run: ({ x, outputGradient, inputGradient }, window) =>
    winners(x, outputGradient.shape, window).forEach((from, to) => {
      inputGradient.data[from]! += outputGradient.data[to]!
    }),
}

export const maxPoolOp = /* @__PURE__ */ make<PoolAttributes>({
  name: "maxPool",
  attributes: PoolAttributesSchema,
  inputs: ["activation"],
  infer: ([x], attributes, fail) => ({
    shape: slidePool(x!.shape, poolWindow(x!.shape, attributes), fail),
    elements: x!.elements,
    batched: true,
  }),
  recompute: "cheap",
  forward: ({ emit, input, inputType, output, attributes }) =>
    emit(maxPoolForward, { x: input(0), y: output }, poolWindow(inputType(0).shape, attributes)),
  backward: ({ emit, input, inputType, outputGradient, gradient, attributes }) => {
    const inputGradient = outputGradient && gradient(0)
    const window = poolWindow(inputType(0).shape, attributes)
    if (inputGradient) emit(maxPoolBackward, { x: input(0), outputGradient, inputGradient }, window)
  },
})

/** Max pooling of images: x [height, width, channels] → y [height', width', channels], with extents as for {@link averagePool}. */
export const maxPool = (options: PoolOptions): Layer => poolLayer("maxPool", maxPoolOp, 3, PoolSchema, options)
