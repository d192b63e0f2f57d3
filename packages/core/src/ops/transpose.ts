/** Transpose: axis j of the output is axis axes[j] of the input, within each sample. PyTorch's `permute`. */
import { Schema } from "effect"
import { type Layer, leaf, node } from "../graph/builder.ts"
import { must, type Of, whole } from "../options.ts"
import { format, type Shape } from "../shape.ts"
import { mostMovedAxes, rearrangement, rearranging, stridesOf } from "./rearrange.ts"

interface Attributes {
  readonly axes: ReadonlyArray<number>
}

/** The Schema of the options of {@link transpose}. */
export const TransposeSchema: Of<Attributes> = Schema.Struct({
  axes: Schema.Array(whole(0, mostMovedAxes - 1)).check(
    must("every axis from 0 on, once", (axes) => axes.every((_, axis) => axes.includes(axis))),
  ) as Schema.Codec<ReadonlyArray<number>>,
})

const permuted = (shape: Shape, axes: ReadonlyArray<number>): Shape => axes.map((axis) => shape[axis]!)

export const transposeOp = rearranging<Attributes>({
  name: "transpose",
  attributes: TransposeSchema,
  inputs: ["activation"],
  shape: ([x = []], { axes }, fail) =>
    axes.length === x.length
      ? permuted(x, axes)
      : fail(`the input is ${format(x)}; axes [${axes}] must name each of its ${x.length} axes`),
  moves: ([x = []], { axes }) => {
    const from = stridesOf(x)
    const to = stridesOf(permuted(x, axes))
    return rearrangement(axes.map((axis, j) => ({ count: x[axis]!, from: from[axis]!, to: to[j]! })))
  },
})

/**
 * Permutes the axes, counted from 0 without the batch.
 *
 * @example
 * const mixer = Graph.sequential(transpose({ axes: [1, 0] }), linear({ features: 16 }), lif(), transpose({ axes: [1, 0] }))
 */
export const transpose = (options: { readonly axes: ReadonlyArray<number> }): Layer =>
  leaf("transpose", TransposeSchema, options, (x, name, given) => node(x, name, transposeOp, given, [x]))
