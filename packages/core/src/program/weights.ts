/** Which weights a program trains, and how: chosen by names and patterns. */

import { Effect, Schema } from "effect"
import { aProgram, argument } from "../arguments.ts"
import { OptionError } from "../errors.ts"
import type { Graph } from "../graph/graph.ts"
import type { Optimizer } from "../optimizers/optimizer.ts"
import { NonNegative, Positive } from "../options.ts"
import { nearest } from "../text.ts"
import { nameOf, type Program } from "./program.ts"

/** Weights that are trained in a way of their own. */
export interface ParameterGroup {
  /** Names, or patterns in which `*` stands for any characters, as `*.bias`. Of several groups that name a weight the first counts. */
  readonly parameters: ReadonlyArray<string>
  /** The factor of the learning rate. Default 1. */
  readonly rate?: number
  /** Options of the optimiser that are other than elsewhere, as `{ weightDecay: 0 }`. */
  readonly options?: Readonly<Record<string, number>>
}

export interface WeightOptions {
  /**
   * Weights that stay as they are, by name or pattern, as `features.*`: no gradient is computed that only they would need, and the optimiser
   * keeps nothing of them. Running statistics move all the same.
   */
  readonly freeze?: ReadonlyArray<string>
  /** Gradients are scaled down to this Euclidean norm of all of them together, where it is greater. */
  readonly clipNorm?: number
  /** Then each element of a gradient is brought to between −clipValue and clipValue. */
  readonly clipValue?: number
  /** Weights with learning rates or options of the optimiser of their own. */
  readonly groups?: ReadonlyArray<ParameterGroup>
}

const Names = /* @__PURE__ */ Schema.Array(Schema.String).annotate({
  expected: "a list of names of weights, or patterns with *",
})

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
  /** The factor of the learning rate. */
  readonly rate: number
}

/** Which weights are trained, and how. */
export interface Trained {
  readonly frozen: ReadonlySet<string>
  /** The first is that of all weights that no option names. */
  readonly groups: readonly [Group, ...ReadonlyArray<Group>]
  /** Which group a weight belongs to; 0 where it is not named. */
  readonly groupOf: ReadonlyMap<string, number>
}

/** What the buffers of hyperparameters hold at an update, counted from 1. */
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

/** Whether a name is one that a pattern stands for. */
const fits = (pattern: string) => {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, "\\$&"))
  return (name: string): boolean => new RegExp(`^${parts.join(".*")}$`, "s").test(name)
}

/** The trained weights of a graph. */
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
        const expected = "names of the network's weights, or patterns with * that some of them fit"
        const similar = nearest(pattern, weights)
        return found.length > 0
          ? Effect.succeed(found)
          : Effect.fail(new OptionError({ owner, option, value: pattern, expected, similar }))
      }).pipe(Effect.map((lists) => lists.flat()))
    const frozen = new Set(yield* named("freeze", freeze))
    if (weights.length > 0 && weights.every((name) => frozen.has(name)))
      return yield* new OptionError({
        ...{ owner, option: "freeze", value: freeze, expected: "names of some weights; it leaves none to train" },
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
