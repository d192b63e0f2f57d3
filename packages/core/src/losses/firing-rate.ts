/**
 * A penalty on firing rates:
 *
 *     rate·Σ over layers of the mean over time of (r[t] − at)²
 *
 * where r[t] is the fraction of a layer's neurons that fire at step t, over the whole batch.
 */
import { Schema } from "effect"
import { firingRate as countSpikes, zero } from "../bookkeeping.ts"
import { encode } from "../expressions/code.ts"
import { elementwiseBackward, elementwiseForward } from "../expressions/elementwise.ts"
import { leaf } from "../expressions/expression.ts"
import { anObject, argument, assert, Positive, Share } from "../options.ts"
import { lossTerms } from "../program/lower/terms.ts"
import type { Made, Term } from "./term.ts"

/** A firing-rate term. */
export interface FiringRate {
  readonly term: "firingRate"
  /** Weight of the term. */
  readonly rate: number
  /** The desired fraction of neurons that fire at a step. */
  readonly at: number
  /** Name of one layer of spiking neurons. Default: all layers. */
  readonly node?: string
}

const schema: Schema.Codec<FiringRate> = Schema.Struct({
  term: Schema.Literal("firingRate"),
  rate: Positive,
  at: Share,
  node: Schema.optionalKey(Schema.String),
})

const firingRateTerm: Term<FiringRate> = {
  schema,
  lowering: lossTerms,
  over: () => "step",
  at: ({ node }) => node ?? true,
  ofLayers: () => true,
  targets: () => "none",
  mixesSamples: true,
  forward: ({ emit, timeSteps, value, output, rate }, { rate: factor, at }, replayed) => {
    emit(zero, { target: rate() })
    emit(countSpikes, { spikes: output(), metrics: rate() }, { index: 0, terms: 1 })
    if (replayed) return
    const difference = leaf("x0").minus(at)
    const { code, places } = encode([leaf("x1").plus(difference.times(difference).times(factor / timeSteps))])
    emit(elementwiseForward, { x0: rate(), x1: value, y: value }, { code, state: [], y: places[0] as number })
  },
  backward: ({ emit, timeSteps, count, rate, gradient }, { rate: factor, at }) => {
    const dx0 = gradient()
    if (dx0 === undefined) return
    const slope = leaf("p0")
      .minus(at)
      .times((2 * factor) / (timeSteps * count))
    const { code, places } = encode([slope])
    emit(elementwiseBackward, { p0: rate(), dx0 }, { code, carry: [], dx: places, dp: [] })
  },
}

/**
 * A penalty for firing rates other than `at` (default 0.1), of one layer of spiking neurons or all. It is a function of whole
 * batches, so it does not support micro-batches. To bound the rates of single neurons, see {@link firingRateBounds}.
 *
 * @example [Losses.crossEntropy(), Losses.firingRate({ rate: 0.5, at: 0.05 })]
 * @throws OptionError for invalid options
 */
export const firingRate = (options: {
  readonly rate: number
  readonly at?: number
  readonly node?: string
}): Made<FiringRate> => {
  const made = { term: "firingRate", at: 0.1, ...argument(options, anObject, "firingRate") } as const
  assert("firingRate", schema, made)
  return { ...made, kind: firingRateTerm }
}
