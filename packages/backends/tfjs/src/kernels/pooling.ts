/** Pools. Padding is made explicit: TensorFlow.js leaves it out of the mean, and core does not. */
import type { KernelAttributes } from "@spikeroute/core"
import type { Tensor, Workspace } from "../workspace.ts"
import type { Composition, Operands, Target } from "./composition.ts"
import { spread, surround } from "./spread.ts"

type Window = KernelAttributes["averagePool.forward"]

type Pixels = readonly [number, number]
type Image = readonly [batch: number, height: number, width: number, channels: number]

const settings = ({ kernelSize, stride }: Window) => ({
  filterSize: [kernelSize, kernelSize] as Pixels,
  strides: [stride, stride] as Pixels,
  pad: "valid",
  dataFormat: "NHWC",
})

const framed = (tf: Workspace, x: Tensor, padding: number, value = 0): Tensor => {
  const sides = [padding, padding] as const
  return padding === 0 ? x : tf.pad(x, [[0, 0], sides, sides, [0, 0]], value)
}

/** Takes the padding off again. */
const unframed = (tf: Workspace, x: Tensor, padding: number, { shape }: Target): Tensor =>
  padding === 0 ? x : tf.slice(x, [0, padding, padding, 0], shape)

export const averagePoolForward: Composition<Operands<"x", "y">, Window> = (tf, { x }, window) => ({
  y: tf.call("AvgPool", { x: framed(tf, x, window.padding) }, settings(window)),
})

/**
 * Each input pixel gets the mean of the output gradients around it, spread apart by the stride. Where windows do not overlap
 * that is a copy of one of them; sizes that are no power of two are left out, as the enlargement divides by them in float32.
 */
export const averagePoolBackward: Composition<Operands<"outputGradient", "inputGradient">, Window> = (
  tf,
  { outputGradient, inputGradient },
  { kernelSize, stride, padding },
) => {
  const [, height, width] = inputGradient.shape as unknown as Image
  const [, rows, columns] = outputGradient.shape as unknown as Image
  const tiled = kernelSize === stride && height === rows * stride && width === columns * stride
  if (tiled && Number.isInteger(Math.log2(stride))) {
    const images = tf.mul(1 / stride ** 2, outputGradient)
    const attributes = { size: [height, width], alignCorners: false, halfPixelCenters: false }
    return { inputGradient: tf.call("ResizeNearestNeighbor", { images }, attributes) }
  }
  const apart = surround(tf, spread(tf, outputGradient, stride), kernelSize, padding, inputGradient)
  return { inputGradient: tf.call("AvgPool", { x: apart }, settings({ kernelSize, stride: 1, padding: 0 })) }
}

export const maxPoolForward: Composition<Operands<"x", "y">, Window> = (tf, { x }, window) => ({
  y: tf.call("MaxPool", { x: framed(tf, x, window.padding, Number.NEGATIVE_INFINITY) }, settings(window)),
})

/** TensorFlow.js's kernel for WebGPU takes nothing below −10²⁰ for a maximum. A power of two changes no digit. */
export const maxPoolForwardOnGpu: typeof maxPoolForward = (tf, { x }, window) => {
  const scaled = framed(tf, tf.mul(2 ** -64, x), window.padding, Number.NEGATIVE_INFINITY)
  return { y: tf.mul(2 ** 64, tf.call("MaxPool", { x: scaled }, settings(window))) }
}

/**
 * TensorFlow.js's kernel for WebGPU gives the gradient to the last largest value of a window: both images are turned around, and
 * pixels that no window reaches are cut off, so that windows lie over the same pixels.
 */
export const maxPoolBackwardOnGpu: typeof maxPoolBackward = (tf, { x, outputGradient, inputGradient }, window) => {
  const { kernelSize, stride, padding } = window
  const [batch, height, width, channels] = x.shape as unknown as Image
  const [, rows, columns] = outputGradient.shape as unknown as Image
  const reached = (outputs: number) => (outputs - 1) * stride + kernelSize
  const turn = (image: Tensor) => tf.reverse(image, 1, 2)
  const whole = framed(tf, x, padding, Number.NEGATIVE_INFINITY)
  const size = [batch, reached(rows), reached(columns), channels] as const
  const input = turn(tf.slice(whole, [0, 0, 0, 0], size))
  const dy = turn(outputGradient)
  const gradient = turn(tf.call("MaxPoolGrad", { dy, input, output: dy }, settings(window)))
  const bottom = height + 2 * padding - reached(rows)
  const right = width + 2 * padding - reached(columns)
  const framedGradient = tf.pad(gradient, [
    [0, 0],
    [0, bottom],
    [0, right],
    [0, 0],
  ])
  return { inputGradient: unframed(tf, framedGradient, padding, inputGradient) }
}

/** Not for WebAssembly: there, TensorFlow.js drops the gradients of windows whose largest value is negative. */
export const maxPoolBackward: Composition<Operands<"x" | "outputGradient", "inputGradient">, Window> = (
  tf,
  { x, outputGradient, inputGradient },
  window,
) => {
  const input = framed(tf, x, window.padding, Number.NEGATIVE_INFINITY)
  const gradient = tf.call("MaxPoolGrad", { dy: outputGradient, input, output: outputGradient }, settings(window))
  return { inputGradient: unframed(tf, gradient, window.padding, inputGradient) }
}

/** The share of each input position in each output position, on one axis: [outputs, length]. */
const shares = (length: number, outputs: number): Float32Array => {
  const matrix = new Float32Array(outputs * length)
  for (let i = 0; i < outputs; i++) {
    const from = Math.floor((i * length) / outputs)
    const to = Math.ceil(((i + 1) * length) / outputs)
    matrix.fill(1 / (to - from), i * length + from, i * length + to)
  }
  return matrix
}

/** Both axes at once: [pixels of the output, pixels of the input]. */
const weights = (tf: Workspace, [, height, width]: Image, [, outHeight, outWidth]: Image): Tensor => {
  const byRow = shares(height, outHeight)
  const byColumn = shares(width, outWidth)
  const matrix = new Float32Array(outHeight * outWidth * height * width)
  let at = 0
  for (let i = 0; i < outHeight; i++)
    for (let j = 0; j < outWidth; j++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) matrix[at++] = byRow[i * height + y]! * byColumn[j * width + x]!
  return tf.create([outHeight * outWidth, height * width], matrix)
}

/** Multiplies the pixels of each image, as a column, by a matrix. */
const mixPixels = (tf: Workspace, matrix: Tensor, x: Tensor, target: Target): Tensor => {
  const [batch, height, width, channels] = x.shape as unknown as Image
  const [, outHeight, outWidth] = target.shape as unknown as Image
  const pixelsFirst = tf.transpose(tf.reshape(x, batch, height * width, channels), 1, 0, 2)
  const mixed = tf.matMul(matrix, tf.reshape(pixelsFirst, height * width, batch * channels))
  return tf.transpose(tf.reshape(mixed, outHeight * outWidth, batch, channels), 1, 0, 2)
}

export const adaptiveAveragePoolForward: Composition<Operands<"x", "y">> = (tf, { x, y }) => ({
  y: mixPixels(tf, weights(tf, x.shape as unknown as Image, y.shape as unknown as Image), x, y),
})

export const adaptiveAveragePoolBackward: Composition<Operands<"outputGradient", "inputGradient">> = (
  tf,
  { outputGradient, inputGradient },
) => {
  const matrix = weights(tf, inputGradient.shape as unknown as Image, outputGradient.shape as unknown as Image)
  return { inputGradient: mixPixels(tf, tf.transpose(matrix, 1, 0), outputGradient, inputGradient) }
}
