/** What a program can be compiled for. */
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

export interface InferenceOptions {
  readonly batchSize: number
  /** At most 2^20. */
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
  /** Whether a prediction's outputs are summed over time (the default), [N, classes], or those of each step, [T, N, classes]. */
  readonly outputs?: "sum" | "step"
  /**
   * What predictions give of every step as well, [T, N, …]: outputs of nodes, by name, and states, as `lif1.membrane`, which is what a step
   * leaves for the next, behind the reset.
   */
  readonly record?: ReadonlyArray<string>
}

/** Which equal share of a larger batch is trained here, counted from 0, and of how many. */
export interface Share {
  readonly index: number
  readonly count: number
}

export interface TrainingOptions extends Omit<InferenceOptions, "outputs" | "record">, WeightOptions {
  /** `{ mix, target }`: of one class a sample, at each step. Or a sum of terms: see `Losses`. */
  readonly loss: Objective
  readonly optimizer: Optimizer
  /** Move what does not change over time out of the time loop. Default true; results are the same. */
  readonly hoist?: boolean
  /**
   * The batch is one share of a larger one, whose other shares are trained elsewhere: the loss, its gradient and firing rates are this
   * share's part of their means over the larger batch. Summed over all shares, in their order, they have the bits of a program that takes the
   * shares as micro-batches. Batch norm takes its statistics over each micro-batch then. `@spikeroute/distributed` sums them.
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

export const TrainingSchema: Of<Omit<TrainingOptions, "loss"> & { readonly loss: Loss; readonly key?: unknown }> =
  /* @__PURE__ */ Schema.Struct({ ...shared, ...weightFields, loss: LossSchema, optimizer: OptimizerSchema })

/** Options of training do for inference too: it passes over what only training needs. */
const passedOver = Schema.optionalKey(Schema.Unknown)

export const InferenceSchema: Of<
  InferenceOptions & Readonly<Partial<Record<"hoist" | "key" | "loss" | "optimizer" | keyof WeightOptions, unknown>>>
> = Schema.Struct({
  ...shared,
  outputs: Schema.optionalKey(oneOf(["sum", "step"])),
  record: Schema.optionalKey(Schema.Array(Schema.String).annotate({ expected: "a list of names of nodes and states" })),
  ...{ loss: passedOver, optimizer: passedOver, freeze: passedOver },
  ...{ clipNorm: passedOver, clipValue: passedOver, groups: passedOver },
})

/** Options that fit a graph, those that are left out filled in. */
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
        expected: "a graph, as Graph.make gives it",
      })
    yield* check(owner, schema, given)
    const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as unknown as A
    const options = { encoding: "static" as const, microBatches: 1, ...present }
    const { batchSize, microBatches, observe = [] } = options
    if (batchSize % microBatches !== 0)
      return yield* new OptionError({
        ...{ owner, option: "microBatches", value: microBatches },
        expected: `a number of equal parts of a batch of ${batchSize}`,
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
