/**
 * Cross-entropy of softmax(output), averaged over the samples and steps that count, with class weights w and label smoothing α as
 * in PyTorch:
 *
 *     Σ [ (1 − α)·w[y]·(−log p[y]) + α/C·Σ w[c]·(−log p[c]) ] / Σ w[y]
 *
 * The inner sum is over all C classes.
 */
import { Schema } from "effect"
import { leaf } from "../expressions/expression.ts"
import { lossBackward, lossForward } from "../loss.ts"
import { anObject, argument, assert, must, NonNegative, Positive, ShareBelowOne } from "../options.ts"
import { lossTerms } from "../program/lower/terms.ts"
import { addGradient, addSum } from "./elementwise.ts"
import { type Made, type Over, OverSchema, type Term } from "./term.ts"

/** A cross-entropy term. */
export interface CrossEntropy {
  readonly term: "crossEntropy"
  /** How the term depends on time: on each step's output, or on a reduction over time. */
  readonly over: Over
  /** Weight of the term. */
  readonly weight: number
  /** w, one factor per class. Default 1. */
  readonly classWeights?: ReadonlyArray<number>
  /** α, the fraction of a label that is distributed over all classes. Default 0. */
  readonly labelSmoothing?: number
  /** Name of the output or node that it measures. Default: the first output. */
  readonly node?: string
}

const schema: Schema.Codec<CrossEntropy> = Schema.Struct({
  term: Schema.Literal("crossEntropy"),
  over: OverSchema,
  weight: Positive,
  classWeights: Schema.optionalKey(
    Schema.Array(NonNegative).check(
      must("a list of numbers from 0 to 3.4e38, at least one of them greater than 0", (weights) =>
        weights.some((weight) => weight > 0),
      ),
    ),
  ),
  labelSmoothing: Schema.optionalKey(ShareBelowOne),
  node: Schema.optionalKey(Schema.String),
})

const attributes = { mix: 0, target: "ones", terms: 1 } as const

const meanOf = (weights: ReadonlyArray<number> = [1]): number =>
  weights.reduce((sum, weight) => sum + weight, 0) / weights.length

/**
 * With L = log Σ exp(x), the smoothed sum is s·(L − x[y]) + Σ k[c]·x[c]: the cross-entropy kernel with the factor s, plus a sum of
 * products with numbers k that depend on the label.
 */
const smoothed = leaf("x0").times(leaf("x1"))

const crossEntropyTerm: Term<CrossEntropy> = {
  schema,
  lowering: lossTerms,
  over: ({ over }) => over,
  at: ({ node }) => node,
  targets: () => "classes",
  share: ({ classWeights }, label) => classWeights?.[label] ?? 1,
  factor: ({ weight, classWeights, labelSmoothing = 0 }, label) =>
    weight * ((1 - labelSmoothing) * (classWeights?.[label] ?? 1) + labelSmoothing * meanOf(classWeights)),
  row: ({ weight, classWeights, labelSmoothing = 0 }, { label, scale }, out) => {
    if (label === undefined) return
    out.forEach((_, c) => {
      const ofLabel = c === label ? meanOf(classWeights) : 0
      out[c] = scale * weight * labelSmoothing * (ofLabel - (classWeights?.[c] ?? 1) / out.length)
    })
  },
  rows: ({ labelSmoothing = 0 }) => labelSmoothing > 0,
  forward: (context, { labelSmoothing }, replayed) => {
    if (replayed) return
    const { emit, output, labels, weights, value, rows } = context
    emit(lossForward, { logits: output(), labels: labels(), weights: weights(), metrics: value }, attributes)
    if (labelSmoothing) addSum(context, smoothed, rows)
  },
  backward: (context, { labelSmoothing }) => {
    const { emit, output, labels, weights, gradient, rows } = context
    const logitsGradient = gradient()
    if (logitsGradient === undefined) return
    emit(lossBackward, { logits: output(), labels: labels(), weights: weights(), logitsGradient }, attributes)
    if (labelSmoothing) addGradient(context, smoothed, rows)
  },
}

/**
 * Cross-entropy of each step's output (the default), or of its sum, mean or maximum over time, or of the last step. Labels are one
 * class per sample, [N]; terms over steps also accept one class per step, [T, N]. Labels of −1 do not count.
 *
 * @example Losses.crossEntropy({ over: "max", classWeights: [1, 4], labelSmoothing: 0.1 })
 * @throws OptionError for invalid options
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
