/** A custom term: the mean of an expression of a value and its target. */
import { Schema } from "effect"
import { aFunction, anObject, argument } from "../arguments.ts"
import { type Code, decode, encode, executable, isCode } from "../expressions/code.ts"
import { type Expression, leaf, of } from "../expressions/expression.ts"
import { assert, Flag, Float32, must } from "../options.ts"
import { lossTerms } from "../program/lower/terms.ts"
import { addGradient, addSum } from "./elementwise.ts"
import { type Made, type Over, OverSchema, type Term } from "./term.ts"

/** A custom term. */
export interface Own {
  readonly term: "own"
  /** How the term depends on time: on each step's value, or on a reduction over time. */
  readonly over: Over
  /** Weight of the term. */
  readonly weight: number
  /** Name of the output or node that it measures. Default: the first output. */
  readonly node?: string
  /** Whether it measures the spikes of every layer of spiking neurons instead, or, with `node`, of that layer. */
  readonly layers?: boolean
  /** The expression of the value `x0` and the target `x1`: the result of the last operation. */
  readonly code: Code
}

/** Options of {@link own}. */
export type OwnOptions = Partial<Pick<Own, "over" | "weight" | "node" | "layers">>

const readsTarget = (code: Code): boolean => code.some((line) => line[0] === "leaf" && line[1] === "x1")

const schema = Schema.Struct({
  term: Schema.Literal("own"),
  over: OverSchema,
  weight: Float32.check(must("a number other than 0, within float32's range", (x) => Math.fround(x) !== 0)),
  node: Schema.optionalKey(Schema.String),
  layers: Schema.optionalKey(Flag),
  code: Schema.Unknown.check(
    must(
      "an expression of x0, the value, and x1, the target",
      (code) => isCode(code, (name) => name === "x0" || name === "x1") && code.length > 0,
    ),
  ),
}).check(
  must(
    "of a value and no target where it is of all layers",
    ({ layers, code }) => !(layers && readsTarget(code as Code)),
  ),
) as unknown as Schema.Codec<Own>

/** The expression, scaled so that its sum is the weighted mean. */
const scaled = ({ code, weight }: Own, elements: number): Expression =>
  (executable([decode(code).at(-1) as Expression], false)[0] as Expression).times(weight / elements)

const ownTerm: Term<Own> = {
  schema,
  lowering: lossTerms,
  over: ({ over }) => over,
  at: ({ node, layers }) => node ?? (layers || undefined),
  ofLayers: ({ layers = false }) => layers,
  targets: ({ code }) => (readsTarget(code) ? "numbers" : "none"),
  forward: (context, term, replayed) => {
    if (!replayed) addSum(context, scaled(term, context.elements), context.targets)
  },
  backward: (context, term) => addGradient(context, scaled(term, context.elements), context.targets),
}

/**
 * A custom term: the mean over batch, elements and time of an expression of a value and its target. If it uses the target, a
 * batch's `targets` are numbers per sample, [N, outputs]; terms over steps also accept [T, N, outputs].
 *
 * @example
 * const huber = Losses.own((y, target) => {
 *   const error = Neuron.absolute(y.minus(target))
 *   return Neuron.select(error.atLeast(1), error.minus(0.5), error.times(error).times(0.5))
 * })
 * const sparse = Losses.own((spikes) => spikes, { layers: true, over: "sum", weight: 1e-3 })
 * @throws OptionError for invalid options
 */
export const own = (
  expression: (value: Expression, target: Expression) => Expression,
  options: OwnOptions = {},
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
