/**
 * Adaptive average pooling: as many windows as the output has pixels, window i from ⌊i·length/outputs⌋ to
 * ⌈(i + 1)·length/outputs⌉ on each axis. x [height, width, channels] → y [outputSize, outputSize, channels].
 */
import { Schema } from "effect"
import { type Layer, leaf, node } from "../graph/builder.ts"
import { accumulates, make as kernel, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import type { Of } from "../options.ts"
import { size } from "../shape.ts"
import { adaptiveRange, forEachInWindow, imageShape, PositiveInt } from "./pixels.ts"

export const adaptiveAveragePoolForward = kernel()({
  name: "adaptiveAveragePool.forward",
  operands: { x: "read", y: "write" },
})

export const adaptiveAveragePoolForwardReference: Reference<typeof adaptiveAveragePoolForward> = {
  cost: ({ x, y }) => ({ ...accumulates(size(x.shape), x), multiplications: size(y.shape) }),
  run: ({ x, y }) => {
    y.data.fill(0)
    forEachInWindow(x.shape, y.shape, adaptiveRange, (from, to, area) => {
      y.data[to]! += x.data[from]! / area
    })
  },
}

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
    forEachInWindow(inputGradient.shape, outputGradient.shape, adaptiveRange, (from, to, area) => {
      inputGradient.data[from]! += outputGradient.data[to]! / area
    }),
}

export const AdaptiveAveragePoolSchema: Of<{ readonly outputSize: number }> = Schema.Struct({ outputSize: PositiveInt })

export const adaptiveAveragePoolOp = make<{ readonly outputSize: number }>({
  name: "adaptiveAveragePool",
  attributes: AdaptiveAveragePoolSchema,
  inputs: ["activation"],
  infer: ([x], { outputSize }, fail) => ({
    shape: [outputSize, outputSize, imageShape(x!, fail)[2]],
    elements: "float32",
    batched: true,
  }),
  recompute: "cheap",
  forward: ({ emit, input, output }) => emit(adaptiveAveragePoolForward, { x: input(0), y: output }),
  backward: ({ emit, outputGradient, gradient }) => {
    const inputGradient = outputGradient && gradient(0)
    if (inputGradient) emit(adaptiveAveragePoolBackward, { outputGradient, inputGradient })
  },
})

/** Average pooling to outputSize×outputSize pixels, whatever the size of the image. */
export const adaptiveAveragePool = (options: { readonly outputSize: number }): Layer =>
  leaf("adaptiveAveragePool", AdaptiveAveragePoolSchema, options, (x, name, { outputSize }) =>
    node(x, name, adaptiveAveragePoolOp, { outputSize }, [x]),
  )
