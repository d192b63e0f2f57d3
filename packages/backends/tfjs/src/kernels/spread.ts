/** Gradients with respect to an image that a window slides over, as the forward direction over a rearranged image. */
import type { Tensor, Workspace } from "../workspace.ts"
import type { Target } from "./composition.ts"

type Image = readonly [batch: number, height: number, width: number, channels: number]

/** Puts stride − 1 zeros after every pixel, in rows and columns. */
export const spread = (tf: Workspace, x: Tensor, stride: number): Tensor => {
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

/** How many zeros come before the pixels of an axis and after them; where negative, how many pixels go. */
export const margins = (length: number, window: number, padding: number, extent: number): readonly [number, number] => {
  const before = window - 1 - padding
  return [before, extent + window - 1 - length - before]
}

/** Puts zeros around an image (or cuts it) so that a window that slides over it by 1 gives an image of the target's extent. */
export const surround = (tf: Workspace, x: Tensor, window: number, padding: number, target: Target): Tensor => {
  const [batch, height, width, channels] = x.shape as unknown as Image
  const [, targetHeight, targetWidth] = target.shape as unknown as Image
  const [top, bottom] = margins(height, window, padding, targetHeight)
  const [left, right] = margins(width, window, padding, targetWidth)
  const cut = (amount: number): number => Math.max(0, -amount)
  const add = (amount: number): number => Math.max(0, amount)
  const kept =
    Math.min(top, bottom, left, right) >= 0
      ? x
      : tf.slice(
          x,
          [0, cut(top), cut(left), 0],
          [batch, height - cut(top) - cut(bottom), width - cut(left) - cut(right), channels],
        )
  if (Math.max(top, bottom, left, right) <= 0) return kept
  return tf.pad(kept, [
    [0, 0],
    [add(top), add(bottom)],
    [add(left), add(right)],
    [0, 0],
  ])
}
