/**
 * The squared error of spike counts (Shrestha & Orchard, NeurIPS 2018; snnTorch's mse_count_loss):
 *
 *     mean over samples and outputs of (Σ over time of s[t] − count)² / T
 *
 * where count is ⌊T·correct⌋ for the output of the sample's class and ⌊T·incorrect⌋ for other outputs.
 */
import { Schema } from "effect"
import { leaf } from "../expressions/expression.ts"
import { anObject, argument, assert, Positive, Share } from "../options.ts"
import { lossTerms } from "../program/lower/terms.ts"
import { addGradient, addSum } from "./elementwise.ts"
import type { Made, Term } from "./term.ts"

/** A spike-count term. */
export interface SpikeCount {
  readonly term: "spikeCount"
  /** The desired fraction of time steps in which the output of the correct class fires, and that of the other outputs. */
  readonly correct: number
  readonly incorrect: number
  /** Weight of the term. */
  readonly weight: number
  /** Name of the output or node whose spikes it counts. Default: the first output. */
  readonly node?: string
}

const schema: Schema.Codec<SpikeCount> = Schema.Struct({
  term: Schema.Literal("spikeCount"),
  correct: Share,
  incorrect: Share,
  weight: Positive,
  node: Schema.optionalKey(Schema.String),
})

const error = leaf("x0").minus(leaf("x1"))

const spikeCountTerm: Term<SpikeCount> = {
  schema,
  lowering: lossTerms,
  over: () => "sum",
  at: ({ node }) => node,
  targets: () => "classes",
  row: ({ correct, incorrect }, { label, timeSteps }, out) => {
    out.forEach((_, c) => {
      out[c] = Math.floor(timeSteps * (c === label ? correct : incorrect))
    })
  },
  rows: () => true,
  forward: (context, { weight }) =>
    addSum(context, error.times(error).times(weight / context.elements / context.runSteps), context.rows),
  backward: (context, { weight }) =>
    addGradient(context, error.times(error).times(weight / context.elements / context.runSteps), context.rows),
}

/**
 * The squared error of the outputs' spike counts, for networks whose outputs are spiking neurons, one per class. Labels are one
 * class per sample.
 *
 * @example Losses.spikeCount({ correct: 0.8, incorrect: 0.2 })
 * @throws OptionError for invalid options
 */
export const spikeCount = (options: Partial<Omit<SpikeCount, "term">> = {}): Made<SpikeCount> => {
  const made = {
    term: "spikeCount",
    correct: 1,
    incorrect: 0,
    weight: 1,
    ...argument(options, anObject, "spikeCount"),
  } as const
  assert("spikeCount", schema, made)
  return { ...made, kind: spikeCountTerm }
}
