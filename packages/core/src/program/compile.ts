/** The compiler's door: what a program can be compiled for, and whether the request makes sense. */
import { Effect } from "effect"
import { type PolicyError, ProgramError } from "../errors.ts"
import type { Graph } from "../graph/graph.ts"
import type { Loss } from "../loss.ts"
import { ops } from "../ops/index.ts"
import type { OptimizerOptions } from "../optimizers/index.ts"
import { check, checkpointIntervalOf, type Policy, windowOf } from "../policies/policy.ts"
import { lower } from "./lower/index.ts"
import type { Encoding, Program } from "./program.ts"
import { tracesOf } from "./traces.ts"

export interface InferenceOptions {
  readonly batchSize: number
  readonly timeSteps: number
  /** Default "static". */
  readonly encoding?: Encoding
  /**
   * Into how many parts a batch is cut that go through the network one after the other, their gradients summed. Default 1. More
   * take less memory; the gradient is the same but for the order of its sums. Batch norm takes its statistics over whole batches:
   * networks with it cannot be cut for training.
   */
  readonly microBatches?: number
  /** Nodes whose output stays readable, as `bufferNames.value(node)`, after each step. */
  readonly observe?: ReadonlyArray<string>
}

export interface TrainingOptions extends InferenceOptions {
  readonly loss: Loss
  readonly optimizer: OptimizerOptions
  /** Move what does not change over time out of the time loop. Default true; results are the same. */
  readonly hoist?: boolean
}

/** Compiles a training program. */
export const compile = (
  graph: Graph,
  policy: Policy,
  options: TrainingOptions,
): Effect.Effect<Program, PolicyError | ProgramError> =>
  Effect.gen(function* () {
    yield* checkExtents(options)
    yield* check(policy, options.timeSteps)
    const trainedSteps = policy.steps.count(options.timeSteps)
    const mixing = graph.nodes.find(({ op }) => ops.get(op)?.mixesSamples)
    if (mixing !== undefined && (options.microBatches ?? 1) > 1)
      return yield* new ProgramError({
        reason: `micro-batches ${options.microBatches}: ${mixing.name} (${mixing.op}) takes its statistics over whole batches; it must be 1`,
      })
    return lower(graph, {
      mode: "training",
      encoding: "static",
      observe: [],
      hoist: true,
      microBatches: 1,
      ...options,
      window: windowOf(policy, options.timeSteps),
      checkpointInterval: checkpointIntervalOf(policy, options.timeSteps),
      traces: yield* tracesOf(graph, policy),
      resetGradient: !policy.detached.has("reset"),
      recompute: policy.recompute,
      partial: trainedSteps < options.timeSteps,
      trainedSteps,
      policy: policy.name,
    })
  })

/** Compiles a program that only predicts: running statistics, no dropout, no gradient. */
export const compileInference = (graph: Graph, options: InferenceOptions): Effect.Effect<Program, ProgramError> =>
  Effect.map(checkExtents(options), () =>
    lower(graph, {
      mode: "inference",
      encoding: "static",
      observe: [],
      hoist: true,
      microBatches: 1,
      ...options,
      window: 1,
      checkpointInterval: 1,
      traces: new Map(),
      resetGradient: false,
      recompute: false,
      partial: false,
      trainedSteps: 0,
      policy: "none",
      loss: undefined,
      optimizer: undefined,
    }),
  )

const checkExtents = ({
  batchSize,
  microBatches = 1,
  timeSteps,
}: InferenceOptions): Effect.Effect<void, ProgramError> => {
  const good = (extent: number) => Number.isInteger(extent) && extent >= 1
  if (!good(batchSize))
    return Effect.fail(new ProgramError({ reason: `batch size ${batchSize}: it must be a whole number, at least 1` }))
  if (!good(timeSteps))
    return Effect.fail(new ProgramError({ reason: `time steps ${timeSteps}: it must be a whole number, at least 1` }))
  if (!good(microBatches) || batchSize % microBatches !== 0)
    return Effect.fail(
      new ProgramError({
        reason: `micro-batches ${microBatches}: a batch of ${batchSize} cannot be cut into so many equal parts`,
      }),
    )
  return Effect.void
}
