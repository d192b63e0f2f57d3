/** The compiler's door: what a program can be compiled for, and whether the request makes sense. */
import { Effect, type Schema } from "effect"
import { type OptionError, PolicyError, ProgramError } from "../errors.ts"
import type { Graph } from "../graph/graph.ts"
import type { ValueType } from "../op.ts"
import { edgesOf, ops } from "../ops/index.ts"
import { check, checkpointIntervalOf, isCut, type Policy, windowOf } from "../policies/policy.ts"
import { size } from "../shape.ts"
import { lowerInference } from "./lower/index.ts"
import { lowerTraining } from "./lower/training.ts"
import {
  checkOptions,
  type InferenceOptions,
  InferenceSchema,
  type TrainingOptions,
  TrainingSchema,
} from "./options.ts"
import type { Program } from "./program.ts"
import { tracesOf } from "./traces.ts"

/** Compiles a training program. */
export const compile = (
  graph: Graph,
  policy: Policy,
  given: TrainingOptions,
): Effect.Effect<Program, OptionError | PolicyError | ProgramError> =>
  Effect.gen(function* () {
    const options = yield* checkOptions(graph, TrainingSchema as Schema.Codec<TrainingOptions>, given)
    const { all, lagged } = edgesOf(graph)
    yield* check(policy, options.timeSteps, all)
    const open = [...lagged].filter((edge) => !isCut(policy, edge))
    if (policy.trace !== undefined && policy.window !== 1 && open.length > 0)
      return yield* new PolicyError({
        policy: policy.name,
        reason: `a trace stands for gradient through time, which flows through ${open.join(", ")} here as well: detach that`,
      })
    const edges = lagged.size > 0 ? [...lagged] : undefined
    const trainedSteps = policy.steps.count(options.timeSteps)
    for (const { name, op } of graph.nodes) {
      if (!ops.get(op)?.mixesSamples) continue
      if (options.microBatches > 1)
        return yield* new ProgramError({
          reason: `micro-batches ${options.microBatches}: ${name} (${op}) takes its statistics over whole batches; it must be 1`,
        })
      const { shape } = graph.types.get(name) as ValueType
      if (options.batchSize * size(shape) === shape.at(-1))
        return yield* new ProgramError({
          reason: `batch size 1: ${name} (${op}) has a single value for each channel, which has no variance; train on batches of 2 or more`,
        })
    }
    return lowerTraining(graph, {
      mode: "training",
      observe: [],
      hoist: true,
      ...options,
      window: windowOf(policy, options.timeSteps, edges),
      checkpointInterval: checkpointIntervalOf(policy, options.timeSteps, edges),
      traces: yield* tracesOf(graph, policy),
      isCut: (edge) => isCut(policy, edge),
      recompute: policy.recompute,
      partial: trainedSteps < options.timeSteps,
      trainedSteps,
      policy: policy.name,
    })
  })

/** Compiles a program that only predicts: running statistics, no dropout, no gradient. */
export const compileInference = (
  graph: Graph,
  given: InferenceOptions,
): Effect.Effect<Program, OptionError | ProgramError> =>
  Effect.map(checkOptions(graph, InferenceSchema as Schema.Codec<InferenceOptions>, given), (options) =>
    lowerInference(graph, {
      mode: "inference",
      observe: [],
      hoist: true,
      ...options,
      window: 1,
      checkpointInterval: 1,
      traces: new Map(),
      isCut: () => true,
      recompute: false,
      partial: false,
      trainedSteps: 0,
      policy: "none",
      loss: undefined,
      optimizer: undefined,
    }),
  )
