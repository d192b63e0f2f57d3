/** The entry points of the compiler: they check the request and lower the graph. */
import { Effect, Schema } from "effect"
import { type OptionError, PolicyError, ProgramError } from "../errors.ts"
import type { Graph } from "../graph/graph.ts"
import { edgesOf } from "../graph/nodes.ts"
import { TermsSchema, termsOf } from "../losses/objective.ts"
import { kindOf } from "../losses/term.ts"
import type { ValueType } from "../op.ts"
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
import { trainedOf } from "./weights.ts"

/**
 * Compiles a training program. Fails with an OptionError for invalid options, a PolicyError if the policy does not match the graph
 * or the loss, and a ProgramError if the graph or the loss does not match the batch.
 *
 * @example
 * const program = yield* Program.compile(graph, Policy.sltt, options)
 */
export const compile = (
  graph: Graph,
  policy: Policy,
  given: TrainingOptions,
): Effect.Effect<Program, OptionError | PolicyError | ProgramError> =>
  Effect.gen(function* () {
    const terms = termsOf(given?.loss)
    const schema = Array.isArray(given?.loss) || Object(given?.loss).kind ? WithTerms : TrainingSchema
    const options = yield* checkOptions(graph, schema as Schema.Codec<TrainingOptions>, given)
    const { all, lagged } = edgesOf(graph)
    yield* check(policy, options.timeSteps, all)
    const open = [...lagged].filter((edge) => !isCut(policy, edge))
    if (policy.trace !== undefined && policy.window !== 1 && open.length > 0)
      return yield* new PolicyError({
        policy: policy.name,
        reason: `a trace replaces gradient through time, which still flows through ${open.join(", ")}: detach that`,
      })
    const edges = lagged.size > 0 ? [...lagged] : undefined
    const trainedSteps = policy.steps.count(options.timeSteps)
    for (const { name, op, rule } of graph.nodes) {
      if (!rule.mixesSamples) continue
      if (options.microBatches > 1 && !options.share)
        return yield* new ProgramError({
          reason: `micro-batches ${options.microBatches}: ${name} (${op}) needs the statistics of whole batches; it must be 1`,
        })
      const { shape } = graph.types.get(name) as ValueType
      if (options.batchSize * size(shape) === shape.at(-1))
        return yield* new ProgramError({
          reason: `batch size 1: ${name} (${op}) has one value per channel, and so no variance; use a batch size of at least 2`,
        })
    }
    const trained = yield* trainedOf(graph, options.optimizer, options)
    const measured = terms[0] ? yield* terms[0].kind.lowering.check(graph, terms, options) : []
    const unfit = policy.rates?.unfit(graph, terms)
    if (unfit !== undefined) return yield* new PolicyError({ policy: policy.name, reason: unfit })
    const window = windowOf(policy, options.timeSteps, edges)
    const isPartial = trainedSteps < options.timeSteps
    // If one window that is trained to its end covers all steps, all residuals are stored after the last forward step.
    const forwardRuns = policy.rates !== undefined || (window > 1 && window === options.timeSteps && !isPartial) ? 1 : 2
    const isOverRun = terms.some((term) => ["sum", "mean", "max"].includes(kindOf(term).over(term)))
    const { eligibility, rates, recompute } = policy
    const request: Parameters<typeof lowerTraining>[1] = {
      mode: "training",
      observe: [],
      record: [],
      ...options,
      // Rates and eligibility traces require that time-invariant values are computed outside the time loop.
      hoist: (rates ?? eligibility) !== undefined || (options.hoist ?? true),
      ...{ measured, trained },
      window,
      forwardRuns: isOverRun ? forwardRuns : undefined,
      checkpointInterval: checkpointIntervalOf(policy, options.timeSteps, edges),
      traces: policy.traces ? yield* policy.traces(graph, policy) : new Map(),
      isCut: (edge) => eligibility !== undefined || isCut(policy, edge),
      eligibility:
        eligibility && ((analysis, request) => eligibility(analysis, request, (edge) => isCut(policy, edge))),
      ...{ rates, recompute },
      partial: isPartial,
      trainedSteps,
      policy: policy.name,
    }
    return yield* Effect.try({
      try: () => lowerTraining(graph, request),
      // Which layers eligibility traces cannot reach is known only during lowering.
      catch: (error) => {
        if (error instanceof PolicyError) return error
        throw error
      },
    })
  })

const WithTerms = /* @__PURE__ */ Schema.Struct({ ...TrainingSchema.fields, loss: TermsSchema })

/** Compiles a program for inference: running statistics, no dropout, no gradients. Fails with an OptionError for invalid options. */
export const compileInference = (
  graph: Graph,
  given: InferenceOptions,
): Effect.Effect<Program, OptionError | ProgramError> =>
  Effect.map(checkOptions(graph, InferenceSchema as Schema.Codec<InferenceOptions>, given), (options) =>
    lowerInference(graph, {
      mode: "inference",
      observe: [],
      record: [],
      hoist: true,
      ...options,
      measured: [],
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
