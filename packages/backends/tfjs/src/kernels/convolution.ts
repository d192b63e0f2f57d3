/**
 * Convolutions. TensorFlow.js's own gradients are missing or slow in WebAssembly, where its forward convolution is fast: both
 * gradients are forward convolutions of rearranged operands.
 */
import type { KernelAttributes } from "@spikeroute/core"
import { around } from "../workspace.ts"
import type { Composition, Operands } from "./composition.ts"
import { margins, spread, surround } from "./spread.ts"

type Geometry = KernelAttributes["conv2d.forward"]

type Image = readonly [batch: number, height: number, width: number, channels: number]

export const convForward: Composition<Operands<"x" | "weight", "y", "bias">, Geometry> = (
  tf,
  { x, weight, bias },
  { stride, padding },
) => ({ y: tf.conv2d(x, weight, { stride, padding: around(padding) }, bias) })

/** ∂x is the convolution of ∂y, spread apart by the stride, with the weights turned by 180° and their channels swapped. */
export const convInputGradient: Composition<Operands<"outputGradient" | "weight", "inputGradient">, Geometry> = (
  tf,
  { outputGradient, weight, inputGradient },
  { stride, padding },
) => {
  const size = weight.shape[0] as number
  const turned = tf.derive(weight, "turned", () => tf.transpose(tf.reverse(weight, 0, 1), 0, 1, 3, 2))
  const apart = spread(tf, outputGradient, stride)
  const [, height, width] = inputGradient.shape as unknown as Image
  const [, rows, columns] = apart.shape as unknown as Image
  const [top, bottom] = margins(rows, size, padding, height)
  const [left, right] = margins(columns, size, padding, width)
  // The convolution pads by itself, but does not cut.
  if (Math.min(top, bottom, left, right) >= 0)
    return { inputGradient: tf.conv2d(apart, turned, { padding: { top, bottom, left, right } }) }
  return { inputGradient: tf.conv2d(surround(tf, apart, size, padding, inputGradient), turned, {}) }
}

/** ∂W is the convolution of x with ∂y as its filter: channels take the batch's place, and the stride becomes the dilation. */
export const convWeightGradient: Composition<Operands<"x" | "outputGradient", "weightGradient">, Geometry> = (
  tf,
  { x, outputGradient, weightGradient },
  { stride, padding },
) => {
  const [rows, columns, inputs, outputs] = weightGradient.shape as unknown as Image
  const found = tf.conv2d(tf.transpose(x, 3, 1, 2, 0), tf.transpose(outputGradient, 1, 2, 0, 3), {
    dilation: stride,
    padding: around(padding),
  })
  const wider = found.shape[1] !== rows || found.shape[2] !== columns
  const taps = wider ? tf.slice(found, [0, 0, 0, 0], [inputs, rows, columns, outputs]) : found
  return { weightGradient: tf.transpose(taps, 1, 2, 0, 3) }
}
