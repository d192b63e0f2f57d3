/**
 * A penalty on the firing rates of single neurons that leave their bounds (after Zenke & Vogels, Neural Computation 2021):
 *
 *     rate·Σ over layers of the mean over samples and neurons of max(lower − r, 0)² + max(r − upper, 0)²
 *
 * r being the share of time steps in which a neuron fires for a sample.
 */
import { maximum, of } from "../expressions/expression.ts"
import { OptionError } from "../options.ts"
import { type Own, own } from "./own.ts"
import type { Made } from "./term.ts"

/** Bounds of firing rates, and the factor of the penalty. */
export interface FiringRateBounds {
  /** The factor of the term. */
  readonly rate: number
  /** From 0 to 1; default 0. */
  readonly lower?: number
  /** From `lower` to 1; default 1. */
  readonly upper?: number
  /** One layer of spiking neurons, by name; all unless given. */
  readonly node?: string
}

/**
 * A penalty for neurons that fire less often than `lower`, or more often than `upper`.
 *
 * @example [Losses.crossEntropy(), Losses.firingRateBounds({ rate: 0.5, lower: 0.01, upper: 0.2 })]
 * @throws OptionError
 */
export const firingRateBounds = ({ rate, lower = 0, upper = 1, node }: FiringRateBounds): Made<Own> => {
  const owner = "firingRateBounds"
  const bounds = { rate: [0, Number.MAX_VALUE], lower: [0, 1], upper: [lower, 1] } as const
  for (const [option, [least, most]] of Object.entries(bounds)) {
    const value = { rate, lower, upper }[option as keyof typeof bounds]
    if (!(value >= least && value <= most))
      throw new OptionError({ owner, option, value, expected: `a number from ${least} to ${most}` })
  }
  return own(
    (r) => {
      const [below, above] = [maximum(of(lower).minus(r), 0), maximum(r.minus(upper), 0)]
      return below.times(below).plus(above.times(above))
    },
    { weight: rate, over: "mean", ...(node === undefined ? { layers: true } : { node }) },
  )
}
