/**
 * A penalty on the firing rates of single neurons outside bounds (after Zenke & Vogels, Neural Computation 2021):
 *
 *     rate·Σ over layers of the mean over samples and neurons of max(lower − r, 0)² + max(r − upper, 0)²
 *
 * where r is the fraction of time steps in which a neuron fires for a sample.
 */
import { Schema } from "effect"
import { maximum, of } from "../expressions/expression.ts"
import { assert, type Of, OptionError, Positive, Share } from "../options.ts"
import { type Own, own } from "./own.ts"
import type { Made } from "./term.ts"

/** Bounds of firing rates, and the weight of the penalty. */
export interface FiringRateBounds {
  /** Weight of the term. */
  readonly rate: number
  /** Lower bound, from 0 to 1. Default 0. */
  readonly lower?: number
  /** Upper bound, from `lower` to 1. Default 1. */
  readonly upper?: number
  /** Name of one layer of spiking neurons. Default: all layers. */
  readonly node?: string
}

/** The Schema of the options. It does not check that `lower` is at most `upper`. */
export const FiringRateBoundsSchema: Of<FiringRateBounds> = /* @__PURE__ */ Schema.Struct({
  rate: Positive,
  lower: /* @__PURE__ */ Schema.optionalKey(Share),
  upper: /* @__PURE__ */ Schema.optionalKey(Share),
  node: /* @__PURE__ */ Schema.optionalKey(Schema.String),
})

/**
 * A penalty for neurons that fire less often than `lower` or more often than `upper`.
 *
 * @example [Losses.crossEntropy(), Losses.firingRateBounds({ rate: 0.5, lower: 0.01, upper: 0.2 })]
 * @throws OptionError for invalid options
 */
export const firingRateBounds = (options: FiringRateBounds): Made<Own> => {
  const owner = "firingRateBounds"
  assert(owner, FiringRateBoundsSchema, options)
  const { rate, lower = 0, upper = 1, node } = options
  if (upper < lower)
    throw new OptionError({
      owner,
      option: "upper",
      value: upper,
      expected: `a number from ${lower}, the lower bound, to 1`,
    })
  return own(
    (r) => {
      const [below, above] = [maximum(of(lower).minus(r), 0), maximum(r.minus(upper), 0)]
      return below.times(below).plus(above.times(above))
    },
    { weight: rate, over: "mean", layers: true, ...(node !== undefined && { node }) },
  )
}
