/** Turns a split into the batches of an epoch: seeded order, augmentation keys, padding, prefetch. */
import { assert, faultIn, OptionError, oneOf, RandomKey, whole } from "@spikeroute/core/options"
import * as Key from "@spikeroute/core/random"
import { Effect, Schema, Stream } from "effect"
import { inputLength } from "./checks.ts"
import type { Batch, Dataset, Split } from "./dataset.ts"
import type { DatasetError } from "./errors.ts"

/** The options of `batches`. */
export interface BatchOptions {
  readonly batchSize: number
  readonly timeSteps: number
  /** Determines order and augmentation; use a new key for every epoch. Without a key, samples come in order and are not augmented. */
  readonly key?: Key.Key | undefined
  /** Uses only the first `limit` samples of the split. */
  readonly limit?: number | undefined
  /** Drops an incomplete last batch, or pads it with samples from the beginning of the epoch. */
  readonly remainder: "drop" | "pad"
  /** Index of the first batch, for resuming: from there on the batches are identical to those of an uninterrupted run. Default 0. */
  readonly from?: number | undefined
  /** Stride between batches, so that several processes can divide an epoch among them. Default 1. */
  readonly every?: number | undefined
  /** Share `index` of `count` equal shares of each batch, so that each process makes only its own samples. Default: the whole batch. */
  readonly share?: { readonly index: number; readonly count: number } | undefined
}

/** Capacity of the prefetch buffer. A second batch waits for a free slot, so two batches are prefetched. */
const capacity = 1

const remainders = ["drop", "pad"] as const

/** Schema of `BatchOptions`. */
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
 * Number of batches in an epoch of `samples` samples.
 *
 * @throws OptionError
 */
export const batchCount = (samples: number, batchSize: number, remainder: "drop" | "pad"): number => {
  assert("batchCount", CountSchema, { samples, batchSize, remainder })
  return remainder === "drop" ? Math.floor(samples / batchSize) : Math.ceil(samples / batchSize)
}

/** Validates the options of an epoch; returns the error, if any. */
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

/** The labels and targets of a batch. */
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
 * The content of a batch depends only on the data set, the key and the index of the batch: the order is a permutation drawn
 * from the key, and sample i of batch b is augmented with `Key.fold(key, "augment", b, i)`. Up to two batches are prefetched while
 * the consumer uses an earlier one. File reads overlap with training; computation does not, because it shares the thread, unless
 * workers do it (`openInWorkers`). Every batch has its own buffers.
 *
 * Fails with `OptionError` if an option is out of range, or if the epoch would have no batch (a batch size above the number
 * of samples with `remainder: "drop"`). Errors from reading samples are passed on.
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
