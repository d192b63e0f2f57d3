/**
 * Cross-entropy of softmax(output), its mean over the samples and steps that count:  Σ w[y]·(−log p[y]) / Σ w[y].
 */
import { Schema } from "effect"
import { lossBackward, lossForward } from "../loss.ts"
import { anObject, argument, assert, NonNegative, oneOf, Positive } from "../options.ts"
import { lossTerms } from "../program/lower/terms.ts"
import type { Made, Over, Term } from "./term.ts"

export interface CrossEntropy {
  readonly term: "crossEntropy"
  /** Of each step's output, or of the mean over time. */
  readonly over: Over
  /** The factor of the term. */
  readonly weight: number
  /** w, a factor for each class; all 1 unless given. */
  readonly classWeights?: ReadonlyArray<number>
}

const schema: Schema.Codec<CrossEntropy> = Schema.Struct({
  term: Schema.Literal("crossEntropy"),
  over: oneOf(["step", "mean"]),
  weight: Positive,
  classWeights: Schema.optionalKey(Schema.Array(NonNegative)),
})

const attributes = { mix: 0, target: "ones", terms: 1 } as const

const crossEntropyTerm: Term<CrossEntropy> = {
  schema,
  lowering: lossTerms,
  over: ({ over }) => over,
  targets: () => "classes",
  forward: ({ emit, output, labels, weights, value }, _, replayed) => {
    if (!replayed) emit(lossForward, { logits: output, labels, weights: weights(), metrics: value }, attributes)
  },
  backward: ({ emit, output, labels, weights, gradient }) => {
    const logitsGradient = gradient()
    if (logitsGradient) emit(lossBackward, { logits: output, labels, weights: weights(), logitsGradient }, attributes)
  },
}

/**
 * Cross-entropy, of each step (the default) or of the read-out's mean over time. A batch's labels are a class a sample, [N], or for terms
 * over steps a class a step, [T, N]; those that are −1 do not count.
 *
 * @example Losses.crossEntropy({ over: "mean", classWeights: [1, 4] })
 * @throws OptionError
 */
export const crossEntropy = (options: Partial<Omit<CrossEntropy, "term">> = {}): Made<CrossEntropy> => {
  const made = {
    term: "crossEntropy",
    over: "step",
    weight: 1,
    ...argument(options, anObject, "crossEntropy"),
  } as const
  assert("crossEntropy", schema, made)
  return { ...made, kind: crossEntropyTerm }
}
