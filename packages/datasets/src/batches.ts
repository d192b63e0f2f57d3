/** From a split to the batches of an epoch: seeded order, augmentation keys, padding, prefetch. */
import * as Key from "@spikeroute/core/random"
import { Effect, Stream } from "effect"
import type { Batch, Dataset } from "./dataset.ts"
import { type DatasetError, InvalidOption } from "./errors.ts"

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
}

/** How many batches lie ready: with the one that waits for a place, two are made ahead of the one in use. */
const capacity = 1

const positive = (option: string, value: number, lowest: number): InvalidOption | undefined =>
  Number.isSafeInteger(value) && value >= lowest
    ? undefined
    : new InvalidOption({ option, value, problem: `must be an integer of at least ${lowest}` })

/** How many batches an epoch of `samples` samples has. */
export const batchCount = (samples: number, batchSize: number, remainder: "drop" | "pad"): number =>
  remainder === "drop" ? Math.floor(samples / batchSize) : Math.ceil(samples / batchSize)

/**
 * The batches of one epoch.
 *
 * What a batch holds depends on the data set, the key and the batch's index alone: the order is a permutation drawn
 * from the key, and sample i of batch b augments from `Key.fold(key, "augment", b, i)`. Up to two batches are made while an earlier
 * one is in use, as far as its user leaves the thread: reading files overlaps with training, arithmetic cannot, unless
 * workers do it (`openInWorkers`). Each batch has buffers of its own.
 *
 * Fails with `InvalidOption` where an option cannot be meant (a batch size above the number of samples with
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
  const { batchSize, timeSteps, key, limit, remainder, from = 0 } = options
  const samples = dataset[split]
  const count = Math.min(limit ?? samples.size, samples.size)
  const invalid =
    positive("batchSize", batchSize, 1) ??
    positive("timeSteps", timeSteps, 1) ??
    positive("from", from, 0) ??
    (limit === undefined ? undefined : positive("limit", limit, 1)) ??
    (remainder === "drop" && count < batchSize
      ? new InvalidOption({
          option: "batchSize",
          value: batchSize,
          problem: `${dataset.name} gives only ${count} ${split} samples, not one full batch`,
        })
      : undefined)
  if (invalid !== undefined) return Stream.fail(invalid)

  const sampleSize = dataset.shape.reduce((product, side) => product * side, 1)
  const inputSize = (dataset.encoding === "frames" ? timeSteps : 1) * batchSize * sampleSize
  const total = batchCount(count, batchSize, remainder)

  return Stream.suspend(() => {
    const order = key === undefined ? undefined : Key.permutation(Key.fold(key, "order"), count)
    const make = (index: number): Effect.Effect<Batch, DatasetError> =>
      Effect.suspend(() => {
        const indices = new Uint32Array(batchSize)
        const labels = new Float32Array(batchSize)
        for (let i = 0; i < batchSize; i++) {
          const position = (index * batchSize + i) % count
          const sample = order === undefined ? position : (order[position] as number)
          indices[i] = sample
          labels[i] = samples.label(sample)
        }
        const inputs = new Float32Array(inputSize)
        const batch = { inputs, labels, size: Math.min(batchSize, count - index * batchSize), index }
        const augment = key === undefined ? undefined : Key.fold(key, "augment", index)
        const keys = augment === undefined ? undefined : Array.from(indices, (_, i) => Key.fold(augment, i))
        return Effect.as(samples.write(indices, keys, inputs), batch)
      })
    return Stream.unfold(from, (index) =>
      index < total ? Effect.map(make(index), (batch) => [batch, index + 1] as const) : Effect.succeed(undefined),
    ).pipe(Stream.buffer({ capacity }))
  })
}
