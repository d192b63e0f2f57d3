/** Reductions of a value over time for the terms of a loss, and the propagation of their gradients to the steps. */
import { zero } from "../../bookkeeping.ts"
import { encode } from "../../expressions/code.ts"
import { adding, elementwiseBackward, elementwiseForward, storing, summed } from "../../expressions/elementwise.ts"
import { absolute, type Expression, leaf, of, select } from "../../expressions/expression.ts"
import type { Over } from "../../losses/term.ts"
import type { Emit, Ref } from "../../op.ts"

/** The buffers of a reduction. */
interface Places {
  readonly timeSteps: number
  readonly time: () => Ref
  /** The buffer in which the value is summed anyway. */
  readonly summed: Ref | undefined
  readonly part: (name: string) => Ref
}

/** A reduction over time, as instructions. */
export interface Reduction {
  /** Before the first step. */
  readonly begin: (emit: Emit, places: Places) => void
  readonly step: (emit: Emit, places: Places, value: Ref) => void
  /** After the last step. */
  readonly value: (emit: Emit, places: Places) => Ref
  readonly backward: (emit: Emit, places: Places, outputGradient: Ref, inputGradient: Ref) => void
}

/** The buffer of the sum. */
const sumOf = ({ summed, part }: Places): Ref => summed ?? part("sum")

const sum: Reduction = {
  begin: (emit, places) => {
    if (places.summed === undefined) emit(zero, { target: sumOf(places) })
  },
  step: (emit, places, x0) => {
    const y = sumOf(places)
    if (places.summed === undefined) emit(elementwiseForward, { x0, x1: y, y }, summed)
  },
  value: (_, places) => sumOf(places),
  backward: (emit, _, dy, dx0) => emit(elementwiseBackward, { dy, dx0 }, adding(leaf("dy"))),
}

const mean: Reduction = {
  ...sum,
  value: (emit, places) => {
    const y = places.part("mean")
    emit(elementwiseForward, { x0: sumOf(places), y }, storing(leaf("x0").times(1 / places.timeSteps)))
    return y
  },
  backward: (emit, { timeSteps }, dy, dx0) =>
    emit(elementwiseBackward, { dy, dx0 }, adding(leaf("dy").times(1 / timeSteps))),
}

/** The lowest finite float32. */
const lowest = -(2 ** 127 * (2 - 2 ** -23))

/** Elementwise maximum. Of equal values the first one counts; its step is stored. */
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
    const operands = { x0: outputGradient, x1: part("step"), p0: time(), dx0: inputGradient }
    emit(elementwiseBackward, operands, adding(select(isOther, of(0), leaf("x0"))))
  },
}

export const reductions: Readonly<Record<Exclude<Over, "step" | "last">, Reduction>> = { sum, mean, max }
