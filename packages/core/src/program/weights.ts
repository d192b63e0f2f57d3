/** Which weights a program trains, and how, selected by names and patterns. */

import { Effect, Schema } from "effect"
import { aProgram, argument } from "../arguments.ts"
import { OptionError } from "../errors.ts"
import type { Graph } from "../graph/graph.ts"
import type { Optimizer } from "../optimizers/optimizer.ts"
import { NonNegative, Positive } from "../options.ts"
import { nearest } from "../text.ts"
import { nameOf, type Program } from "./program.ts"

/** Weights with their own learning rate or optimiser options. */
export interface ParameterGroup {
  /**
   * Names, or patterns in which `*` matches any characters, such as `*.bias`. If several groups match a weight, the first one
   * applies.
   */
  readonly parameters: ReadonlyArray<string>
  /** Factor on the learning rate. Default 1. */
  readonly rate?: number
  /** Options of the optimiser that differ from the default group's, such as `{ weightDecay: 0 }`. */
  readonly options?: Readonly<Record<string, number>>
}

/** Options for the training of weights. */
export interface WeightOptions {
  /**
   * Weights that are not trained, by name or pattern, such as `features.*`. Gradients that only they need are not computed, and the
   * optimiser stores no states for them. Running statistics are updated all the same.
   */
  readonly freeze?: ReadonlyArray<string>
  /** Upper limit of the Euclidean norm of all gradients together. Larger gradients are scaled down to it. */
  readonly clipNorm?: number
  /** Upper limit of the absolute value of gradient elements, applied after `clipNorm`. */
  readonly clipValue?: number
  /** Groups of weights with their own learning rate or optimiser options. */
  readonly groups?: ReadonlyArray<ParameterGroup>
}

const Names = /* @__PURE__ */ Schema.Array(Schema.String).annotate({
  expected: "a list of names of weights, or patterns with *",
})

/** Schemas of {@link WeightOptions}. */
export const weightFields = {
  freeze: Schema.optionalKey(Names),
  clipNorm: Schema.optionalKey(Positive),
  clipValue: Schema.optionalKey(Positive),
  groups: Schema.optionalKey(
    Schema.Array(
      Schema.Struct({
        parameters: Names,
        rate: Schema.optionalKey(NonNegative),
        options: Schema.optionalKey(Schema.Record(Schema.String, Schema.Number)),
      }),
    ),
  ),
} as const

/** How the weights of a group are updated. */
export interface Group {
  readonly optimizer: Optimizer
  /** Factor on the learning rate. */
  readonly rate: number
}

/** Which weights are trained, and how. */
export interface Trained {
  readonly frozen: ReadonlySet<string>
  /** The first group is that of all weights that no option names. */
  readonly groups: readonly [Group, ...ReadonlyArray<Group>]
  /** The index of the group of each named weight; 0 for others. */
  readonly groupOf: ReadonlyMap<string, number>
}

/** The contents of the hyperparameter buffers for an update, counted from 1. */
export const hyperparametersOf = (
  program: Pick<Program, "groups" | "buffers">,
  learningRate: number,
  update: number,
): ReadonlyArray<readonly [buffer: string, values: Float32Array]> => {
  const { groups = [], buffers } = argument(program, aProgram, "Program.hyperparametersOf")
  return groups.flatMap(({ optimizer, rate }, i) => {
    const name = nameOf({ role: "hyperparameters", ...(i > 0 && { owner: `${i}` }) })
    const isThere = buffers.some((buffer) => buffer.name === name)
    return isThere ? [[name, optimizer.numbers(learningRate * rate, update)] as const] : []
  })
}

/** Whether a name matches a pattern. */
const fits = (pattern: string) => {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, "\\$&"))
  return (name: string): boolean => new RegExp(`^${parts.join(".*")}$`, "s").test(name)
}

/**
 * The trained weights of a graph, and their groups. Fails with an OptionError for names or patterns that match no weight, and if
 * nothing is left to train.
 */
export const trainedOf = (
  graph: Graph,
  optimizer: Optimizer,
  { freeze = [], groups = [] }: WeightOptions,
): Effect.Effect<Trained, OptionError> =>
  Effect.gen(function* () {
    const owner = "the program"
    const weights = graph.parameters.filter(({ role }) => role === "weight").map(({ name }) => name)
    const named = (option: string, patterns: ReadonlyArray<string>) =>
      Effect.forEach(patterns, (pattern) => {
        const found = weights.filter(fits(pattern))
        const expected = "names of weights, or patterns with * that match some"
        const similar = nearest(pattern, weights)
        return found.length > 0
          ? Effect.succeed(found)
          : Effect.fail(new OptionError({ owner, option, value: pattern, expected, similar }))
      }).pipe(Effect.map((lists) => lists.flat()))
    const frozen = new Set(yield* named("freeze", freeze))
    if (weights.length > 0 && weights.every((name) => frozen.has(name)))
      return yield* new OptionError({
        ...{ owner, option: "freeze", value: freeze, expected: "names of some weights, not of all" },
      })
    const groupOf = new Map<string, number>()
    const made: Array<Group> = []
    for (const [i, { parameters, rate = 1, options = {} }] of groups.entries()) {
      for (const name of yield* named(`groups.${i}.parameters`, parameters))
        if (!groupOf.has(name)) groupOf.set(name, i + 1)
      const own = yield* Effect.try({
        try: () => optimizer.with(options),
        catch: (error) => {
          if (error instanceof OptionError) return error
          throw error
        },
      })
      made.push({ optimizer: own, rate })
    }
    return { frozen, groups: [{ optimizer, rate: 1 }, ...made], groupOf }
  })
