/** From a split to the batches of an epoch: seeded order, augmentation keys, padding, prefetch. */
import { assert, faultIn, OptionError, oneOf, RandomKey, whole } from "@spikeroute/core/options"
import * as Key from "@spikeroute/core/random"
import { Effect, Schema, Stream } from "effect"
import { inputLength } from "./checks.ts"
import type { Batch, Dataset, Split } from "./dataset.ts"
import type { DatasetError } from "./errors.ts"

/** How an epoch is cut into batches. */
export interface BatchOptions {
  readonly batchSize: number
  readonly timeSteps: number
  /** Decides about order and augmentation; a new one for every epoch. Absent: in order, nothing augmented. */
  readonly key?: Key.Key | undefined
  /** Only the first so many samples of the split. */
  readonly limit?: number | undefined
  /** What becomes of a last batch that is not full: dropped, or filled up with samples from the epoch's beginning. */
  readonly remainder: "drop" | "pad"
  /** The first batch to give, for resuming: it and those after it are what an unbroken run would have given. */
  readonly from?: number | undefined
  /** From one batch that is given to the next; of several processes each takes some of the batches. Default 1. */
  readonly every?: number | undefined
  /** Which equal share of each batch is given, of how many: of several processes each makes its own samples. Default: all of it. */
  readonly share?: { readonly index: number; readonly count: number } | undefined
}

/** How many batches lie ready: with the one that waits for a place, two are made ahead of the one in use. */
const capacity = 1

const remainders = ["drop", "pad"] as const

/** The options of `batches`. */
export const BatchSchema: Schema.Struct<{
  readonly batchSize: Schema.Int
  readonly timeSteps: Schema.Int
  readonly key: Schema.optionalKey<typeof RandomKey>
  readonly limit: Schema.optionalKey<Schema.Int>
  readonly remainder: Schema.Literals<typeof remainders>
  readonly from: Schema.optionalKey<Schema.Int>
  readonly every: Schema.optionalKey<Schema.Int>
  readonly share: Schema.optionalKey<Schema.Struct<{ readonly index: Schema.Int; readonly count: Schema.Int }>>
}> = Schema.Struct({
  batchSize: whole(1),
  timeSteps: whole(1, 2 ** 20),
  key: Schema.optionalKey(RandomKey),
  limit: Schema.optionalKey(whole(1)),
  remainder: oneOf(remainders),
  from: Schema.optionalKey(whole(0)),
  every: Schema.optionalKey(whole(1)),
  share: Schema.optionalKey(Schema.Struct({ index: whole(0), count: whole(1) })),
})

const CountSchema = Schema.Struct({ samples: whole(0), batchSize: whole(1), remainder: oneOf(remainders) })

/**
 * How many batches an epoch of `samples` samples has.
 *
 * @throws OptionError
 */
export const batchCount = (samples: number, batchSize: number, remainder: "drop" | "pad"): number => {
  assert("batchCount", CountSchema, { samples, batchSize, remainder })
  return remainder === "drop" ? Math.floor(samples / batchSize) : Math.ceil(samples / batchSize)
}

/** What is wrong with the options of an epoch. */
const problemOf = (dataset: Dataset, split: "train" | "test", options: BatchOptions): OptionError | undefined => {
  const owner = "batches"
  const schema = Schema.Struct({ split: oneOf(["train", "test"]), options: BatchSchema })
  const given = Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== undefined))
  const fault = faultIn(schema, { split, options: given })
  if (fault !== undefined) return new OptionError({ owner, ...fault, option: fault.option.replace(/^options\./, "") })
  const { batchSize, remainder, limit = Number.POSITIVE_INFINITY, share } = options
  if (share && (batchSize % share.count !== 0 || share.index >= share.count))
    return new OptionError({
      ...{ owner, option: "share", value: share },
      expected: `an index below the count, which divides the batch size ${batchSize}`,
    })
  const count = Math.min(limit, dataset[split].size)
  if (remainder === "pad" || count >= batchSize) return undefined
  const expected = `at most ${count}, the ${split} samples that ${dataset.name} gives: not one batch would be full`
  return new OptionError({ owner, option: "batchSize", value: batchSize, expected })
}

/** What a batch tells of its samples. */
const told = (
  { classes, targets = "class" }: Dataset,
  { label, writeTargets }: Split,
  indices: Uint32Array,
  timeSteps: number,
): Pick<Batch, "labels" | "targets"> => {
  if (targets === "class") return { labels: Float32Array.from(indices, label) }
  const each = targets.startsWith("class") ? 1 : classes
  const values = new Float32Array(indices.length * each * (targets.endsWith("PerStep") ? timeSteps : 1))
  writeTargets?.(indices, values)
  return targets === "classPerStep" ? { labels: values } : { labels: new Float32Array(), targets: values }
}

/**
 * The batches of one epoch.
 *
 * What a batch holds depends on the data set, the key and the batch's index alone: the order is a permutation drawn
 * from the key, and sample i of batch b augments from `Key.fold(key, "augment", b, i)`. Up to two batches are made while an earlier
 * one is in use, as far as its user leaves the thread: reading files overlaps with training, arithmetic cannot, unless
 * workers do it (`openInWorkers`). Each batch has buffers of its own.
 *
 * Fails with `OptionError` where an option is out of its range (a batch size above the number of samples with
 * `remainder: "drop"`, which would be an epoch without a step), and with whatever reading a sample fails with.
 *
 * @example
 * const epoch = batches(dataset, "train", {
 *   batchSize: 64,
 *   timeSteps: 8,
 *   key: Key.fold(Key.make(seed), "epoch", 3),
 *   remainder: "drop",
 * })
 * yield* Stream.runForEach(epoch, (batch) => train(batch))
 */
export const batches = (
  dataset: Dataset,
  split: "train" | "test",
  options: BatchOptions,
): Stream.Stream<Batch, DatasetError> => {
  const problem = problemOf(dataset, split, options)
  if (problem !== undefined) return Stream.fail(problem)
  const { batchSize, timeSteps, key, limit, remainder, from = 0, every = 1, share = { index: 0, count: 1 } } = options
  const samples = dataset[split]
  const count = Math.min(limit ?? samples.size, samples.size)
  const sampleSize = dataset.shape.reduce((product, side) => product * side, 1)
  const own = batchSize / share.count
  const first = share.index * own
  const inputSize = inputLength(own, dataset.encoding === "frames" ? timeSteps : 1, sampleSize)
  if (typeof inputSize !== "number") return Stream.fail(inputSize)
  const total = batchCount(count, batchSize, remainder)

  return Stream.suspend(() => {
    const order = key === undefined ? undefined : Key.permutation(Key.fold(key, "order"), count)
    const make = (index: number): Effect.Effect<Batch, DatasetError> =>
      Effect.suspend(() => {
        const indices = new Uint32Array(own)
        for (let i = 0; i < own; i++) {
          const position = (index * batchSize + first + i) % count
          indices[i] = order === undefined ? position : (order[position] as number)
        }
        const inputs = new Float32Array(inputSize)
        const batch = {
          inputs,
          ...told(dataset, samples, indices, timeSteps),
          size: Math.max(0, Math.min(own, count - index * batchSize - first)),
          index,
        }
        const augment = key === undefined ? undefined : Key.fold(key, "augment", index)
        const keys = augment === undefined ? undefined : Array.from(indices, (_, i) => Key.fold(augment, first + i))
        return Effect.as(samples.write(indices, keys, inputs), batch)
      })
    return Stream.unfold(from, (index) =>
      index < total ? Effect.map(make(index), (batch) => [batch, index + every] as const) : Effect.succeed(undefined),
    ).pipe(Stream.buffer({ capacity }))
  })
}
