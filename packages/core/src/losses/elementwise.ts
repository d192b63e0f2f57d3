/** Sums over elements of an expression of the measured value, `x0`, and of further numbers per element, `x1`. */
import { encode } from "../expressions/code.ts"
import { differentiate } from "../expressions/differentiate.ts"
import { type ElementwiseBackward, elementwiseBackward } from "../expressions/elementwise.ts"
import { type Expression, of } from "../expressions/expression.ts"
import type { Ref } from "../op.ts"
import type { TermContext } from "./term.ts"

/** The attributes and operands of an expression restricted to the steps that count. `x0` determines the number of elements. */
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

/** Adds the gradient of the sum of an expression. */
export const addGradient = (context: TermContext, expression: Expression, others: () => Ref): void => {
  const dx0 = context.gradient()
  if (dx0 === undefined) return
  const slope = differentiate([[expression, of(1)]], () => false).get("x0") ?? of(0)
  const { attributes, operands } = instructionOf(context, slope, others, "dx")
  context.emit(elementwiseBackward, { ...operands, dx0 }, attributes)
}
