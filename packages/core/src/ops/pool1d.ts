/** Pools of sequences, which are images of one row. */
import { Schema } from "effect"
import type { Layer } from "../graph/builder.ts"
import type { Of } from "../options.ts"
import { averagePoolOp, poolLayer } from "./average-pool.ts"
import { maxPoolOp } from "./max-pool.ts"
import { sumPoolOp } from "./sum-pool.ts"
import { Margin, Side } from "./window.ts"

/** Options of pooling layers of sequences. */
export interface Pool1dOptions {
  /** Length of the window. */
  readonly kernelSize: number
  /** Default: the window's own size. */
  readonly stride?: number
  /** Zeros on both sides, at most half of the window. Default 0. */
  readonly padding?: number
  /** Distance between the positions of a window. Default 1. */
  readonly dilation?: number
}

/** The Schema of {@link Pool1dOptions}. */
export const Pool1dSchema: Of<Pool1dOptions> = Schema.Struct({
  kernelSize: Side,
  stride: Schema.optionalKey(Side),
  padding: Schema.optionalKey(Margin),
  dilation: Schema.optionalKey(Side),
})

/** Average pooling of sequences: x [length, channels] → y [length', channels]. */
export const averagePool1d = (options: Pool1dOptions): Layer =>
  poolLayer("averagePool1d", averagePoolOp, 2, Pool1dSchema, options)

/** Sum pooling of sequences: x [length, channels] → y [length', channels]. */
export const sumPool1d = (options: Pool1dOptions): Layer => poolLayer("sumPool1d", sumPoolOp, 2, Pool1dSchema, options)

/** Max pooling of sequences: x [length, channels] → y [length', channels]. */
export const maxPool1d = (options: Pool1dOptions): Layer => poolLayer("maxPool1d", maxPoolOp, 2, Pool1dSchema, options)
