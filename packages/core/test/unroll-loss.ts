/**
 * The tape's losses: sums of terms, from their definitions, on the values of all time steps. They read the terms' data, and share nothing
 * with what makes instructions of them.
 */
import type { Losses } from "../src/index.ts"
import type { Scalar, Tape } from "./tape.ts"
import { runCell } from "./unroll-cell.ts"

export interface Unrolled {
  readonly tape: Tape
  readonly timeSteps: number
  readonly batchSize: number
  /** The steps whose values pass gradient to the loss. */
  readonly trained: ReadonlyArray<number>
  readonly output: string
  readonly spiking: ReadonlyArray<string>
  readonly valueAt: (node: string, t: number) => ReadonlyArray<Scalar>
  /** [N] or [T, N]; −1 where nothing counts. */
  readonly labels: ArrayLike<number>
  /** [N, outputs] or [T, N, outputs]. */
  readonly targets: ArrayLike<number>
  /** Told how far a choice is from falling otherwise. */
  readonly near: (distance: number) => void
}

type Term = Losses.LossTerm & { readonly over?: Losses.Over; readonly node?: string; readonly layers?: boolean }

/** The loss, and what is differentiated: the same with values of steps that are not trained as constants. */
export const lossOfTerms = (
  terms: ReadonlyArray<Losses.LossTerm>,
  { tape, timeSteps, batchSize, trained, output, spiking, valueAt, labels, targets, near }: Unrolled,
): { readonly loss: Scalar; readonly objective: Scalar } => {
  const steps = Array.from({ length: timeSteps }, (_, t) => t)
  const mean = (all: ReadonlyArray<Scalar>): Scalar => tape.times(tape.sum(all), 1 / all.length)
  const square = (a: Scalar): Scalar => tape.power(a, 2)
  const labelAt = (t: number, n: number): number => labels[(t * batchSize + n) % labels.length]!

  /** The numbers of elements at a step, or of all steps together, that a term is a function of. */
  const evaluate = (term: Term, values: ReadonlyArray<Scalar>, t: number, counted: number): Scalar => {
    const size = values.length / batchSize
    switch (term.term) {
      case "own": {
        const elements = values.map((value, i) => {
          const target = tape.number(targets[(t * values.length + i) % targets.length]!)
          const cell = { inputs: 2, parameters: 0, states: [], initial: [], next: [], output: term.code.length - 1 }
          const leaf = (name: string) => (name === "x0" ? value : target)
          return runCell({ ...cell, code: term.code as never }, { tape, leaf, isCut: () => false, near }).y
        })
        return tape.times(mean(elements), term.weight * counted)
      }
      case "firingRate":
        return tape.times(square(tape.add(mean(values), tape.number(-term.at))), term.rate * counted)
      case "spikeCount": {
        const errors = values.map((value, i) => {
          const share = i % size === labelAt(t, Math.floor(i / size)) ? term.correct : term.incorrect
          return square(tape.add(value, tape.number(-Math.floor(share * timeSteps))))
        })
        return tape.times(mean(errors), term.weight / timeSteps)
      }
      case "crossEntropy": {
        const { classWeights, labelSmoothing = 0 } = term
        const weightOf = (c: number) => classWeights?.[c] ?? 1
        const rows = Array.from({ length: batchSize }, (_, n) => {
          const label = labelAt(t, n)
          if (label < 0) return tape.number(0)
          const row = values.slice(n * size, (n + 1) * size)
          const total = tape.sum(row.map((logit) => tape.exp(logit)))
          const each = row.map((logit) => tape.subtract(tape.log(total), logit))
          return tape.sum(
            each.map((surprise, c) => {
              const share = (c === label ? 1 - labelSmoothing : 0) + labelSmoothing / size
              return tape.times(surprise, share * weightOf(c))
            }),
          )
        })
        return tape.times(tape.sum(rows), term.weight)
      }
      default:
        return term satisfies never
    }
  }

  /** Of cross-entropy, the weights of all that count: of all steps, or of those that it sees. */
  const divisor = (term: Term, seen: ReadonlyArray<number>): number => {
    if (term.term !== "crossEntropy") return 1
    const all = seen.flatMap((t) => Array.from({ length: batchSize }, (_, n) => labelAt(t, n)))
    const sum = all.reduce((total, label) => total + (label < 0 ? 0 : (term.classWeights?.[label] ?? 1)), 0)
    return sum > 0 ? sum : 1
  }

  const reduce = (over: Losses.Over, values: ReadonlyArray<ReadonlyArray<Scalar>>): ReadonlyArray<Scalar> =>
    values[0]!.map((_, i) => {
      const own = values.map((each) => each[i]!)
      if (over === "last") return own.at(-1)!
      if (over === "sum") return tape.sum(own)
      if (over === "mean") return mean(own)
      const best = own.reduce((a, b) => (tape.value(b) > tape.value(a) ? b : a))
      for (const each of own)
        if (each !== best && tape.value(each) !== tape.value(best)) near(tape.value(best) - tape.value(each))
      return best
    })

  const parts = terms.flatMap((term: Term) => {
    const everywhere = term.layers === true || (term.term === "firingRate" && term.node === undefined)
    return (everywhere ? spiking : [term.node ?? output]).map((node) => {
      const over = term.term === "spikeCount" ? "sum" : (term.over ?? "step")
      const at = (isTrained: boolean) =>
        steps.map((t) =>
          isTrained && !trained.includes(t) ? valueAt(node, t).map((v) => tape.detach(v)) : valueAt(node, t),
        )
      const whole = (isTrained: boolean): Scalar => {
        if (over !== "step")
          return tape.times(evaluate(term, reduce(over, at(isTrained)), 0, 1), 1 / divisor(term, [0]))
        const each = at(isTrained).map((values, t) => evaluate(term, values, t, 1 / timeSteps))
        return tape.times(tape.sum(each), 1 / divisor(term, steps))
      }
      return { loss: whole(false), objective: whole(true) }
    })
  })
  return { loss: tape.sum(parts.map(({ loss }) => loss)), objective: tape.sum(parts.map((part) => part.objective)) }
}
