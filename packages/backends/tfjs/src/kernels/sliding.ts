/**
 * Sliding windows in terms of TensorFlow.js kernels. Gradients with respect to an image or a filter are the same sums over a rearranged
 * image: with zeros inserted, padded or cropped.
 */
import { Windows } from "@spikeroute/core"
import type { Tensor, Workspace } from "../workspace.ts"

export type Image = readonly [batch: number, height: number, width: number, channels: number]

/** A value for rows and one for columns. */
export type Pair<A = number> = readonly [rows: A, columns: A]

/** The movement of a window over an image. */
export interface Slide {
  readonly strides: Pair
  readonly dilations: Pair
  /** Zeros before and after each axis; negative numbers crop. */
  readonly padding: Pair<Windows.Sides>
}

export const eachAxis = <A>({ rows, columns }: Windows.Window, of: (axis: Windows.Axis, i: 0 | 1) => A): Pair<A> => [
  of(rows, 0),
  of(columns, 1),
]

/** An image; a sequence becomes an image with one row. */
export const imageOf = (tf: Workspace, x: Tensor): Tensor =>
  x.shape.length === 4 ? x : tf.reshape(x, ...Windows.imagesOf(x.shape))

/** A filter; that of a sequence gets one row. */
export const weightOf = (tf: Workspace, weight: Tensor): Tensor =>
  weight.shape.length === 4 ? weight : tf.reshape(weight, 1, ...weight.shape)

/** Inserts zeros after every pixel: down − 1 rows and across − 1 columns. */
export const spread = (tf: Workspace, x: Tensor, [down, across]: Pair): Tensor => {
  if (down === 1 && across === 1) return x
  const [batch, height, width, channels] = x.shape as unknown as Image
  const after = (zeros: number) =>
    [
      [0, 0],
      [0, zeros],
      [0, 0],
    ] as const
  const columns = tf.pad(tf.reshape(x, batch * height * width, 1, channels), after(across - 1))
  const rows = tf.pad(tf.reshape(columns, batch * height, 1, width * across * channels), after(down - 1))
  return tf.reshape(rows, batch, height * down, width * across, channels)
}

/** Pads an image with a value, or crops it. */
export const surround = (tf: Workspace, x: Tensor, sides: Pair<Windows.Sides>, value = 0): Tensor => {
  const [batch, height, width, channels] = x.shape as unknown as Image
  const [[top, bottom], [left, right]] = sides
  const cut = (amount: number): number => Math.max(0, -amount)
  const add = ([before, after]: Windows.Sides) => [Math.max(0, before), Math.max(0, after)] as const
  const kept =
    Math.min(top, bottom, left, right) >= 0
      ? x
      : tf.slice(
          x,
          [0, cut(top), cut(left), 0],
          [batch, height - cut(top) - cut(bottom), width - cut(left) - cut(right), channels],
        )
  return Math.max(top, bottom, left, right) <= 0
    ? kept
    : tf.pad(kept, [[0, 0], add(sides[0]), add(sides[1]), [0, 0]], value)
}

/** The channels of one group. */
export const part = (tf: Workspace, x: Tensor, group: number, groups: number): Tensor => {
  if (groups === 1) return x
  const channels = (x.shape.at(-1) as number) / groups
  const from = x.shape.map((_, axis) => (axis === 3 ? group * channels : 0))
  return tf.slice(x, from, [...x.shape.slice(0, 3), channels])
}

/** A filter with zeros inserted between its taps. */
const dilated = (tf: Workspace, filter: Tensor, [down, across]: Pair): Tensor => {
  const [rows, columns, inputs, outputs] = filter.shape as unknown as Image
  const apart = spread(tf, tf.reshape(filter, 1, rows, columns, inputs * outputs), [down, across])
  const cut = surround(tf, apart, [
    [0, 1 - down],
    [0, 1 - across],
  ])
  return tf.reshape(cut, cut.shape[1]!, cut.shape[2]!, inputs, outputs)
}

/**
 * Convolves x [batch, height, width, in] with a filter [height, width, in/groups, out]: depthwise if there are as many groups as input and
 * output channels, else group by group.
 */
export const convolve = (
  tf: Workspace,
  x: Tensor,
  given: Tensor,
  { strides, dilations: wanted, padding }: Slide,
  groups: number,
  bias?: Tensor,
): Tensor => {
  // TensorFlow.js rejects strided dilated windows: insert the zeros into the filter instead.
  const isBoth = strides.some((stride) => stride > 1) && wanted.some((dilation) => dilation > 1)
  const filter = isBoth ? dilated(tf, given, wanted) : given
  const dilations = isBoth ? ([1, 1] as const) : wanted
  // TensorFlow.js pads but does not crop.
  const cuts = padding.flat().some((side) => side < 0)
  const image = cuts ? surround(tf, x, padding) : x
  const sides = cuts
    ? ([
        [0, 0],
        [0, 0],
      ] as const)
    : padding
  const attributes = { strides, dilations, pad: [[0, 0], ...sides, [0, 0]], dataFormat: "NHWC", activation: "linear" }
  if (groups === 1) return tf.call("FusedConv2D", { x: image, filter, bias }, attributes)
  const [rows, columns, inputs, outputs] = filter.shape as unknown as Image
  const made =
    inputs === 1 && outputs === groups
      ? // This kernel supports only symmetric padding.
        tf.call(
          "DepthwiseConv2dNative",
          { x: cuts ? image : surround(tf, image, padding), filter: tf.reshape(filter, rows, columns, groups, 1) },
          { strides, dilations, pad: "valid", dataFormat: "NHWC" },
        )
      : tf.join(
          Array.from({ length: groups }, (_, g) =>
            tf.call("FusedConv2D", { x: part(tf, image, g, groups), filter: part(tf, filter, g, groups) }, attributes),
          ),
          3,
        )
  return bias ? tf.add(made, bias) : made
}
