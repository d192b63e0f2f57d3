/** Slice: the elements from `start` up to but excluding `end` along an axis. PyTorch's `narrow`. */
import { Schema } from "effect"
import { type Layer, leaf, node } from "../graph/builder.ts"
import { type Of, whole } from "../options.ts"
import { format } from "../shape.ts"
import { mostMovedAxes, rearrangement, rearranging, stridesOf } from "./rearrange.ts"

interface Attributes {
  readonly axis: number
  readonly start: number
  readonly end: number
}

/** An axis of a value, counted from 0 without the batch. */
export const AxisSchema: Schema.Codec<number> = whole(0, mostMovedAxes - 1)
const Place: Schema.Codec<number> = whole(0)

export const sliceOp = rearranging<Attributes>({
  name: "slice",
  attributes: Schema.Struct({ axis: AxisSchema, start: Place, end: Place }),
  inputs: ["activation"],
  shape: ([x = []], { axis, start, end }, fail) => {
    const extent = x[axis] ?? fail(`the input is ${format(x)}, which has no axis ${axis}`)
    if (start >= end || end > extent)
      fail(`elements ${start} to before ${end} of axis ${axis} are wanted; the input is ${format(x)}`)
    return x.with(axis, end - start)
  },
  moves: ([x = []], { axis, start, end }) => {
    const from = stridesOf(x)
    const y = x.with(axis, end - start)
    const to = stridesOf(y)
    return rearrangement(
      y.map((count, i) => ({ count, from: from[i]!, to: to[i]! })),
      start * from[axis]!,
    )
  },
})

/** Options of {@link slice}. */
export interface SliceOptions {
  /** Index of the first element. Default 0. */
  readonly start?: number
  /** Index after the last element. Default: the extent of the axis. */
  readonly end?: number
  /** The axis, counted from 0 without the batch. Default: the last one, channels. */
  readonly axis?: number
}

/** The Schema of {@link SliceOptions}. */
export const SliceSchema: Of<SliceOptions> = Schema.Struct({
  start: Schema.optionalKey(Place),
  end: Schema.optionalKey(Place),
  axis: Schema.optionalKey(AxisSchema),
})

/**
 * Selects a range of a value along an axis.
 *
 * @throws GraphError while the graph is built, if the range is not within the axis
 * @example
 * const gated = (x: Graph.Tensor) => add(x.pipe(slice({ end: 8 })), x.pipe(slice({ start: 8 }), lif()))
 */
export const slice = (options: SliceOptions): Layer =>
  leaf("slice", SliceSchema, options, (x, name, { axis = x.shape.length - 1, start = 0, end = x.shape[axis] ?? 0 }) =>
    node(x, name, sliceOp, { axis, start, end }, [x]),
  )
