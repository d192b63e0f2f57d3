/**
 * Adaptive average pooling: one window per output pixel; along each axis, window i covers ⌊i·length/outputs⌋ to ⌈(i +
 * 1)·length/outputs⌉. x [height, width, channels] → y [outputSize, outputSize, channels].
 */
import { Schema } from "effect"
import { type Layer, leaf, node } from "../graph/builder.ts"
import { accumulates, make as kernel, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import type { Of } from "../options.ts"
import { size } from "../shape.ts"
import { failAt } from "./conv2d.ts"
import { both, type Extents, ExtentsSchema, forEachInWindow, mustSlide, Side } from "./window.ts"

/** y = mean of x over each window */
export const adaptiveAveragePoolForward = kernel()({
  name: "adaptiveAveragePool.forward",
  operands: { x: "read", y: "write" },
})

export const adaptiveAveragePoolForwardReference: Reference<typeof adaptiveAveragePoolForward> = {
  cost: ({ x, y }) => ({ ...accumulates(size(x.shape), x), multiplications: size(y.shape) }),
  run: ({ x, y }) => {
    y.data.fill(0)
    forEachInWindow(x.shape, y.shape, undefined, (from, to, area) => {
      y.data[to]! += x.data[from]! / area
    })
  },
}

/** ∂x += Σ ∂y/area over the windows that contain x */
export const adaptiveAveragePoolBackward = kernel()({
  name: "adaptiveAveragePool.backward",
  operands: { outputGradient: "read", inputGradient: "gradient" },
})

export const adaptiveAveragePoolBackwardReference: Reference<typeof adaptiveAveragePoolBackward> = {
  cost: ({ outputGradient, inputGradient }) => ({
    multiplications: size(outputGradient.shape),
    additions: size(inputGradient.shape),
    spikeOperations: 0,
  }),
  run: ({ outputGradient, inputGradient }) =>
    forEachInWindow(inputGradient.shape, outputGradient.shape, undefined, (from, to, area) => {
      inputGradient.data[from]! += outputGradient.data[to]! / area
    }),
}

/** Extents of the output. */
interface Attributes {
  readonly outputSize: Extents
}

/** The Schema of the options of {@link adaptiveAveragePool}. */
export const AdaptiveAveragePoolSchema: Of<Attributes> = /* @__PURE__ */ Schema.Struct({ outputSize: ExtentsSchema })
/** The Schema of the options of {@link adaptiveAveragePool1d}. */
export const AdaptiveAveragePool1dSchema: Of<{ readonly outputSize: number }> = /* @__PURE__ */ Schema.Struct({
  outputSize: Side as Schema.Codec<number>,
})

export const adaptiveAveragePoolOp = /* @__PURE__ */ make<Attributes>({
  name: "adaptiveAveragePool",
  attributes: AdaptiveAveragePoolSchema,
  inputs: ["activation"],
  infer: ([x], { outputSize }, fail) => {
    mustSlide(x!.shape, [2, 3], fail)
    const channels = x!.shape.at(-1)!
    const extents = x!.shape.length === 2 ? [both(outputSize)[1]] : both(outputSize)
    return { shape: [...extents, channels], elements: "float32", batched: true }
  },
  recompute: "cheap",
  forward: ({ emit, input, output }) => emit(adaptiveAveragePoolForward, { x: input(0), y: output }),
  backward: ({ emit, outputGradient, gradient }) => {
    const inputGradient = outputGradient && gradient(0)
    if (inputGradient) emit(adaptiveAveragePoolBackward, { outputGradient, inputGradient })
  },
})

/**
 * Average pooling of an image of any size to a fixed size: x [height, width, channels] → y [...outputSize, channels].
 *
 * @param options `outputSize`: one number for both axes, or `[height, width]`
 */
export const adaptiveAveragePool = (options: { readonly outputSize: Extents }): Layer =>
  leaf("adaptiveAveragePool", AdaptiveAveragePoolSchema, options, (x, name, { outputSize }) => {
    mustSlide(x.shape, [3], failAt(name, "adaptiveAveragePool"))
    return node(x, name, adaptiveAveragePoolOp, { outputSize }, [x])
  })

/** Average pooling of a sequence [length, channels] of any length to [outputSize, channels]. */
export const adaptiveAveragePool1d = (options: { readonly outputSize: number }): Layer =>
  leaf("adaptiveAveragePool1d", AdaptiveAveragePool1dSchema, options, (x, name, { outputSize }) => {
    mustSlide(x.shape, [2], failAt(name, "adaptiveAveragePool1d"))
    return node(x, name, adaptiveAveragePoolOp, { outputSize }, [x])
  })
