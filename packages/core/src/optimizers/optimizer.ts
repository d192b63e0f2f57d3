/**
 * An optimiser updates the weights once per batch: an expression of a weight, its gradient and the optimiser's states for it.
 *
 * @example
 * const signDescent = Optimizer.make("signDescent", {
 *   options: { weightDecay: 0 },
 *   states: [],
 *   step: ({ weight, gradient, options, rate }) => {
 *     const sign = gradient.greaterThan(0).minus(Neuron.constant(0).greaterThan(gradient))
 *     return { weight: weight.minus(rate.times(sign.plus(weight.times(options.weightDecay)))), states: {} }
 *   },
 * })
 * const trainer = yield* Train.make(graph, Policy.sltt, { ...options, optimizer: signDescent({ weightDecay: 0.01 }) })
 */

import { Schema } from "effect"
import { argument, has, type Kind } from "../arguments.ts"
import { encode } from "../expressions/code.ts"
import type { ElementwiseForward } from "../expressions/elementwise.ts"
import { type Expression, leaf, of, type Value } from "../expressions/expression.ts"
import { assert, Float32, must } from "../options.ts"

/** The arguments of an update. */
export interface Step<O extends string, S extends string, N extends string = never> {
  readonly weight: Expression
  /** ∂w, summed over the batch and its time steps. */
  readonly gradient: Expression
  /** The states after the previous update. */
  readonly before: Readonly<Record<S, Expression>>
  readonly options: Readonly<Record<O, number>>
  /** The learning rate of this update, and the other numbers that change between updates. */
  readonly rate: Expression
  readonly numbers: Readonly<Record<N, Expression>>
}

/** The definition of an optimiser. */
export interface Definition<O extends string, S extends string, N extends string = never> {
  /** The options, numbers that are constant during training, with their defaults. */
  readonly options: Readonly<Record<O, number>>
  /** Allowed values of options; any number if an option is absent. */
  readonly ranges?: Readonly<Partial<Record<O, Schema.Codec<number>>>>
  /** Names of the values stored per weight between updates, initially 0. Checkpoints use these names. */
  readonly states: ReadonlyArray<S>
  /** Numbers other than the learning rate that change between updates, such as bias corrections. Updates are counted from 1. */
  readonly numbers?: (given: {
    readonly rate: number
    readonly update: number
    readonly options: Readonly<Record<O, number>>
  }) => Readonly<Record<N, number>>
  /** Computes the new weight and states. */
  readonly step: (given: Step<O, S, N>) => {
    readonly weight: Expression
    readonly states: Readonly<Record<S, Value>>
  }
}

/** An optimiser with its options. */
export interface Optimizer {
  readonly name: string
  readonly options: Readonly<Record<string, number>>
  readonly states: ReadonlyArray<string>
  /**
   * The update of the weight `x1` by a gradient, which is an expression of `x0` and `p0`. The states are the planes of `before`;
   * `h` holds the numbers that change between updates.
   */
  readonly update: (gradient: Expression) => ElementwiseForward
  /** The contents of `h` for an update, counted from 1: the learning rate, then the optimiser's own numbers. */
  readonly numbers: (learningRate: number, update: number) => Float32Array
  /**
   * The same optimiser with some options changed.
   *
   * @throws OptionError for options out of range
   */
  readonly with: (options: Readonly<Record<string, number>>) => Optimizer
}

/** A kind of optimiser: a function from options to an optimiser. */
export interface OptimizerKind<O extends string = string> {
  /** @throws OptionError for options out of range */
  (options?: Readonly<Partial<Record<O, number>>>): Optimizer
  /** Default values of the options. */
  readonly defaults: Readonly<Record<O, number>>
  /** The Schema of its options. */
  readonly schema: Schema.Struct<Schema.Struct.Fields>
}

const aDefinition: Kind = ["{ options, states, step }", /* @__PURE__ */ has("options", "states", "step")]

/**
 * Defines a kind of optimiser. See the example at the top of this module.
 *
 * @throws OptionError if the definition is incomplete
 */
export const make = <O extends string, S extends string, N extends string = never>(
  name: string,
  definition: Definition<O, S, N>,
): OptimizerKind<O> => {
  const { options: defaults, ranges } = argument(definition, aDefinition, "Optimizer.make")
  const schema = Schema.Struct(
    Object.fromEntries(
      Object.keys(defaults).map((option) => [option, Schema.optionalKey(ranges?.[option as O] ?? Float32)]),
    ),
  )
  const kind = (chosen = {} as Readonly<Partial<Record<O, number>>>): Optimizer => {
    assert(name, schema as unknown as Schema.Codec<object>, chosen)
    const options = { ...defaults, ...chosen }
    return { ...configured(name, definition, options), with: (changed) => kind({ ...options, ...changed }) }
  }
  return Object.assign(kind, { defaults, schema })
}

const configured = <O extends string, S extends string, N extends string>(
  name: string,
  { states, numbers, step }: Definition<O, S, N>,
  options: Readonly<Record<O, number>>,
): Omit<Optimizer, "with"> => {
  const own = (rate: number, update: number) => numbers?.({ rate, update, options }) ?? ({} as Record<N, number>)
  const leaves = <K extends string>(names: ReadonlyArray<K>, leafOf: (i: number) => string) =>
    Object.fromEntries(names.map((each, i) => [each, leaf(leafOf(i))])) as Record<K, Expression>
  const update = (gradient: Expression): ElementwiseForward => {
    const { weight, states: after } = step({
      ...{ gradient, weight: leaf("x1"), before: leaves(states, (k) => `before.${k}`), options, rate: leaf("h.0") },
      numbers: leaves(Object.keys(own(1, 1)) as Array<N>, (k) => `h.${1 + k}`),
    })
    const { code, places } = encode([...states.map((state) => of(after[state])), weight])
    return { code, state: places.slice(0, -1), y: places.at(-1) as number }
  }
  return {
    name,
    options,
    states,
    update,
    numbers: (rate, update) => Float32Array.of(rate, ...Object.values<number>(own(rate, update))),
  }
}

/** The Schema of {@link Optimizer}. */
export const OptimizerSchema: Schema.Codec<Optimizer> = /* @__PURE__ */ Schema.Unknown.check(
  must("an optimiser, such as Optimizer.adam()", (value) => {
    const { update, numbers } = Object(value) as Partial<Optimizer>
    return typeof update === "function" && typeof numbers === "function"
  }),
) as unknown as Schema.Codec<Optimizer>
