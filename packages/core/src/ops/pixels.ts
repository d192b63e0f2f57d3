/** What convolutions and pools share: windows that slide over images, channels last. */
import { Schema } from "effect"
import type { ValueType } from "../op.ts"
import { whole } from "../options.ts"
import { format } from "../shape.ts"

export const PositiveInt: Schema.Int = whole(1)

/** Windows' sides, strides and padding: the CPU kernels add these in 32-bit whole numbers. */
const mostPixels = 2 ** 14
export const Side: Schema.Int = whole(1, mostPixels)
export const Padding: Schema.Int = whole(0, mostPixels)

/** How a window moves: `padding` pixels lie on every side of the image. */
export interface Geometry {
  readonly stride: number
  readonly padding: number
}

export interface Window extends Geometry {
  readonly kernelSize: number
}

/** Windows side by side. */
export const tiles = (kernelSize: number): Window => ({ kernelSize, stride: kernelSize, padding: 0 })

/** Whether windows lie side by side. */
export const areTiles = ({ kernelSize, stride, padding }: Window): boolean => stride === kernelSize && padding === 0

export const WindowSchema = Schema.Struct({ kernelSize: Side, stride: Side, padding: Padding })

/** An image's extents, or a failure. */
export const imageShape = (x: ValueType, fail: (reason: string) => never): readonly [number, number, number] =>
  x.shape.length === 3
    ? (x.shape as unknown as readonly [number, number, number])
    : fail(`the input is ${format(x.shape)}; it must be an image, height×width×channels`)

/** Extents after a window has slid over an image: ⌊(extent + 2·padding − kernelSize)/stride⌋ + 1. */
export const slide = (
  x: ValueType,
  { kernelSize, stride, padding }: Window,
  fail: (reason: string) => never,
): readonly [height: number, width: number, channels: number] => {
  const [height, width, channels] = imageShape(x, fail)
  if (Math.min(height, width) + 2 * padding < kernelSize)
    fail(`a window of ${kernelSize}×${kernelSize} does not fit an image of ${format(x.shape)} with padding ${padding}`)
  const extent = (length: number) => Math.floor((length + 2 * padding - kernelSize) / stride) + 1
  return [extent(height), extent(width), channels]
}

/** Extents after a pool's window has slid: one that lies in the padding alone has nothing to pool, so PyTorch refuses it too. */
export const slidePool = (x: ValueType, window: Window, fail: (reason: string) => never) =>
  2 * window.padding > window.kernelSize
    ? fail(`padding ${window.padding} is more than half of the window, ${window.kernelSize}`)
    : slide(x, window, fail)

/** The range of input positions that output position `i` looks at, clipped to the image. */
export type Range = (i: number, length: number, outputs: number) => readonly [from: number, to: number]

export const slidingRange =
  ({ kernelSize, stride, padding }: Window): Range =>
  (i, length) => [Math.max(0, i * stride - padding), Math.min(length, i * stride - padding + kernelSize)]

/** PyTorch's adaptive windows: from ⌊i·length/outputs⌋ to ⌈(i + 1)·length/outputs⌉. */
export const adaptiveRange: Range = (i, length, outputs) => [
  Math.floor((i * length) / outputs),
  Math.ceil(((i + 1) * length) / outputs),
]

/** Calls `visit` with the indices of an output element, of one input element in its window, and the window's area inside the image. */
export const forEachInWindow = (
  input: ReadonlyArray<number>,
  output: ReadonlyArray<number>,
  range: Range,
  visit: (from: number, to: number, area: number) => void,
): void => {
  const [batch, height, width, channels] = input as [number, number, number, number]
  const [, outHeight, outWidth] = output as [number, number, number]
  for (let n = 0; n < batch; n++)
    for (let i = 0; i < outHeight; i++) {
      const [top, bottom] = range(i, height, outHeight)
      for (let j = 0; j < outWidth; j++) {
        const [left, right] = range(j, width, outWidth)
        const to = ((n * outHeight + i) * outWidth + j) * channels
        for (let y = top; y < bottom; y++)
          for (let x = left; x < right; x++) {
            const from = ((n * height + y) * width + x) * channels
            for (let c = 0; c < channels; c++) visit(from + c, to + c, (bottom - top) * (right - left))
          }
      }
    }
}
