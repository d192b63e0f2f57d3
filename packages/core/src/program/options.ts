/** Options of the compiler. */
import { Effect, Schema } from "effect"
import { OptionError } from "../errors.ts"
import type { Graph } from "../graph/graph.ts"
import { stateNames } from "../graph/nodes.ts"
import { type Loss, LossSchema } from "../loss.ts"
import type { Objective } from "../losses/index.ts"
import { type Optimizer, OptimizerSchema } from "../optimizers/optimizer.ts"
import { check, Flag, type Of, oneOf, whole } from "../options.ts"
import { nearest } from "../text.ts"
import type { Encoding } from "./program.ts"
import { type WeightOptions, weightFields } from "./weights.ts"

/** Options of {@link compileInference}. */
export interface InferenceOptions {
  /** Number of samples per batch. */
  readonly batchSize: number
  /** Number of time steps, at most 2^20. */
  readonly timeSteps: number
  /** Whether samples have one input for all steps, or one per step. Default "static". */
  readonly encoding?: Encoding
  /**
   * Number of equal parts that a batch is split into. They run one after the other and their gradients are summed. More parts need
   * less memory; the gradient differs only in the order of its sums. Networks with batch norm, whose statistics are over whole
   * batches, cannot be split for training. Default 1.
   */
  readonly microBatches?: number
  /** Names of nodes whose output can be read after each step, as `bufferNames.value(node)`. */
  readonly observe?: ReadonlyArray<string>
  /** Whether outputs are summed over time, [N, classes], or given for each step, [T, N, classes]. Default "sum". */
  readonly outputs?: "sum" | "step"
  /**
   * Values of every step that predictions also return, [T, N, …]: outputs of nodes, by name, and states such as `lif1.membrane`,
   * which are the states after the step, including the reset.
   */
  readonly record?: ReadonlyArray<string>
}

/** The equal share of a larger batch that is trained here: its index, counted from 0, and the number of shares. */
export interface Share {
  readonly index: number
  readonly count: number
}

/** Options of {@link compile}. */
export interface TrainingOptions extends Omit<InferenceOptions, "outputs" | "record">, WeightOptions {
  /** `{ mix, target }` for one class per sample at each step, or a list of terms: see `Losses`. */
  readonly loss: Objective
  readonly optimizer: Optimizer
  /** Whether to compute time-invariant values outside the time loop. The results are the same. Default true. */
  readonly hoist?: boolean
  /**
   * The batch is one share of a larger batch whose other shares are trained elsewhere: the loss, its gradient and the firing rates
   * are this share's part of their means over the larger batch. Summed over all shares in order, they are bit-identical to a
   * program that takes the shares as micro-batches. Batch norm then takes its statistics over each micro-batch.
   * `@spikeroute/distributed` sums them.
   */
  readonly share?: Share
}

const shared = {
  batchSize: whole(1),
  timeSteps: whole(1, 2 ** 20),
  encoding: Schema.optionalKey(oneOf(["static", "frames"])),
  microBatches: Schema.optionalKey(whole(1)),
  observe: Schema.optionalKey(Schema.Array(Schema.String).annotate({ expected: "a list of names of nodes" })),
  hoist: Schema.optionalKey(Flag),
  share: Schema.optionalKey(Schema.Struct({ index: whole(0), count: whole(1) })),
  /** Checked by the trainer. */
  key: Schema.optionalKey(Schema.Unknown),
} as const

/** The Schema of {@link TrainingOptions} with the loss of one class per sample. */
export const TrainingSchema: Of<Omit<TrainingOptions, "loss"> & { readonly loss: Loss; readonly key?: unknown }> =
  /* @__PURE__ */ Schema.Struct({ ...shared, ...weightFields, loss: LossSchema, optimizer: OptimizerSchema })

/** Options that only training needs are ignored, so that training options can be used for inference. */
const ignored = Schema.optionalKey(Schema.Unknown)

/** The Schema of {@link InferenceOptions}, which accepts training options too. */
export const InferenceSchema: Of<
  InferenceOptions & Readonly<Partial<Record<"hoist" | "key" | "loss" | "optimizer" | keyof WeightOptions, unknown>>>
> = Schema.Struct({
  ...shared,
  outputs: Schema.optionalKey(oneOf(["sum", "step"])),
  record: Schema.optionalKey(Schema.Array(Schema.String).annotate({ expected: "a list of names of nodes and states" })),
  ...{ loss: ignored, optimizer: ignored, freeze: ignored },
  ...{ clipNorm: ignored, clipValue: ignored, groups: ignored },
})

/** Checks options against a graph and fills in defaults. Fails with an OptionError. */
export const checkOptions = <A extends InferenceOptions>(
  graph: Graph,
  schema: Schema.Codec<A>,
  given: A,
): Effect.Effect<A & { readonly encoding: Encoding; readonly microBatches: number }, OptionError> =>
  Effect.gen(function* () {
    const owner = "the program"
    if (!(graph?.types instanceof Map))
      return yield* new OptionError({
        owner,
        option: "graph",
        value: graph,
        expected: "a graph from Graph.make",
      })
    yield* check(owner, schema, given)
    const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as unknown as A
    const options = { encoding: "static" as const, microBatches: 1, ...present }
    const { batchSize, microBatches, observe = [] } = options
    if (batchSize % microBatches !== 0)
      return yield* new OptionError({
        ...{ owner, option: "microBatches", value: microBatches },
        expected: `a divisor of the batch size, ${batchSize}`,
      })
    const { record = [] } = options as InferenceOptions
    const nodes = graph.nodes.map(({ name }) => name)
    const named = [
      { option: "observe", given: observe, names: nodes, expected: "names of the graph's nodes" },
      {
        option: "record",
        given: record,
        names: [...nodes, ...stateNames(graph)],
        expected: "names of nodes or states",
      },
    ]
    for (const { option, given, names, expected } of named) {
      const unknown = given.find((name) => !names.includes(name))
      if (unknown !== undefined)
        return yield* new OptionError({ owner, option, value: unknown, expected, similar: nearest(unknown, names) })
    }
    return options
  })
