/** How a value of all time steps becomes one that terms of a loss are functions of, and how their gradient reaches the steps. */
import { zero } from "../../bookkeeping.ts"
import { encode } from "../../expressions/code.ts"
import { elementwiseBackward, elementwiseForward } from "../../expressions/elementwise.ts"
import { absolute, type Expression, leaf, of, select } from "../../expressions/expression.ts"
import { accumulateOutputs } from "../../loss.ts"
import type { Over } from "../../losses/term.ts"
import type { Emit, Ref } from "../../op.ts"
import { scaleBackward, scaleForward } from "../../ops/scale.ts"

/** Where a reduction keeps what it needs. */
interface Places {
  readonly timeSteps: number
  readonly time: () => Ref
  /** Where the value is summed up anyway. */
  readonly summed: Ref | undefined
  readonly part: (name: string) => Ref
}

export interface Reduction {
  /** Before the first step. */
  readonly begin: (emit: Emit, places: Places) => void
  readonly step: (emit: Emit, places: Places, value: Ref) => void
  /** Behind the last step. */
  readonly value: (emit: Emit, places: Places) => Ref
  readonly backward: (emit: Emit, places: Places, outputGradient: Ref, inputGradient: Ref) => void
}

/** Where a sum is. */
const sumOf = ({ summed, part }: Places): Ref => summed ?? part("sum")

const sum: Reduction = {
  begin: (emit, places) => {
    if (places.summed === undefined) emit(zero, { target: sumOf(places) })
  },
  step: (emit, places, logits) => {
    if (places.summed === undefined) emit(accumulateOutputs, { logits, outputs: sumOf(places) })
  },
  value: (_, places) => sumOf(places),
  backward: (emit, _, outputGradient, inputGradient) =>
    emit(scaleBackward, { outputGradient, inputGradient }, { factor: 1 }),
}

const mean: Reduction = {
  ...sum,
  value: (emit, places) => {
    const y = places.part("mean")
    emit(scaleForward, { x: sumOf(places), y }, { factor: 1 / places.timeSteps })
    return y
  },
  backward: (emit, { timeSteps }, outputGradient, inputGradient) =>
    emit(scaleBackward, { outputGradient, inputGradient }, { factor: 1 / timeSteps }),
}

/** Less than any number. */
const lowest = -(2 ** 127 * (2 - 2 ** -23))

/** Element by element; of equal values the first one counts, whose step is kept. */
const max: Reduction = {
  begin: (emit, { part }) => {
    emit(zero, { target: part("step") })
    emit(elementwiseForward, { y: part("max") }, { code: [["constant", lowest]], state: [], y: 0 })
  },
  step: (emit, { part, time }, value) => {
    const [now, best, step] = [leaf("x0"), leaf("x1"), leaf("before.0")]
    const isNew = now.greaterThan(best)
    const { code, places } = encode([select(isNew, leaf("p0"), step), select(isNew, now, best)])
    const [state, y] = places as [number, number]
    emit(
      elementwiseForward,
      { x0: value, x1: part("max"), before: part("step"), p0: time(), state: part("step"), y: part("max") },
      { code, state: [state], y },
    )
  },
  value: (_, { part }) => part("max"),
  backward: (emit, { part, time }, outputGradient, inputGradient) => {
    const isOther: Expression = absolute(leaf("x1").minus(leaf("p0"))).atLeast(0.5)
    const { code, places } = encode([select(isOther, of(0), leaf("x0"))])
    const operands = { x0: outputGradient, x1: part("step"), p0: time(), dx0: inputGradient }
    emit(elementwiseBackward, operands, { code, carry: [], dx: places, dp: [] })
  },
}

export const reductions: Readonly<Record<Exclude<Over, "step" | "last">, Reduction>> = { sum, mean, max }
