/** Sums over elements of an expression of a term's value, `x0`, and of other numbers for each element, `x1`. */
import { encode } from "../expressions/code.ts"
import { differentiate } from "../expressions/differentiate.ts"
import { type ElementwiseBackward, elementwiseBackward } from "../expressions/elementwise.ts"
import { type Expression, of } from "../expressions/expression.ts"
import type { Ref } from "../op.ts"
import type { TermContext } from "./term.ts"

/** The instruction of an expression, where its steps count, and the operands that it reads; `x0` says how many elements there are. */
const instructionOf = (context: TermContext, wanted: Expression, others: () => Ref, part: "dx" | "dp") => {
  const { code, places } = encode([wanted.times(context.counts)])
  const attributes: ElementwiseBackward = { code, carry: [], dx: [], dp: [], [part]: places }
  const reads = (name: string) => code.some((line) => line[0] === "leaf" && line[1] === name)
  return {
    attributes,
    operands: {
      x0: part === "dp" || reads("x0") ? context.output() : undefined,
      x1: reads("x1") ? others() : undefined,
      p0: reads("p0") ? context.time() : undefined,
    },
  }
}

/** Adds the sum of an expression to the term's value. */
export const addSum = (context: TermContext, expression: Expression, others: () => Ref): void => {
  const { attributes, operands } = instructionOf(context, expression, others, "dp")
  context.emit(elementwiseBackward, { ...operands, dp0: { ...context.value, accumulate: true } }, attributes)
}

/** Adds the gradient of that sum to the value's. */
export const addGradient = (context: TermContext, expression: Expression, others: () => Ref): void => {
  const dx0 = context.gradient()
  if (dx0 === undefined) return
  const slope = differentiate([[expression, of(1)]], () => false).get("x0") ?? of(0)
  const { attributes, operands } = instructionOf(context, slope, others, "dx")
  context.emit(elementwiseBackward, { ...operands, dx0 }, attributes)
}
