/**
 * Convolutions. TensorFlow.js's gradients are missing or slow in WebAssembly, but its forward convolution is fast: both gradients are
 * forward convolutions of rearranged operands.
 */
import { type KernelAttributes, Windows } from "@spikeroute/core"
import type { Tensor, Workspace } from "../workspace.ts"
import type { Composition, Operands } from "./composition.ts"
import { convolve, eachAxis, type Image, imageOf, type Pair, part, spread, weightOf } from "./sliding.ts"

type Convolution = KernelAttributes["conv2d.forward"]

/** The padding of an axis, less the spread − 1 zeros that {@link spread} adds after the last position. */
const paddingOf = ({ before, after, spread }: Windows.Axis): Windows.Sides => [before, after - spread + 1]

export const convForward: Composition<Operands<"x" | "weight", "y", "bias">, Convolution> = (
  tf,
  { x, weight, bias },
  convolution,
) => {
  const image = spread(
    tf,
    imageOf(tf, x),
    eachAxis(convolution, (axis) => axis.spread),
  )
  const slide = {
    strides: eachAxis(convolution, ({ stride }) => stride),
    dilations: eachAxis(convolution, ({ dilation }) => dilation),
    padding: eachAxis(convolution, paddingOf),
  }
  return { y: convolve(tf, image, weightOf(tf, weight), slide, convolution.groups, bias) }
}

/** Rotates a weight by 180° and swaps its channels: […, in/groups, out] becomes […, out/groups, in]. */
const turn = (tf: Workspace, weight: Tensor, groups: number): Tensor => {
  const turned = tf.reverse(weight, 0, 1)
  const [rows, columns, inputs, outputs] = weight.shape as unknown as Image
  if (groups === 1) return tf.transpose(turned, 0, 1, 3, 2)
  const apart = tf.reshape(turned, rows * columns, inputs, groups, outputs / groups)
  return tf.reshape(tf.transpose(apart, 0, 3, 2, 1), rows, columns, outputs / groups, groups * inputs)
}

/** ∂x is the convolution of ∂y, with zeros inserted for the stride, and the rotated weights with swapped channels. */
export const convInputGradient: Composition<Operands<"outputGradient" | "weight", "inputGradient">, Convolution> = (
  tf,
  { outputGradient, weight, inputGradient },
  convolution,
) => {
  const { groups } = convolution
  const turned = tf.derive(weight, "turned", () => turn(tf, weightOf(tf, weight), groups))
  const apart = spread(
    tf,
    imageOf(tf, outputGradient),
    eachAxis(convolution, (axis) => axis.stride),
  )
  const lengths = apart.shape.slice(1, 3) as unknown as Pair
  const [, ...wanted] = Windows.imagesOf(inputGradient.shape)
  const slide = {
    strides: eachAxis(convolution, (axis) => axis.spread),
    dilations: eachAxis(convolution, ({ dilation }) => dilation),
    padding: eachAxis(convolution, ({ kernel, dilation, before, spread }, i) => {
      const first = dilation * (kernel - 1) - before
      return [first, (wanted[i]! - 1) * spread + dilation * (kernel - 1) + 1 - first - lengths[i]] as const
    }),
  }
  return { inputGradient: convolve(tf, apart, turned, slide, groups) }
}

/**
 * ∂W is the convolution of x with ∂y as its filter: channels and batch swap roles, and the stride becomes the dilation. For a depthwise
 * convolution, the channels of all samples are separate groups, and the samples are then summed.
 */
export const convWeightGradient: Composition<Operands<"x" | "outputGradient", "weightGradient">, Convolution> = (
  tf,
  { x, outputGradient },
  convolution,
) => {
  const { groups } = convolution
  const image = spread(
    tf,
    imageOf(tf, x),
    eachAxis(convolution, (axis) => axis.spread),
  )
  const gradient = imageOf(tf, outputGradient)
  const [batch, height, width, inputs] = image.shape as unknown as Image
  const [, outHeight, outWidth, outputs] = gradient.shape as unknown as Image
  const slide = {
    strides: eachAxis(convolution, ({ dilation }) => dilation),
    dilations: eachAxis(convolution, ({ stride }) => stride),
    padding: eachAxis(convolution, ({ kernel, dilation, stride, before }, i) => {
      const seen = ([outHeight, outWidth][i]! - 1) * stride + 1
      return [before, (kernel - 1) * dilation + seen - before - [height, width][i]!] as const
    }),
  }
  if (groups > 1 && groups === inputs && groups === outputs) {
    const apart = tf.reshape(tf.transpose(image, 1, 2, 0, 3), 1, height, width, batch * inputs)
    const filter = tf.reshape(tf.transpose(gradient, 1, 2, 0, 3), outHeight, outWidth, 1, batch * inputs)
    const found = convolve(tf, apart, filter, slide, batch * inputs)
    const [, rows, columns] = found.shape as unknown as Image
    return { weightGradient: tf.sum(tf.reshape(found, rows * columns, batch, inputs), 1) }
  }
  const ofGroup = (group: number): Tensor => {
    const [own, theirs] = [image, gradient].map((value) => part(tf, value, group, groups)) as [Tensor, Tensor]
    const found = convolve(tf, tf.transpose(own, 3, 1, 2, 0), tf.transpose(theirs, 1, 2, 0, 3), slide, 1)
    return tf.transpose(found, 1, 2, 0, 3)
  }
  return {
    weightGradient: tf.join(
      Array.from({ length: groups }, (_, group) => ofGroup(group)),
      3,
    ),
  }
}
