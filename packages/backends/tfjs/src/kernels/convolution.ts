/**
 * Convolutions. TensorFlow.js's own gradients are missing or slow in WebAssembly, where its forward convolution is fast: both
 * gradients are forward convolutions of rearranged operands.
 */
import type { Tensor, Workspace } from "../workspace.ts"
import { around } from "../workspace.ts"
import type { Composition, Operands } from "./composition.ts"

interface Geometry {
  readonly stride: number
  readonly padding: number
}

type Image = readonly [batch: number, height: number, width: number, channels: number]

export const convForward: Composition<Operands<"x" | "weight", "y", "bias">, Geometry> = (
  tf,
  { x, weight, bias },
  { stride, padding },
) => ({ y: tf.conv2d(x, weight, { stride, padding: around(padding) }, bias) })

/** Puts stride − 1 zeros after every pixel, in rows and columns. */
const spread = (tf: Workspace, x: Tensor, stride: number): Tensor => {
  if (stride === 1) return x
  const [batch, height, width, channels] = x.shape as unknown as Image
  const between = [
    [0, 0],
    [0, stride - 1],
    [0, 0],
  ] as const
  const columns = tf.pad(tf.reshape(x, batch * height * width, 1, channels), between)
  const rows = tf.pad(tf.reshape(columns, batch * height, 1, width * stride * channels), between)
  return tf.reshape(rows, batch, height * stride, width * stride, channels)
}

/**
 * ∂x is the convolution of ∂y, its pixels spread by the stride, with the weights turned by 180° and their channels swapped.
 * Where the padding exceeds the window, or the image goes on behind the last window, ∂y is cut.
 */
export const convInputGradient: Composition<Operands<"outputGradient" | "weight", "inputGradient">, Geometry> = (
  tf,
  { outputGradient, weight, inputGradient },
  { stride, padding },
) => {
  const [batch, height, width] = inputGradient.shape as unknown as Image
  const [size, , , outputs] = weight.shape as unknown as Image
  const turned = tf.derive(weight, "turned", () => tf.transpose(tf.reverse(weight, 0, 1), 0, 1, 3, 2))
  const apart = spread(tf, outputGradient, stride)
  const [, rows, columns] = apart.shape as unknown as Image
  const before = size - 1 - padding
  const after = (extent: number, length: number): number => length - extent - before + size - 1
  const cut = (amount: number): number => Math.max(0, -amount)
  const bottom = after(rows, height)
  const right = after(columns, width)
  const kept =
    before < 0 || bottom < 0 || right < 0
      ? tf.slice(
          apart,
          [0, cut(before), cut(before), 0],
          [batch, rows - cut(before) - cut(bottom), columns - cut(before) - cut(right), outputs],
        )
      : apart
  const start = Math.max(0, before)
  const gradient = tf.conv2d(kept, turned, {
    padding: { top: start, left: start, bottom: Math.max(0, bottom), right: Math.max(0, right) },
  })
  return { inputGradient: gradient }
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
