/**
 * Windows that slide over images and sequences, channels last: the common part of convolutions and pools.
 *
 * Along each axis, output i reads through tap a the input position
 *
 *     (i·stride + a·dilation − before)/spread
 *
 * if that is an integer within the input. `spread` is 1, except for transposed convolutions, whose input has spread − 1 zeros
 * between its positions. A sequence [length, channels] is an image of one row.
 */
import { Schema } from "effect"
import { whole } from "../options.ts"
import { format, type Shape } from "../shape.ts"

/** A whole number of at least 1. */
export const PositiveInt: Schema.Int = whole(1)

/** Limit of window sides, strides and padding: the CPU kernels add these with 32-bit integers. */
const mostPixels = 2 ** 14
/** The side or stride of a window. */
export const Side: Schema.Int = whole(1, mostPixels)
/** Padding on one side. */
export const Margin: Schema.Int = whole(0, mostPixels)

/** One number for both axes of an image, or a pair. */
export type Extents = number | readonly [height: number, width: number]

/** Number of zeros before and after an axis. */
export type Sides = readonly [before: number, after: number]

/** Zeros around an image: the same number on all sides, a number per axis, or a number per side. */
export type Padding = Extents | readonly [height: Sides, width: Sides]

/** The padding option of layers. `same` preserves the extents, with a stride of 1; `valid` means none. */
export type PaddingOption = Padding | "same" | "valid"

const pairOf = <A>(schema: Schema.Codec<A>, expected: string): Schema.Codec<A | readonly [A, A]> =>
  Schema.Union([schema, Schema.Tuple([schema, schema])]).annotate({ expected })

/** The Schema of {@link Extents}. */
export const ExtentsSchema: Schema.Codec<Extents> = pairOf(
  Side as Schema.Codec<number>,
  `a whole number from 1 to ${mostPixels}, or a pair of them`,
)

/** Negative for transposed convolutions, which crop instead of padding. */
const Signed: Schema.Codec<number> = whole(-mostPixels, mostPixels)
const Pair = Schema.Tuple([Signed, Signed])
/** The Schema of {@link Padding}. */
const PaddingSchema: Schema.Codec<Padding> = Schema.Union([Signed, Pair, Schema.Tuple([Pair, Pair])])

/** The Schema of {@link PaddingOption}. */
export const PaddingOptionSchema: Schema.Codec<PaddingOption> = Schema.Union([
  Margin,
  Schema.Tuple([Margin, Margin]),
  Schema.Tuple([Schema.Tuple([Margin, Margin]), Schema.Tuple([Margin, Margin])]),
  Schema.Literals(["same", "valid"]),
]).annotate({ expected: `a whole number from 0 to ${mostPixels}, a pair of them or of pairs, "same" or "valid"` })

/** A window along one axis. `before` and `after` are the padding. */
export interface Axis {
  /** Number of taps. */
  readonly kernel: number
  readonly stride: number
  /** Padding before the first position. */
  readonly before: number
  /** Padding after the last position. */
  readonly after: number
  readonly dilation: number
  /** One more than the number of zeros between input positions. */
  readonly spread: number
}

/** A window along both axes: the attributes of kernels with windows. */
export type Window = Readonly<Record<"rows" | "columns", Axis>>

/** Attributes of a node with a window, except the window's size. */
export interface Geometry {
  readonly stride: Extents
  readonly padding: Padding
  readonly dilation?: Extents
  /** For transposed convolutions: one more than the number of zeros between input positions. Default 1. */
  readonly spread?: Extents
}

/** Schemas of the attributes of {@link Geometry}. */
export const geometryFields: {
  readonly stride: Schema.Codec<Extents>
  readonly padding: Schema.Codec<Padding>
  readonly dilation: Schema.optionalKey<Schema.Codec<Extents>>
} = { stride: ExtentsSchema, padding: PaddingSchema, dilation: Schema.optionalKey(ExtentsSchema) }

const isPair = <A>(value: A | readonly [A, A]): value is readonly [A, A] => Array.isArray(value)

/** Expands one number to a pair. */
export const both = (extents: Extents): readonly [number, number] => (isPair(extents) ? extents : [extents, extents])

/** Number of zeros on each side. */
const sidesOf = (padding: Padding): readonly [Sides, Sides] => {
  const [rows, columns] = isPair<number | Sides>(padding) ? padding : [padding, padding]
  return [both(rows), both(columns)]
}

/** The axis of a sequence's single row. */
const still: Axis = { kernel: 1, stride: 1, before: 0, after: 0, dilation: 1, spread: 1 }

/** The window over a value with `axes` axes, including channels. */
export const windowOf = (
  axes: number,
  kernelSize: Extents,
  { stride, padding, dilation = 1, spread = 1 }: Geometry,
): Window => {
  const sides = sidesOf(padding)
  const axis = (i: 0 | 1): Axis => ({
    kernel: both(kernelSize)[i],
    stride: both(stride)[i],
    before: sides[i][0],
    after: sides[i][1],
    dilation: both(dilation)[i],
    spread: both(spread)[i],
  })
  return { rows: axes < 3 ? still : axis(0), columns: axis(1) }
}

/** Adjacent, non-overlapping square windows. */
export const tiles = (kernelSize: number): Window => windowOf(3, kernelSize, { stride: kernelSize, padding: 0 })

/** Number of pixels in a window. */
export const areaOf = ({ rows, columns }: Window): number => rows.kernel * columns.kernel

/** A window, and the factor applied to its sum: 1 for a sum, 1/area for a mean. */
export type WeightedWindow = Window & { readonly share: number }

/** Adjacent square windows for averaging. */
export const averagingTiles = (kernelSize: number): WeightedWindow => ({
  ...tiles(kernelSize),
  share: 1 / kernelSize ** 2,
})

/** The side of adjacent, square averaging windows; `undefined` for other windows. */
export const sideOfMeans = (window: WeightedWindow): number | undefined =>
  window.share === 1 / areaOf(window) ? sideOfTiles(window) : undefined

/** The side of adjacent, square windows; `undefined` for other windows. */
export const sideOfTiles = ({ rows, columns }: Window): number | undefined =>
  rows.kernel === columns.kernel &&
  [rows, columns].every(
    ({ kernel, stride, before, after, dilation }) => stride === kernel && !before && !after && dilation === 1,
  )
    ? rows.kernel
    : undefined

/** Shortens a pair of equal numbers to one number. */
const short = ([a, b]: readonly [number, number]): Extents => (a === b ? a : [a, b])

/**
 * Converts the options of a window to a node's attributes. `same` becomes numbers; if the number of zeros is odd, the end gets one
 * more, as in PyTorch.
 */
export const geometryOf = (
  kernelSize: Extents,
  {
    stride = 1,
    padding = 0,
    dilation = 1,
  }: { readonly stride?: Extents; readonly padding?: PaddingOption; readonly dilation?: Extents },
  fail: (reason: string) => never,
): Geometry => {
  if (padding === "same" && both(stride).some((each) => each !== 1))
    fail(`padding "same" needs a stride of 1, not ${both(stride).join("×")}`)
  const around = (i: 0 | 1): Sides => {
    const zeros = both(dilation)[i] * (both(kernelSize)[i] - 1)
    return [Math.floor(zeros / 2), Math.ceil(zeros / 2)]
  }
  const sides = padding === "same" ? ([around(0), around(1)] as const) : sidesOf(padding === "valid" ? 0 : padding)
  return {
    stride: short(both(stride)),
    padding: sides.every(([before, after]) => before === after) ? short([sides[0][0], sides[1][0]]) : sides,
    ...(both(dilation).some((each) => each !== 1) ? { dilation: short(both(dilation)) } : {}),
  }
}

/** Height, width and channels of a sample; a sequence has one row. */
export const imageOf = (shape: Shape): readonly [height: number, width: number, channels: number] =>
  shape.length === 2 ? [1, shape[0]!, shape[1]!] : (shape as unknown as readonly [number, number, number])

/** Batch size, height, width and channels of a batch. */
export const imagesOf = ([batch = 1, ...sample]: Shape): readonly [number, number, number, number] => [
  batch,
  ...imageOf(sample),
]

/** Calls `fail` with a reason unless the number of axes is that of an image (3) or a sequence (2), as allowed by `axes`. */
export const mustSlide = (shape: Shape, axes: ReadonlyArray<number>, fail: (reason: string) => never): void => {
  const kinds = ["a sequence, length×channels", "an image, height×width×channels"]
  if (!axes.includes(shape.length))
    fail(`the input is ${format(shape)}; it must be ${axes.map((each) => kinds[each - 2]).join(" or ")}`)
}

/** Number of positions that a window spans. */
const spanOf = ({ kernel, dilation }: Axis): number => dilation * (kernel - 1) + 1

/** The extents of the output of a window over a value [height, width, channels] or [length, channels]. */
export const slide = (shape: Shape, { rows, columns }: Window, fail: (reason: string) => never): Shape => {
  const axes = shape.length < 3 ? [columns] : [rows, columns]
  const extents = axes.map((axis, i) => {
    const length = (shape[i]! - 1) * axis.spread + 1 + axis.before + axis.after
    return Math.floor((length - spanOf(axis)) / axis.stride) + 1
  })
  if (extents.some((extent) => extent < 1)) {
    const times = (of: (axis: Axis) => number) => axes.map(of).join("×")
    const sides = axes.map(({ before, after }) => (before === after ? `${before}` : `${before} and ${after}`))
    const dilated = axes.some(({ dilation }) => dilation > 1)
      ? ` and dilation ${times(({ dilation }) => dilation)}`
      : ""
    fail(
      `a window of ${times(({ kernel }) => kernel)} does not fit ${axes.length === 1 ? "a sequence" : "an image"} of ${format(shape)} with padding ${[...new Set(sides)].join(" × ")}${dilated}`,
    )
  }
  return extents
}

/** The output shape of a pool. Windows entirely within the padding are rejected, as in PyTorch. */
export const slidePool = (shape: Shape, window: Window, fail: (reason: string) => never): Shape => {
  mustSlide(shape, [2, 3], fail)
  for (const axis of [window.rows, window.columns])
    if (2 * Math.max(axis.before, axis.after) > spanOf(axis))
      fail(`padding ${Math.max(axis.before, axis.after)} is more than half of the window, ${spanOf(axis)}`)
  const extents = slide(shape, window, fail)
  // A short axis may fit entirely between dilated taps.
  const [height, width] = imageOf([...extents, 1])
  const [inHeight, inWidth] = imageOf(shape)
  const seen = [...slidingTaps(window.rows, inHeight, height), ...slidingTaps(window.columns, inWidth, width)]
  if (seen.some((taps) => taps.length === 0)) fail(`a window over ${format(shape)} lies entirely in the padding`)
  return [...extents, shape.at(-1)!]
}

/** For each output position along an axis: the taps that read an input position, and that position. */
export type Taps = ReadonlyArray<ReadonlyArray<readonly [tap: number, position: number]>>

/** The taps of a sliding window along an axis. */
const slidingTaps = (axis: Axis, length: number, outputs: number): Taps =>
  Array.from({ length: outputs }, (_, i) =>
    Array.from(
      { length: axis.kernel },
      (_, a) => [a, (i * axis.stride + a * axis.dilation - axis.before) / axis.spread] as const,
    ).filter(([, position]) => Number.isInteger(position) && position >= 0 && position < length),
  )

/** PyTorch's adaptive windows: from ⌊i·length/outputs⌋ to ⌈(i + 1)·length/outputs⌉. */
const adaptiveTaps = (length: number, outputs: number): Taps =>
  Array.from({ length: outputs }, (_, i) => {
    const from = Math.floor((i * length) / outputs)
    const count = Math.ceil(((i + 1) * length) / outputs) - from
    return Array.from({ length: count }, (_, a) => [a, from + a] as const)
  })

/** The taps of both axes. Without a window, those of adaptive pooling. */
export const tapsOf = (input: Shape, output: Shape, window?: Window): readonly [rows: Taps, columns: Taps] => {
  const [, height, width] = imagesOf(input)
  const [, outHeight, outWidth] = imagesOf(output)
  return window === undefined
    ? [adaptiveTaps(height, outHeight), adaptiveTaps(width, outWidth)]
    : [slidingTaps(window.rows, height, outHeight), slidingTaps(window.columns, width, outWidth)]
}

/**
 * Calls `visit` for every pair of pixels that a tap connects: indices of the input pixel, output pixel and tap, and the number of
 * taps within the image. Without a window, uses the windows of adaptive pooling.
 */
export const forEachTap = (
  input: Shape,
  output: Shape,
  window: Window | undefined,
  visit: (inputPixel: number, outputPixel: number, tap: number, area: number) => void,
): void => {
  const [batch, height, width] = imagesOf(input)
  const [rows, columns] = tapsOf(input, output, window)
  const across = window?.columns.kernel ?? 1
  let to = 0
  for (let n = 0; n < batch; n++)
    for (const down of rows)
      for (const along of columns) {
        for (const [a, y] of down)
          for (const [b, x] of along)
            visit((n * height + y) * width + x, to, a * across + b, down.length * along.length)
        to++
      }
}

/**
 * Calls `visit` with the indices of an input element and an output element whose window contains it, and the window's area within
 * the image.
 */
export const forEachInWindow = (
  input: Shape,
  output: Shape,
  window: Window | undefined,
  visit: (from: number, to: number, area: number) => void,
): void => {
  const channels = input.at(-1)!
  forEachTap(input, output, window, (from, to, _, area) => {
    for (let c = 0; c < channels; c++) visit(from * channels + c, to * channels + c, area)
  })
}
