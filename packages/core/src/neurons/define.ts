/**
 * Defines neurons by their parameters, states and step.
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

/** Variants that several neuron models have in the literature. A neuron offers those that its definition names. */
export interface Choices {
  /** The effect of a spike on the membrane potential. A hard reset sets it to the parameter `resetPotential`. */
  readonly reset: Reset
  /** Whether the input is scaled by 1/τ = 1 − decay (`decay_input` in SpikingJelly). */
  readonly decayInput: boolean
  /** Whether the analog output is a function of the potential minus the threshold, instead of the potential. */
  readonly thresholdRelated: boolean
}

const choiceSchemas: { readonly [C in keyof Choices]: Schema.Codec<Choices[C]> } = {
  reset: ResetSchema,
  decayInput: Flag,
  thresholdRelated: Flag,
}

/** The arguments of a step. */
export interface Step<P extends string, S extends string, C extends keyof Choices = never> {
  /** The input of the neuron. */
  readonly x: Expression
  /** The states after the previous step. */
  readonly before: Readonly<Record<S, Expression>>
  /** The parameters. */
  readonly p: Readonly<Record<P, Expression>>
  readonly choices: Pick<Choices, C>
  /** [z ≥ 0], with the derivative of the layer's surrogate. */
  readonly spike: (z: Expression) => Expression
}

/** The definition of a neuron model. */
export interface Definition<P extends string, S extends string, C extends keyof Choices = never> {
  /** The parameters with their defaults. */
  readonly parameters: Readonly<Record<P, Setting>>
  /** Allowed values of parameters; any number if a parameter is absent. */
  readonly ranges?: Readonly<Partial<Record<P, Schema.Codec<number>>>>
  /** The variants of the neuron with their defaults. */
  readonly choices?: { readonly [K in C]: Choices[K] }
  /** Names of the states that a step passes to the next. Each is a temporal edge, which policies may cut. */
  readonly states: ReadonlyArray<S>
  /** Initial values of states. Default 0. */
  readonly initial?: Readonly<Partial<Record<S, number>>>
  /** The default surrogate; `none` for neurons that never fire. Default triangle, α = 1. */
  readonly surrogate?: SurrogateOptions | "none"
  /** Computes the new states and the output of one time step. */
  readonly step: (given: Step<P, S, C>) => {
    readonly states: Readonly<Record<S, Value>>
    readonly output: Expression
  }
}

/** Options of all spiking neurons. */
export interface NeuronOptions {
  /** The surrogate gradient. Default: the neuron's own, else triangle with α = 1. */
  readonly surrogate?: SurrogateOptions | SurrogateExpression
  /** Smooth mode: output the surrogate's primitive instead of spikes. For gradient checks. */
  readonly smooth?: boolean
}

/** Options of a neuron: its parameters, its variants, and the initial values of its states. */
export type NeuronSettings<P extends string, S extends string, C extends keyof Choices = never> = Readonly<
  Partial<Record<P, Setting>>
> &
  Partial<Pick<Choices, C>> & { readonly initial?: Readonly<Partial<Record<S, number>>> }

type Options<P extends string, S extends string, C extends keyof Choices> = NeuronOptions & NeuronSettings<P, S, C>

/** A neuron model: a function from options to a layer with one neuron per element. The output has the shape of the input. */
export interface NeuronLayer<P extends string, S extends string, C extends keyof Choices = never> {
  (options?: NeuronOptions & NeuronSettings<P, S, C>): Layer
  /** Kind of the layer, as in graphs. */
  readonly kind: string
  readonly definition: Definition<P, S, C>
  /** The Schema of its options. */
  readonly schema: Schema.Struct<Schema.Struct.Fields>
}

/** A model of neurons that never fire. */
export type ReadoutLayer<P extends string, S extends string, C extends keyof Choices = never> = Pick<
  NeuronLayer<P, S, C>,
  "kind" | "definition" | "schema"
> &
  ((options?: NeuronSettings<P, S, C>) => Layer)

const aDefinition: Kind = ["{ parameters, states, step }", /* @__PURE__ */ has("parameters", "states", "step")]

const aStep: Kind = ["a function that returns { states, output }", /* @__PURE__ */ has("states", "output")]

/**
 * Defines a neuron model.
 *
 * @param kind name of the model; unnamed layers are numbered by it
 * @throws OptionError for arguments of another type. The layers throw a GraphError while a graph is built, for invalid options.
 * @example
 * const lazy = Neuron.make("lazy", {
 *   parameters: { decay: 0.9 },
 *   states: ["membrane"],
 *   step: ({ x, before, p, spike }) => {
 *     const u = before.membrane.times(p.decay).plus(x)
 *     const output = spike(u.minus(1))
 *     return { states: { membrane: Neuron.afterReset("soft", u, output, 1) }, output }
 *   },
 * })
 */
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

/** A custom surrogate is a pair of functions. */
const OwnSurrogate = /* @__PURE__ */ Schema.Unknown.check(
  /* @__PURE__ */ must('a surrogate, such as { name: "triangle", alpha: 1 } or { slope, primitive }', (value) =>
    ["slope", "primitive"].every((each) => typeof Object(value)[each] === "function"),
  ),
)

/** Schemas of the options of all spiking neurons. */
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

/** Adds neurons to the graph. The options must be valid. */
export const build = <P extends string, S extends string, C extends keyof Choices>(
  kind: string,
  { parameters, choices, states, initial, surrogate: defaultSurrogate, step }: Definition<P, S, C>,
  options: Options<P, S, C>,
  x: Tensor,
  name: string,
): Tensor => {
  const given = options as Readonly<Record<string, unknown>>
  /** The given options, else the defaults. */
  const chosen = <A extends object>(defaults: A) =>
    Object.fromEntries(Object.entries(defaults).map(([each, value]) => [each, given[each] ?? value])) as A
  const { p, tensors } = parametersOf(x, name, chosen(parameters))
  const { surrogate = defaultSurrogate, smooth = false } = options
  const shape = surrogate === undefined || surrogate === "none" ? ({ name: "triangle", alpha: 1 } as const) : surrogate
  const { slope, primitive } = "name" in shape ? checkedExpressionOf(shape) : shape
  const before = Object.fromEntries(states.map((state, k) => [state, named(`s.${k}`)])) as Record<S, Expression>
  const stepped = step({
    x: named("x0"),
    before,
    p,
    choices: chosen(choices ?? {}) as Pick<Choices, C>,
    spike: (z) => fire(z, { slope, primitive }),
  })
  const { states: after, output } = argument(stepped, aStep, kind, "step")
  const roots = shared([...states.map((state) => of(after[state])), of(output)])
  const start = { ...initial, ...options.initial } as Readonly<Partial<Record<S, number>>>
  return place(x, name, kind, roots, tensors, { states, initial: states.map((state) => start[state] ?? 0), smooth })
}
