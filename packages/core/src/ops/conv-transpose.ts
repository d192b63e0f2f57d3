/**
 * Transposed convolutions of images and sequences: convolutions of an input with stride − 1 zeros between its pixels; see
 * conv2d.ts. PyTorch stores the weight flipped, as [in, out/groups, kernel, kernel].
 */
import { Schema } from "effect"
import { type Layer, leaf, type Tensor } from "../graph/builder.ts"
import type { Of } from "../options.ts"
import { format, size } from "../shape.ts"
import { type Conv1dOptions, Conv1dSchema } from "./conv1d.ts"
import {
  type Attributes,
  type Conv2dOptions,
  Conv2dSchema,
  convolutionFields,
  convolutionOp,
  convolutionParts,
  failAt,
  withParameters,
} from "./conv2d.ts"
import { both, type Extents, ExtentsSchema, Margin } from "./window.ts"

export const convTransposeOp = convolutionOp(
  "convTranspose",
  Schema.Struct({ ...convolutionFields, spread: ExtentsSchema }),
)

/** Options of {@link convTranspose2d}. */
export interface ConvTranspose2dOptions extends Omit<Conv2dOptions, "padding"> {
  /** Padding of the convolution that it transposes: the number of output pixels removed on every side. Default 0. */
  readonly padding?: Extents
  /** Extra output pixels at the end of each axis; fewer than the stride or the dilation. Default 0. */
  readonly outputPadding?: Extents
}

const MarginsSchema: Schema.Codec<Extents> = Schema.Union([Margin, Schema.Tuple([Margin, Margin])]).annotate({
  expected: "a whole number from 0 to 16384, or a pair of them",
})

/** The Schema of {@link ConvTranspose2dOptions}. */
export const ConvTranspose2dSchema: Of<ConvTranspose2dOptions> = Schema.Struct({
  ...Conv2dSchema.fields,
  padding: Schema.optionalKey(MarginsSchema),
  outputPadding: Schema.optionalKey(MarginsSchema),
})

const transposed = (
  x: Tensor,
  name: string,
  axes: number,
  kind: string,
  { padding = 0, outputPadding = 0, stride = 1, dilation = 1, ...options }: ConvTranspose2dOptions,
): Tensor => {
  const fail = failAt(name, kind)
  for (const i of [0, 1] as const)
    if (both(outputPadding)[i] >= Math.max(both(stride)[i], both(dilation)[i]))
      fail(`outputPadding is ${both(outputPadding)[i]}; it must be less than the stride or the dilation`)
  const sides = (i: 0 | 1): readonly [number, number] => {
    const before = both(dilation)[i] * (both(options.kernelSize)[i] - 1) - both(padding)[i]
    return [before, before + both(outputPadding)[i]]
  }
  const { attributes, shape } = convolutionParts(x, axes, { ...options, dilation }, fail)
  x.shape.slice(0, -1).forEach((length, i) => {
    const axis = (i + 3 - axes) as 0 | 1
    const [before, after] = sides(axis)
    if (
      (length - 1) * both(stride)[axis] + before + after <
      both(dilation)[axis] * (both(options.kernelSize)[axis] - 1)
    )
      fail(`padding ${both(padding)[axis]} leaves nothing of an output for an input of ${format(x.shape)}`)
  })
  const parts = {
    shape,
    // As in PyTorch, whose weight has the outputs of a group as its second axis.
    fanIn: (size(shape.slice(0, -2)) * options.channels) / (options.groups ?? 1),
    attributes: { ...attributes, padding: [sides(0), sides(1)], spread: stride } as Attributes,
  }
  return withParameters(x, name, convTransposeOp, options, parts)
}

/**
 * A transposed convolution: the gradient of {@link conv2d} with respect to its input, as a layer. It enlarges images: height' =
 * (height − 1)·stride − 2·padding + dilation·(kernel − 1) + outputPadding + 1.
 *
 * Default initialisation as in PyTorch: uniform within ±1/√(outputs/groups·kernel area).
 */
export const convTranspose2d = (options: ConvTranspose2dOptions): Layer =>
  leaf("convTranspose2d", ConvTranspose2dSchema, options, (x, name, given) =>
    transposed(x, name, 3, "convTranspose2d", given),
  )

/** Options of {@link convTranspose1d}. */
export interface ConvTranspose1dOptions extends Omit<Conv1dOptions, "padding"> {
  /** Padding of the convolution that it transposes. Default 0. */
  readonly padding?: number
  /** Extra output positions at the end. Default 0. */
  readonly outputPadding?: number
}

/** The Schema of {@link ConvTranspose1dOptions}. */
export const ConvTranspose1dSchema: Of<ConvTranspose1dOptions> = Schema.Struct({
  ...Conv1dSchema.fields,
  padding: Schema.optionalKey(Margin),
  outputPadding: Schema.optionalKey(Margin),
})

/** {@link convTranspose2d} for sequences [length, channels]. */
export const convTranspose1d = (options: ConvTranspose1dOptions): Layer =>
  leaf("convTranspose1d", ConvTranspose1dSchema, options, (x, name, given) =>
    transposed(x, name, 2, "convTranspose1d", given),
  )
