/** Scores of predictions, for the targets of a loss. */
import { aList, anObject, aProgram, argument } from "../arguments.ts"
import type { LossTerm } from "../losses/index.ts"
import { askedBy } from "../losses/objective.ts"
import { kindOf, type Over } from "../losses/term.ts"
import type { Program } from "../program/program.ts"
import type { Numbers } from "../values.ts"
import { hits } from "./accuracy.ts"
import type { Batch, BatchResult } from "./batch.ts"

/** Scores of one output: the fraction of correct classes among samples and steps that count, and the mean of (value − target)². */
export interface Score {
  readonly accuracy?: number
  readonly meanSquaredError?: number
}

/** Reduces values [T, n] over time as a term of the loss does. */
const reduced = (values: Float32Array, timeSteps: number, over: Over): Float32Array => {
  if (over === "step") return values
  const size = values.length / timeSteps
  return new Float32Array(size).map((_, i) => {
    const own = Array.from({ length: timeSteps }, (_, t) => values[t * size + i] as number)
    const sum = own.reduce((total, value) => total + value, 0)
    if (over === "max") return Math.max(...own)
    return over === "last" ? (own.at(-1) as number) : over === "mean" ? sum / timeSteps : sum
  })
}

/** Repeats values per sample for all steps, up to `count` values. */
const repeated = (values: Numbers, count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => values[i % values.length] as number)

const of = <A>(given: A | Readonly<Record<string, A>> | undefined, name: string, isFirst: boolean): A | undefined =>
  ArrayBuffer.isView(given) || Array.isArray(given)
    ? isFirst
      ? (given as A)
      : undefined
    : (given as Readonly<Record<string, A>> | undefined)?.[name]

/**
 * Scores outputs per step (`outputs: "step"`) of one batch, by output: accuracy if a term of the loss requires classes, mean
 * squared error if one requires numbers, reduced over time as in the first such term. Labels of −1 do not count.
 *
 * @example
 * const net = Graph.makeUnsafe([2], linear({ features: 1 }))
 * const predictor = yield* Train.makePredictor(net, { batchSize: 1, timeSteps: 4, outputs: "step" })
 * const prediction = yield* predictor.predict([0.5, 1])
 * Train.scores(predictor.program, [Losses.meanSquaredError()], prediction, { targets: [0.25] })
 */
export const scores = (
  program: Program,
  loss: ReadonlyArray<LossTerm>,
  prediction: Pick<BatchResult, "outputs" | "named">,
  batch: Pick<Batch<Numbers>, "labels" | "targets">,
): Readonly<Record<string, Score>> => {
  const { outputs = {}, timeSteps, batchSize } = argument(program, aProgram, "Train.scores")
  argument(loss, aList, "Train.scores", "loss")
  argument(prediction, anObject, "Train.scores", "prediction")
  argument(batch, anObject, "Train.scores", "batch")
  const found: Record<string, Score> = {}
  const [first = ""] = Object.keys(outputs)
  for (const kind of ["classes", "numbers"] as const)
    for (const { owner, terms } of askedBy(loss, outputs, kind)) {
      const name = owner ?? first
      const [[term] = []] = terms
      const values = owner === undefined ? prediction.outputs : prediction.named?.[owner]
      const given = of(kind === "classes" ? batch.labels : batch.targets, name, owner === undefined)
      if (term === undefined || values === undefined || given === undefined) continue
      const over = kindOf(term).over(term)
      const taken = reduced(values, timeSteps, over)
      const targets = repeated(given, kind === "classes" ? batchSize * (over === "step" ? timeSteps : 1) : taken.length)
      const score =
        kind === "classes"
          ? { accuracy: hits(taken, targets, 1) / Math.max(1, targets.filter((label) => label >= 0).length) }
          : { meanSquaredError: taken.reduce((sum, value, i) => sum + (value - targets[i]!) ** 2, 0) / taken.length }
      found[name] = { ...found[name], ...score }
    }
  return found
}
