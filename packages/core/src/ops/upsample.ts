/**
 * Nearest-neighbour upsampling of images and sequences: y[i, j, c] = x[⌊i/rows⌋, ⌊j/columns⌋, c]. PyTorch's
 * `nn.Upsample(scale_factor, mode="nearest")` for integer factors.
 */
import { Schema } from "effect"
import { type Layer, leaf, node } from "../graph/builder.ts"
import type { Of } from "../options.ts"
import { failAt } from "./conv2d.ts"
import { rearrangement, rearranging } from "./rearrange.ts"
import { both, type Extents, ExtentsSchema, imageOf, mustSlide, Side } from "./window.ts"

interface Attributes {
  readonly scaleFactor: Extents
}

/** The Schema of the options of {@link upsample}. */
export const UpsampleSchema: Of<Attributes> = Schema.Struct({ scaleFactor: ExtentsSchema })
/** The Schema of the options of {@link upsample1d}. */
export const Upsample1dSchema: Of<{ readonly scaleFactor: number }> = Schema.Struct({
  scaleFactor: Side as Schema.Codec<number>,
})

export const upsampleOp = rearranging<Attributes>({
  name: "upsample",
  attributes: UpsampleSchema,
  inputs: ["activation"],
  shape: ([x = []], { scaleFactor }, fail) => {
    mustSlide(x, [2, 3], fail)
    const factors = x.length === 2 ? [both(scaleFactor)[1]] : both(scaleFactor)
    return [...factors.map((factor, axis) => factor * x[axis]!), x.at(-1)!]
  },
  moves: ([x = []], { scaleFactor }) => {
    const [height, width, channels] = imageOf(x)
    const [down, across] = x.length === 2 ? [1, both(scaleFactor)[1]] : both(scaleFactor)
    const row = width * across * channels
    return rearrangement([
      { count: height, from: width * channels, to: down * row },
      { count: down, from: 0, to: row },
      { count: width, from: channels, to: across * channels },
      { count: across, from: 0, to: channels },
      { count: channels, from: 1, to: 1 },
    ])
  },
})

/**
 * Nearest-neighbour upsampling of images [height, width, channels] by an integer factor, or one for rows and one for columns.
 *
 * @example
 * const decoder = Graph.sequential(upsample({ scaleFactor: 2 }), conv2d({ channels: 8, kernelSize: 3, padding: "same" }), lif())
 */
export const upsample = (options: { readonly scaleFactor: Extents }): Layer =>
  leaf("upsample", UpsampleSchema, options, (x, name, given) => {
    mustSlide(x.shape, [3], failAt(name, "upsample"))
    return node(x, name, upsampleOp, given, [x])
  })

/** Nearest-neighbour upsampling of sequences [length, channels] by an integer factor. */
export const upsample1d = (options: { readonly scaleFactor: number }): Layer =>
  leaf("upsample1d", Upsample1dSchema, options, (x, name, given) => {
    mustSlide(x.shape, [2], failAt(name, "upsample1d"))
    return node(x, name, upsampleOp, given, [x])
  })
