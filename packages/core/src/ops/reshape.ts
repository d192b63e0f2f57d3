/**
 * Reshape: the same elements in the same order, with another shape. Channels are last in memory, so a vector reshaped to an image
 * [height, width, channels] is read pixel by pixel, whereas PyTorch's `nn.Unflatten` reads it channel by channel; weights are
 * reordered on import and export.
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

/** The Schema of the options of {@link reshape}. */
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
 * Changes the shape of each sample, preserving the order of elements. With one axis it is {@link flatten}, which is a no-op at run
 * time.
 *
 * @throws GraphError while the graph is built, if the number of elements differs
 * @example
 * const decoder = Graph.sequential(linear({ features: 7 * 7 * 4 }), lif(), reshape({ shape: [7, 7, 4] }))
 */
export const reshape = (options: { readonly shape: Shape }): Layer =>
  leaf("reshape", ReshapeSchema, options, (x, name, given) =>
    given.shape.length === 1 && given.shape[0] === size(x.shape)
      ? node(x, name, flattenOp, {}, [x])
      : node(x, name, reshapeOp, given, [x]),
  )
