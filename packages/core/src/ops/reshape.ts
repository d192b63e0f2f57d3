/**
 * Reshape: the same elements in the same order, under another shape. In memory channels are last, so that a row of features that becomes an
 * image [height, width, channels] gives each pixel its channels; PyTorch's `nn.Unflatten` gives each channel its pixels, and weights
 * are reordered when they are imported or exported.
 */
import { Schema } from "effect"
import { type Layer, leaf, node } from "../graph/builder.ts"
import { must, type Of, whole } from "../options.ts"
import { format, type Shape, size } from "../shape.ts"
import { flattenOp } from "./flatten.ts"
import { mostMovedAxes, rearrangement, rearranging } from "./rearrange.ts"

interface Attributes {
  readonly shape: Shape
}

export const ReshapeSchema: Of<Attributes> = Schema.Struct({
  shape: Schema.Array(whole(1)).check(
    must(`1 to ${mostMovedAxes} extents`, ({ length }) => length >= 1 && length <= mostMovedAxes),
  ) as Schema.Codec<Shape>,
})

export const reshapeOp = rearranging<Attributes>({
  name: "reshape",
  attributes: ReshapeSchema,
  inputs: ["activation"],
  shape: ([x = []], { shape }, fail) =>
    size(x) === size(shape)
      ? shape
      : fail(`the input is ${format(x)}, ${size(x)} elements; ${format(shape)} has ${size(shape)}`),
  moves: ([x = []]) => rearrangement([{ count: size(x), from: 1, to: 1 }]),
})

/**
 * The same elements under another shape, samples apart. To one axis it is {@link flatten}, which costs nothing.
 *
 * @example
 * const decoder = Graph.sequential(linear({ features: 7 * 7 * 4 }), lif(), reshape({ shape: [7, 7, 4] }))
 */
export const reshape = (options: { readonly shape: Shape }): Layer =>
  leaf("reshape", ReshapeSchema, options, (x, name, given) =>
    given.shape.length === 1 && given.shape[0] === size(x.shape)
      ? node(x, name, flattenOp, {}, [x])
      : node(x, name, reshapeOp, given, [x]),
  )
