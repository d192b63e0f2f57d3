/** Convolutions of sequences, which are images of one row; see conv2d.ts. */
import { Schema } from "effect"
import { type Layer, leaf } from "../graph/builder.ts"
import type { Of } from "../options.ts"
import { type Conv2dOptions, conv2dOp, convolutionParts, failAt, mapFields, withParameters } from "./conv2d.ts"
import { Margin, Side } from "./window.ts"

/** Options of {@link conv1d}. */
export interface Conv1dOptions extends Omit<Conv2dOptions, "kernelSize" | "stride" | "padding" | "dilation"> {
  /** Length of the window. */
  readonly kernelSize: number
  /** Default 1. */
  readonly stride?: number
  /** Zeros on both sides, `"same"` (the output is as long as the input) or `"valid"` (none). Default 0. */
  readonly padding?: number | "same" | "valid"
  /** Distance between the positions of a window. Default 1. */
  readonly dilation?: number
}

/** The Schema of {@link Conv1dOptions}. */
export const Conv1dSchema: Of<Conv1dOptions> = Schema.Struct({
  ...mapFields,
  kernelSize: Side,
  stride: Schema.optionalKey(Side),
  padding: Schema.optionalKey(
    Schema.Union([Margin, Schema.Literals(["same", "valid"])]).annotate({
      expected: 'a whole number from 0 to 16384, "same" or "valid"',
    }) as Schema.Codec<number | "same" | "valid">,
  ),
  dilation: Schema.optionalKey(Side),
})

/**
 * A convolution of sequences [length, channels], such as sound or electrocardiograms: {@link conv2d} of one row. Weights as in
 * PyTorch's `Conv1d`.
 */
export const conv1d = (options: Conv1dOptions): Layer =>
  leaf("conv1d", Conv1dSchema, options, (x, name, given) =>
    withParameters(x, name, conv2dOp, given, convolutionParts(x, 2, given, failAt(name, "conv1d"))),
  )
