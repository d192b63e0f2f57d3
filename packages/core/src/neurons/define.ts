/**
 * Neurons as values: parameters, states and one step.
 *
 * @example
 * const alif = Neuron.make("alif", {
 *   parameters: { decay: 0.7, adaptation: 0.8, strength: 0.5 },
 *   states: ["membrane", "adaptation", "spikes"],
 *   step: ({ x, before, p, spike }) => {
 *     const adaptation = before.adaptation.times(p.adaptation).plus(before.spikes)
 *     const u = before.membrane.times(p.decay).plus(x)
 *     const spikes = spike(u.minus(adaptation.times(p.strength).plus(1)))
 *     return { states: { membrane: u.minus(Neuron.route("reset", spikes)), adaptation, spikes }, output: spikes }
 *   },
 * })
 * const network = Graph.sequential(linear({ features: 100 }), alif({ decay: Neuron.learn(0.7, "channel") }))
 */
import { Schema } from "effect"
import { shared } from "../expressions/code.ts"
import {
  type Expression,
  fire,
  leaf as given,
  of,
  type SurrogateExpression,
  type Value,
} from "../expressions/expression.ts"
import { parametersOf, place, type Setting, settingSchema } from "../expressions/layer.ts"
import { type Layer, leaf, type Tensor } from "../graph/builder.ts"
import { must } from "../options.ts"
import { expressionOf, type SurrogateOptions, SurrogateSchema } from "../surrogates/index.ts"

/** What a neuron is. */
export interface Definition<P extends string, S extends string> {
  /** The parameters, with the values that they have unless told otherwise. */
  readonly parameters: Readonly<Record<P, Setting>>
  /** What the parameters' numbers may be, where not any. */
  readonly ranges?: Readonly<Partial<Record<P, Schema.Codec<number>>>>
  /** Names of what one step leaves for the next; each is a temporal edge, which policies may cut. */
  readonly states: ReadonlyArray<S>
  /** Values before the first step, where not 0. */
  readonly initial?: Readonly<Partial<Record<S, number>>>
  readonly step: (given: {
    /** The input of the neuron. */
    readonly x: Expression
    /** The states that the step before left. */
    readonly before: Readonly<Record<S, Expression>>
    readonly p: Readonly<Record<P, Expression>>
    /** [z ≥ 0], with the derivative of the surrogate that the layer was given. */
    readonly spike: (z: Expression) => Expression
  }) => { readonly states: Readonly<Record<S, Value>>; readonly output: Expression }
}

/** What all neurons may be told. */
export interface NeuronOptions {
  /** Default triangle, α = 1. */
  readonly surrogate?: SurrogateOptions | SurrogateExpression
  /** Fire the surrogate's primitive in place of the step: for checking gradients. */
  readonly smooth?: boolean
}

/** A layer of neurons from its options. */
export type NeuronLayer<P extends string> = (options?: NeuronOptions & Readonly<Partial<Record<P, Setting>>>) => Layer

type Options<P extends string> = NeuronOptions & Readonly<Partial<Record<P, Setting>>>

/** Makes a kind of neuron. */
export const make = <P extends string, S extends string>(
  kind: string,
  definition: Definition<P, S>,
): NeuronLayer<P> => {
  const schema = optionsSchema(definition) as unknown as Schema.Codec<Options<P>>
  return (options = {} as Options<P>) =>
    leaf(kind, schema, options, (x, name, given) => build(kind, definition, given, x, name))
}

/** A surrogate of a person's own is two functions. */
const OwnSurrogate = Schema.Unknown.check(
  must(
    'a surrogate, as { name: "triangle", alpha: 1 } or { slope, primitive }',
    (value) => typeof (value as { readonly slope?: unknown } | null)?.slope === "function",
  ),
)

const optionsSchema = <P extends string, S extends string>({ parameters, ranges }: Definition<P, S>) =>
  Schema.Struct({
    surrogate: Schema.optionalKey(Schema.Union([SurrogateSchema, OwnSurrogate])),
    smooth: Schema.optionalKey(Schema.Boolean),
    ...Object.fromEntries(
      Object.keys(parameters).map((name) => [name, Schema.optionalKey(settingSchema(ranges?.[name as P]))]),
    ),
  })

const build = <P extends string, S extends string>(
  kind: string,
  { parameters, states, initial, step }: Definition<P, S>,
  options: NeuronOptions & Readonly<Partial<Record<P, Setting>>>,
  x: Tensor,
  name: string,
): Tensor => {
  const { surrogate = { name: "triangle", alpha: 1 }, smooth, ...own } = options
  const shape = "name" in surrogate ? expressionOf(surrogate) : surrogate
  const { p, tensors } = parametersOf(x, name, { ...parameters, ...own } as Readonly<Record<P, Setting>>)
  const before = Object.fromEntries(states.map((state, k) => [state, given(`s.${k}`)])) as Record<S, Expression>
  const { states: after, output } = step({ x: given("x0"), before, p, spike: (z) => fire(z, shape) })
  const roots = shared([...states.map((state) => of(after[state])), output])
  return place(x, name, kind, roots, tensors, {
    states,
    initial: states.map((state) => initial?.[state] ?? 0),
    smooth: smooth ?? false,
  })
}
