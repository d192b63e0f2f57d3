/** Pools. Padding is explicit: TensorFlow.js excludes it from averages, core includes it. */
import { type KernelAttributes, Windows } from "@spikeroute/core"
import type { Tensor, Workspace } from "../workspace.ts"
import type { Composition, Operands, Target } from "./composition.ts"
import { convolve, eachAxis, type Image, imageOf, type Pair, spread, surround } from "./sliding.ts"

type WeightedWindow = KernelAttributes["averagePool.forward"]

const kernelOf = (window: Windows.Window): Pair => eachAxis(window, ({ kernel }) => kernel)
const stridesOf = (window: Windows.Window): Pair => eachAxis(window, ({ stride }) => stride)
const sidesOf = (window: Windows.Window) => eachAxis(window, ({ before, after }) => [before, after] as const)
const isDilated = ({ rows, columns }: Windows.Window): boolean => rows.dilation * columns.dilation > 1

const settings = (filterSize: Pair, strides: Pair) => ({ filterSize, strides, pad: "valid", dataFormat: "NHWC" })

const framed = (tf: Workspace, x: Tensor, window: Windows.Window, value = 0): Tensor =>
  surround(tf, imageOf(tf, x), sidesOf(window), value)

/** Removes the padding. */
const unframed = (tf: Workspace, x: Tensor, { rows, columns }: Windows.Window, { shape }: Target): Tensor =>
  rows.before + rows.after + columns.before + columns.after === 0
    ? x
    : tf.slice(x, [0, rows.before, columns.before, 0], Windows.imagesOf(shape))

/** Window sums times `share`: an average pool, or for dilated windows a convolution with equal weights. */
const sums = (tf: Workspace, x: Tensor, window: Windows.Window, strides: Pair, share: number): Tensor => {
  const kernel = kernelOf(window)
  const area = kernel[0] * kernel[1]
  const channels = x.shape.at(-1) as number
  if (!isDilated(window)) return tf.mul(Math.fround(share * area), tf.call("AvgPool", { x }, settings(kernel, strides)))
  const slide = {
    strides,
    dilations: eachAxis(window, ({ dilation }) => dilation),
    padding: [
      [0, 0],
      [0, 0],
    ],
  } as const
  return convolve(tf, x, tf.fill([...kernel, 1, channels], share), slide, channels)
}

export const averagePoolForward: Composition<Operands<"x", "y">, WeightedWindow> = (tf, { x }, window) => ({
  y: sums(tf, framed(tf, x, window), window, stridesOf(window), window.share),
})

/**
 * Each input pixel receives the sum of the output gradients of its windows, times the share. If windows tile the image this is a copy of
 * one gradient, by nearest-neighbour resizing; only for powers of two, because the resizing divides by the size in float32.
 */
export const averagePoolBackward: Composition<Operands<"outputGradient", "inputGradient">, WeightedWindow> = (
  tf,
  { outputGradient, inputGradient },
  window,
) => {
  const [, height, width] = Windows.imagesOf(inputGradient.shape)
  const gradient = imageOf(tf, outputGradient)
  const [, rows, columns] = gradient.shape as unknown as Image
  const side = Windows.sideOfTiles(window)
  if (side !== undefined && height === rows * side && width === columns * side && Number.isInteger(Math.log2(side))) {
    const images = tf.mul(window.share, gradient)
    const attributes = { size: [height, width], alignCorners: false, halfPixelCenters: false }
    return { inputGradient: tf.call("ResizeNearestNeighbor", { images }, attributes) }
  }
  const apart = spread(tf, gradient, stridesOf(window))
  const lengths = apart.shape.slice(1, 3)
  const sides = eachAxis(window, ({ kernel, dilation, before }, i) => {
    const first = dilation * (kernel - 1) - before
    return [first, [height, width][i]! + dilation * (kernel - 1) - first - lengths[i]!] as const
  })
  return { inputGradient: sums(tf, surround(tf, apart, sides), window, [1, 1], window.share) }
}

/** The padded image as seen by each tap of the window: one tensor of the output's shape per tap. */
const seen = (
  tf: Workspace,
  whole: Tensor,
  window: Windows.Window,
  [, rows, columns]: Image,
): ReadonlyArray<Tensor> => {
  const [kernelRows, kernelColumns] = kernelOf(window)
  const strides = [1, ...stridesOf(window), 1]
  return Array.from({ length: kernelRows * kernelColumns }, (_, tap) => {
    const begin = [
      0,
      Math.floor(tap / kernelColumns) * window.rows.dilation,
      (tap % kernelColumns) * window.columns.dilation,
      0,
    ]
    const spans = [1, (rows - 1) * strides[1]! + 1, (columns - 1) * strides[2]! + 1, 1]
    const end = begin.map((from, axis) => (axis === 1 || axis === 2 ? from + spans[axis]! : whole.shape[axis]!))
    const masks = { beginMask: 0, endMask: 0, ellipsisMask: 0, newAxisMask: 0, shrinkAxisMask: 0 }
    return tf.call("StridedSlice", { x: whole }, { begin, end, strides, ...masks })
  })
}

/** The maximum of each window, tap by tap if windows are dilated. */
const largest = (tf: Workspace, whole: Tensor, window: Windows.Window, y: Target): Tensor =>
  isDilated(window)
    ? seen(tf, whole, window, Windows.imagesOf(y.shape)).reduce((a, b) => tf.binary("Maximum", a, b))
    : tf.call("MaxPool", { x: whole }, settings(kernelOf(window), stridesOf(window)))

export const maxPoolForward: Composition<Operands<"x", "y">, Windows.Window> = (tf, { x, y }, window) => ({
  y: largest(tf, framed(tf, x, window, Number.NEGATIVE_INFINITY), window, y),
})

/** TensorFlow.js's WebGPU kernel ignores values below −10²⁰. Scaling by a power of two is exact. */
export const maxPoolForwardOnGpu: typeof maxPoolForward = (tf, { x, y }, window) => {
  const scaled = framed(tf, tf.mul(2 ** -64, x), window, Number.NEGATIVE_INFINITY)
  return { y: tf.mul(2 ** 64, largest(tf, scaled, window, y)) }
}

/** Routes each output gradient to the first tap that sees the window's maximum. */
const dilatedBackward: typeof maxPoolBackwardOnGpu = (tf, { x, outputGradient, inputGradient }, window) => {
  const whole = framed(tf, x, window, Number.NEGATIVE_INFINITY)
  const dy = imageOf(tf, outputGradient)
  const taps = seen(tf, whole, window, dy.shape as unknown as Image)
  const best = taps.reduce((a, b) => tf.binary("Maximum", a, b))
  const [, height, width] = whole.shape as unknown as Image
  const columns = window.columns.kernel
  let open = tf.fill(dy.shape, 1)
  let gradient: Tensor | undefined
  taps.forEach((tap, i) => {
    const wins = tf.mul(open, tf.equal(tap, best))
    open = tf.sub(open, wins)
    const given = spread(tf, tf.mul(dy, wins), stridesOf(window))
    const first = [Math.floor(i / columns) * window.rows.dilation, (i % columns) * window.columns.dilation] as const
    const sides = ([height, width] as const).map((length, axis) => {
      const before = first[axis as 0 | 1]
      return [before, length - before - given.shape[axis + 1]!] as const
    }) as unknown as Pair<Windows.Sides>
    const placed = surround(tf, given, sides)
    gradient = gradient ? tf.add(gradient, placed) : placed
  })
  return { inputGradient: unframed(tf, gradient as Tensor, window, inputGradient) }
}

/**
 * TensorFlow.js's WebGPU kernel routes the gradient to the last maximum of a window. Both images are therefore rotated by 180°, after
 * cutting off pixels that no window reaches so that the windows stay aligned.
 */
export const maxPoolBackwardOnGpu: typeof maxPoolBackward = (tf, operands, window) => {
  if (isDilated(window)) return dilatedBackward(tf, operands, window)
  const { x, outputGradient, inputGradient } = operands
  const output = imageOf(tf, outputGradient)
  const whole = framed(tf, x, window, Number.NEGATIVE_INFINITY)
  const [batch, height, width, channels] = whole.shape as unknown as Image
  const reached = eachAxis(window, ({ kernel, stride }, i) => (output.shape[i + 1]! - 1) * stride + kernel)
  const turn = (image: Tensor) => tf.reverse(image, 1, 2)
  const input = turn(tf.slice(whole, [0, 0, 0, 0], [batch, ...reached, channels]))
  const dy = turn(output)
  const gradient = turn(
    tf.call("MaxPoolGrad", { dy, input, output: dy }, settings(kernelOf(window), stridesOf(window))),
  )
  const framedGradient = surround(tf, gradient, [
    [0, height - reached[0]],
    [0, width - reached[1]],
  ])
  return { inputGradient: unframed(tf, framedGradient, window, inputGradient) }
}

/** Not for WebAssembly: TensorFlow.js's kernel there drops the gradients of windows whose maximum is negative. */
export const maxPoolBackward: Composition<Operands<"x" | "outputGradient", "inputGradient">, Windows.Window> = (
  tf,
  operands,
  window,
) => {
  if (isDilated(window)) return dilatedBackward(tf, operands, window)
  const { x, outputGradient, inputGradient } = operands
  const input = framed(tf, x, window, Number.NEGATIVE_INFINITY)
  const dy = imageOf(tf, outputGradient)
  const gradient = tf.call("MaxPoolGrad", { dy, input, output: dy }, settings(kernelOf(window), stridesOf(window)))
  return { inputGradient: unframed(tf, gradient, window, inputGradient) }
}

/** The share of each input position in each output position along one axis: [outputs, length]. */
const shares = (length: number, outputs: number): Float32Array => {
  const matrix = new Float32Array(outputs * length)
  for (let i = 0; i < outputs; i++) {
    const from = Math.floor((i * length) / outputs)
    const to = Math.ceil(((i + 1) * length) / outputs)
    matrix.fill(1 / (to - from), i * length + from, i * length + to)
  }
  return matrix
}

/** The shares along both axes: [output pixels, input pixels]. */
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

/** Multiplies each image, as a column of pixels, by a matrix. */
const mixPixels = (tf: Workspace, matrix: Tensor, x: Tensor, target: Target): Tensor => {
  const [batch, height, width, channels] = Windows.imagesOf(x.shape)
  const [, outHeight, outWidth] = Windows.imagesOf(target.shape)
  const pixelsFirst = tf.transpose(tf.reshape(x, batch, height * width, channels), 1, 0, 2)
  const mixed = tf.matMul(matrix, tf.reshape(pixelsFirst, height * width, batch * channels))
  return tf.transpose(tf.reshape(mixed, outHeight * outWidth, batch, channels), 1, 0, 2)
}

export const adaptiveAveragePoolForward: Composition<Operands<"x", "y">> = (tf, { x, y }) => ({
  y: mixPixels(tf, weights(tf, Windows.imagesOf(x.shape), Windows.imagesOf(y.shape)), x, y),
})

export const adaptiveAveragePoolBackward: Composition<Operands<"outputGradient", "inputGradient">> = (
  tf,
  { outputGradient, inputGradient },
) => {
  const matrix = weights(tf, Windows.imagesOf(inputGradient.shape), Windows.imagesOf(outputGradient.shape))
  return { inputGradient: mixPixels(tf, tf.transpose(matrix, 1, 0), outputGradient, inputGradient) }
}
