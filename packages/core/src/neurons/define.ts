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
import { argument, aString, has, type Kind } from "../arguments.ts"
import { shared } from "../expressions/code.ts"
import {
  type Expression,
  fire,
  leaf as named,
  of,
  type SurrogateExpression,
  type Value,
} from "../expressions/expression.ts"
import { parametersOf, place, type Setting, settingSchema } from "../expressions/layer.ts"
import { type Layer, leaf, type Tensor } from "../graph/builder.ts"
import { Flag, Float32, must } from "../options.ts"
import { checkedExpressionOf, type SurrogateOptions, SurrogateSchema } from "../surrogates/index.ts"
import { type Reset, ResetSchema } from "./reset.ts"

/** Variants that the literature has of several neurons. A neuron has those that its definition names. */
export interface Choices {
  /** What a spike does to the membrane potential. A hard reset goes to the parameter `resetPotential`. */
  readonly reset: Reset
  /** Scale the input by 1/τ, which is 1 − decay (`decay_input` in SpikingJelly). */
  readonly decayInput: boolean
  /** The analog output is that of the potential above the threshold, rather than of the potential. */
  readonly thresholdRelated: boolean
}

const choiceSchemas: { readonly [C in keyof Choices]: Schema.Codec<Choices[C]> } = {
  reset: ResetSchema,
  decayInput: Flag,
  thresholdRelated: Flag,
}

/** What a step is given. */
export interface Step<P extends string, S extends string, C extends keyof Choices = never> {
  /** The input of the neuron. */
  readonly x: Expression
  /** The states that the step before left. */
  readonly before: Readonly<Record<S, Expression>>
  readonly p: Readonly<Record<P, Expression>>
  readonly choices: Pick<Choices, C>
  /** [z ≥ 0], with the derivative of the surrogate that the layer was given. */
  readonly spike: (z: Expression) => Expression
}

/** What a neuron is. */
export interface Definition<P extends string, S extends string, C extends keyof Choices = never> {
  /** The parameters, with the values that they have unless told otherwise. */
  readonly parameters: Readonly<Record<P, Setting>>
  /** What the parameters' numbers may be, where not any. */
  readonly ranges?: Readonly<Partial<Record<P, Schema.Codec<number>>>>
  /** The variants that the neuron has, with those that it is unless told otherwise. */
  readonly choices?: { readonly [K in C]: Choices[K] }
  /** Names of what one step leaves for the next; each is a temporal edge, which policies may cut. */
  readonly states: ReadonlyArray<S>
  /** Values before the first step, where not 0. */
  readonly initial?: Readonly<Partial<Record<S, number>>>
  /** The surrogate unless told otherwise. Default triangle, α = 1; `none` for what never fires. */
  readonly surrogate?: SurrogateOptions | "none"
  readonly step: (given: Step<P, S, C>) => {
    readonly states: Readonly<Record<S, Value>>
    readonly output: Expression
  }
}

/** What all neurons may be told. */
export interface NeuronOptions {
  /** Default triangle, α = 1, where the neuron says nothing else. */
  readonly surrogate?: SurrogateOptions | SurrogateExpression
  /** Fire the surrogate's primitive in place of the step: for checking gradients. */
  readonly smooth?: boolean
}

/** The parameters and variants of a neuron, and the values of its states before the first step. */
export type NeuronSettings<P extends string, S extends string, C extends keyof Choices = never> = Readonly<
  Partial<Record<P, Setting>>
> &
  Partial<Pick<Choices, C>> & { readonly initial?: Readonly<Partial<Record<S, number>>> }

type Options<P extends string, S extends string, C extends keyof Choices> = NeuronOptions & NeuronSettings<P, S, C>

/** A layer of neurons from its options. */
export interface NeuronLayer<P extends string, S extends string, C extends keyof Choices = never> {
  (options?: NeuronOptions & NeuronSettings<P, S, C>): Layer
  /** What it is called in graphs. */
  readonly kind: string
  readonly definition: Definition<P, S, C>
  /** The Schema of its options. */
  readonly schema: Schema.Struct<Schema.Struct.Fields>
}

/** A layer of what never fires. */
export type ReadoutLayer<P extends string, S extends string, C extends keyof Choices = never> = Pick<
  NeuronLayer<P, S, C>,
  "kind" | "definition" | "schema"
> &
  ((options?: NeuronSettings<P, S, C>) => Layer)

const aDefinition: Kind = ["{ parameters, states, step }", /* @__PURE__ */ has("parameters", "states", "step")]

/** Makes a kind of neuron. */
export const make = <P extends string, S extends string, C extends keyof Choices = never>(
  kind: string,
  definition: Definition<P, S, C>,
): NeuronLayer<P, S, C> => {
  argument(kind, aString, "Neuron.make", "kind")
  argument(definition, aDefinition, "Neuron.make")
  const schema = optionsSchema(definition)
  const checked = schema as unknown as Schema.Codec<Options<P, S, C>>
  return Object.assign(
    (options = {} as Options<P, S, C>) =>
      leaf(kind, checked, options, (x, name, given) => build(kind, definition, given, x, name)),
    { kind, definition, schema },
  )
}

/** A surrogate of a person's own is two functions. */
const OwnSurrogate = /* @__PURE__ */ Schema.Unknown.check(
  /* @__PURE__ */ must('a surrogate, as { name: "triangle", alpha: 1 } or { slope, primitive }', (value) =>
    ["slope", "primitive"].every((each) => typeof Object(value)[each] === "function"),
  ),
)

/** The options of all that fires. */
export const firingFields: {
  readonly surrogate: Schema.optionalKey<Schema.Codec<SurrogateOptions | SurrogateExpression>>
  readonly smooth: Schema.optionalKey<Schema.Codec<boolean>>
} = {
  surrogate: Schema.optionalKey(
    Schema.Union([SurrogateSchema, OwnSurrogate]) as unknown as Schema.Codec<SurrogateOptions | SurrogateExpression>,
  ),
  smooth: Schema.optionalKey(Flag),
}

const optional = (entries: ReadonlyArray<readonly [string, Schema.Codec<unknown>]>) =>
  Object.fromEntries(entries.map(([name, schema]) => [name, Schema.optionalKey(schema)]))

const initialSchema = (states: ReadonlyArray<string>) =>
  Schema.Struct(optional(states.map((state) => [state, Float32]))).annotate({
    expected: `numbers by state: ${states.join(", ")}`,
  })

const optionsSchema = <P extends string, S extends string, C extends keyof Choices>({
  parameters,
  ranges,
  choices,
  states,
  surrogate,
}: Definition<P, S, C>): Schema.Struct<Schema.Struct.Fields> =>
  Schema.Struct({
    ...optional(Object.keys(parameters).map((name) => [name, settingSchema(ranges?.[name as P])])),
    ...optional((Object.keys(choices ?? {}) as Array<C>).map((name) => [name, choiceSchemas[name]])),
    ...optional([["initial", initialSchema(states)]]),
    ...(surrogate === "none" ? {} : firingFields),
  })

/** Adds neurons to the graph, with options that are checked. */
export const build = <P extends string, S extends string, C extends keyof Choices>(
  kind: string,
  { parameters, choices, states, initial, surrogate: usual, step }: Definition<P, S, C>,
  options: Options<P, S, C>,
  x: Tensor,
  name: string,
): Tensor => {
  const told = options as Readonly<Record<string, unknown>>
  /** What was told, else what is usual. */
  const chosen = <A extends object>(usual: A) =>
    Object.fromEntries(Object.entries(usual).map(([each, value]) => [each, told[each] ?? value])) as A
  const { p, tensors } = parametersOf(x, name, chosen(parameters))
  const { surrogate = usual, smooth = false } = options
  const shape = surrogate === undefined || surrogate === "none" ? ({ name: "triangle", alpha: 1 } as const) : surrogate
  const { slope, primitive } = "name" in shape ? checkedExpressionOf(shape) : shape
  const before = Object.fromEntries(states.map((state, k) => [state, named(`s.${k}`)])) as Record<S, Expression>
  const { states: after, output } = step({
    x: named("x0"),
    before,
    p,
    choices: chosen(choices ?? {}) as Pick<Choices, C>,
    spike: (z) => fire(z, { slope, primitive }),
  })
  const roots = shared([...states.map((state) => of(after[state])), output])
  const start = { ...initial, ...options.initial } as Readonly<Partial<Record<S, number>>>
  return place(x, name, kind, roots, tensors, { states, initial: states.map((state) => start[state] ?? 0), smooth })
}
