/** Concatenation of values along an axis: PyTorch's `cat`. */
import { Schema } from "effect"
import { leaf, node, type Tensor } from "../graph/builder.ts"
import { type Of, whole } from "../options.ts"
import { equals, format, type Shape } from "../shape.ts"
import { rearrangement, rearranging, stridesOf } from "./rearrange.ts"
import { AxisSchema } from "./slice.ts"

interface Attributes {
  readonly axis: number
  readonly inputs: number
}

/** The total extent of the inputs along an axis. */
const extentOf = (inputs: ReadonlyArray<Shape>, axis: number, count = inputs.length): number =>
  inputs.slice(0, count).reduce((sum, shape) => sum + shape[axis]!, 0)

export const concatenateOp = rearranging<Attributes>({
  name: "concatenate",
  attributes: Schema.Struct({ axis: AxisSchema, inputs: whole(1, 1024) as Schema.Codec<number> }),
  inputs: ({ inputs }) => Array.from({ length: inputs }, () => "activation"),
  shape: (inputs, { axis }, fail) => {
    const [first = []] = inputs
    if (axis >= first.length) fail(`an input is ${format(first)}, which has no axis ${axis}`)
    for (const other of inputs)
      if (other.length !== first.length || !equals(other.with(axis, 1), first.with(axis, 1)))
        fail(`its inputs are ${format(first)} and ${format(other)}; they may differ along axis ${axis} alone`)
    return first.with(axis, extentOf(inputs, axis))
  },
  moves: (inputs, { axis }, i) => {
    const x = inputs[i]!
    const from = stridesOf(x)
    const to = stridesOf(x.with(axis, extentOf(inputs, axis)))
    return rearrangement(
      x.map((count, a) => ({ count, from: from[a]!, to: to[a]! })),
      0,
      extentOf(inputs, axis, i) * to[axis]!,
    )
  },
})

/** Options of {@link concatenate}. */
export interface ConcatenateOptions {
  /** The axis, counted from 0 without the batch. Default: the last one, channels. */
  readonly axis?: number
}

/** The Schema of {@link ConcatenateOptions}. */
export const ConcatenateSchema: Of<ConcatenateOptions> = Schema.Struct({ axis: Schema.optionalKey(AxisSchema) })

/**
 * Concatenates values along an axis, by default the channels.
 *
 * @throws GraphError if shapes differ along another axis
 * @example
 * const branches: Graph.Layer = (x) =>
 *   concatenate([x.pipe(conv2d({ channels: 4, kernelSize: 1 })), x.pipe(conv2d({ channels: 4, kernelSize: 3, padding: 1 }))])
 */
export const concatenate = (values: ReadonlyArray<Tensor>, options: ConcatenateOptions = {}): Tensor => {
  const [first] = Array.isArray(values) ? (values as ReadonlyArray<Tensor>) : [values as unknown as Tensor]
  const layer = leaf("concatenate", ConcatenateSchema, options, (x, name, { axis = x.shape.length - 1 }) =>
    node(x, name, concatenateOp, { axis, inputs: values.length }, values),
  )
  return layer(first as Tensor)
}
