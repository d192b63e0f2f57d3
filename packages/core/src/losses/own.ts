/** A term of one's own: the mean of an expression of the output and its target. */

import { Schema } from "effect"
import { aFunction, anObject, argument } from "../arguments.ts"
import { type Code, decode, encode, executable, isCode } from "../expressions/code.ts"
import { differentiate } from "../expressions/differentiate.ts"
import { type ElementwiseBackward, elementwiseBackward } from "../expressions/elementwise.ts"
import { type Expression, leaf, of } from "../expressions/expression.ts"
import { assert, Float32, must, oneOf } from "../options.ts"
import { lossTerms } from "../program/lower/terms.ts"
import type { Made, Over, Term, TermContext } from "./term.ts"

export interface Own {
  readonly term: "own"
  /** Of each step's output, or of the mean over time. */
  readonly over: Over
  /** The factor of the term. */
  readonly weight: number
  /** The expression of `x0`, the output, and `x1`, the target: the last operation's result. */
  readonly code: Code
}

const leaves = (code: Code): ReadonlyArray<string> => code.flatMap((line) => (line[0] === "leaf" ? [line[1]] : []))

const schema = Schema.Struct({
  term: Schema.Literal("own"),
  over: oneOf(["step", "mean"]),
  weight: Float32,
  code: Schema.Unknown.check(
    must(
      "an expression of x0, the output, and x1, the target",
      (code) => isCode(code, (name) => name === "x0" || name === "x1") && code.length > 0,
    ),
  ),
}) as unknown as Schema.Codec<Own>

const expressionOf = (code: Code): Expression => decode(code).at(-1) as Expression

/** The instruction's attributes for the term's sum, or for its gradient. */
const backwardOf = (wanted: Expression, part: "dx" | "dp"): ElementwiseBackward => {
  const { code, places } = encode(executable([wanted], false))
  return { code, carry: [], dx: [], dp: [], [part]: places }
}

/** Operands that the code reads; the output says how many elements there are. */
const operandsOf = ({ output, targets }: TermContext, { code }: ElementwiseBackward) => ({
  x0: output,
  x1: leaves(code).includes("x1") ? targets() : undefined,
})

const ownTerm: Term<Own> = {
  schema,
  lowering: lossTerms,
  over: ({ over }) => over,
  targets: ({ code }) => (leaves(code).includes("x1") ? "numbers" : "none"),
  forward: (context, { code, weight }, replayed) => {
    if (replayed) return
    const { emit, elements, value } = context
    const sum = backwardOf(expressionOf(code).times(weight / elements), "dp")
    emit(elementwiseBackward, { ...operandsOf(context, sum), dp0: { ...value, accumulate: true } }, sum)
  },
  backward: (context, { code, weight }) => {
    const { emit, elements, gradient } = context
    const dx0 = gradient()
    if (dx0 === undefined) return
    const slope = differentiate([[expressionOf(code), of(weight / elements)]], () => false).get("x0") ?? of(0)
    const attributes = backwardOf(slope, "dx")
    emit(elementwiseBackward, { ...operandsOf(context, attributes), dx0 }, attributes)
  },
}

/**
 * A term of one's own, the mean over batch, outputs and time of an expression of the output and its target. Where it reads the target, a
 * batch's `targets` are real numbers a sample, [N, outputs], or for terms over steps a step, [T, N, outputs].
 *
 * @example
 * const huber = Losses.own((y, target) => {
 *   const error = Neuron.absolute(y.minus(target))
 *   return Neuron.select(error.atLeast(1), error.minus(0.5), error.times(error).times(0.5))
 * })
 * @throws OptionError
 */
export const own = (
  expression: (output: Expression, target: Expression) => Expression,
  options: Partial<Pick<Own, "over" | "weight">> = {},
): Made<Own> => {
  const root = argument(expression, aFunction, "Losses.own", "expression")(leaf("x0"), leaf("x1"))
  const { code } = encode([of(root)])
  const made = {
    term: "own",
    over: "step",
    weight: 1,
    ...argument(options, anObject, "Losses.own", "options"),
    code,
  } as const
  assert("own", schema, made)
  return { ...made, kind: ownTerm }
}
