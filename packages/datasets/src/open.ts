/** Opens data sets by name. */

import { argument, assert, check, type Kind, must, OptionError, oneOf, whole } from "@spikeroute/core/options"
import { nearest } from "@spikeroute/core/text"
import { Effect, Schema } from "effect"
import { type AugmentationName, augmentationNames } from "./augmentations.ts"
import { Callable, FramingSchema, Seed } from "./checks.ts"
import type { Dataset, Sample } from "./dataset.ts"
import { type DatasetError, UnknownDataset } from "./errors.ts"
import { type Column, columns } from "./events/column-names.ts"
import type { FileServices } from "./files/locate.ts"
import { arrays } from "./sets/arrays.ts"
import { audioFolder } from "./sets/audio-folder.ts"
import { cifar10 } from "./sets/cifar10.ts"
import { cifar10Dvs } from "./sets/cifar10-dvs.ts"
import { cifar100 } from "./sets/cifar100.ts"
import { dvsGesture } from "./sets/dvs-gesture.ts"
import { eventsFolder } from "./sets/events-folder.ts"
import { fashionMnist } from "./sets/fashion-mnist.ts"
import { heartbeats } from "./sets/heartbeats.ts"
import { imageFolder } from "./sets/image-folder.ts"
import { mnist } from "./sets/mnist.ts"
import { nmnist } from "./sets/nmnist.ts"
import { optdigits } from "./sets/optdigits.ts"
import { type OpenOptions, type Source, special } from "./sets/options.ts"
import { shapes } from "./sets/shapes.ts"
import { shd } from "./sets/shd.ts"
import { ssc } from "./sets/ssc.ts"

/** The data sets by name. To add one, add a file in `sets` and a line here. */
export const datasets: Readonly<Record<string, Source>> = {
  shapes,
  heartbeats,
  mnist,
  "fashion-mnist": fashionMnist,
  cifar10,
  cifar100,
  nmnist,
  "dvs-gesture": dvsGesture,
  "cifar10-dvs": cifar10Dvs,
  shd,
  ssc,
  "image-folder": imageFolder,
  "events-folder": eventsFolder,
  "audio-folder": audioFolder,
  arrays,
  optdigits,
}

/** Schema of the options of `open`: see `OpenOptions`. */
export const OpenSchema: Schema.Struct<{
  readonly timeSteps: Schema.Int
  readonly dataDir: Schema.optionalKey<Schema.String>
  readonly seed: Schema.optionalKey<Schema.Int>
  readonly framing: Schema.optionalKey<typeof FramingSchema>
  readonly augment: Schema.optionalKey<Schema.$Array<Schema.Literals<ReadonlyArray<AugmentationName>>>>
  readonly size: Schema.optionalKey<Schema.Int>
  readonly split: Schema.optionalKey<Schema.Finite>
  readonly sensor: Schema.optionalKey<Schema.$Array<Schema.Int>>
  readonly columns: Schema.optionalKey<Schema.$Array<Schema.Literals<ReadonlyArray<Column>>>>
  readonly encoding: Schema.optionalKey<Schema.Literals<readonly ["static", "frames"]>>
  readonly duration: Schema.optionalKey<Schema.Finite>
  readonly eventTransform: Schema.optionalKey<typeof Callable>
  readonly onProgress: Schema.optionalKey<typeof Callable>
}> = Schema.Struct({
  timeSteps: whole(1, 2 ** 20),
  dataDir: Schema.optionalKey(Schema.String.check(must("a path", (path) => path !== ""))),
  seed: Schema.optionalKey(Seed),
  framing: Schema.optionalKey(FramingSchema),
  augment: Schema.optionalKey(Schema.Array(oneOf(augmentationNames))),
  size: Schema.optionalKey(whole(1, 2 ** 14)),
  split: Schema.optionalKey(Schema.Finite.check(must("above 0 and below 1", (share) => share > 0 && share < 1))),
  sensor: Schema.optionalKey(
    Schema.Array(whole(1, 2 ** 14)).check(must("a width and a height", ({ length }) => length === 2)),
  ),
  columns: Schema.optionalKey(Schema.Array(oneOf(columns))),
  encoding: Schema.optionalKey(oneOf(["static", "frames"])),
  duration: Schema.optionalKey(Schema.Finite.check(must("above 0 and at most 600", (s) => s > 0 && s <= 600))),
  eventTransform: Schema.optionalKey(Callable),
  onProgress: Schema.optionalKey(Callable),
})

/** Validates options for this data set; returns the error, if any. */
const problemOf = (name: string, source: Source, options: OpenOptions): OptionError | undefined => {
  const { size, augment = [] } = options
  const refuse = (option: string, value: unknown, expected: string) =>
    new OptionError({ owner: name, option, value, expected })
  for (const option of special)
    if (options[option] !== undefined && !source.options?.includes(option)) {
      const users = Object.keys(datasets).filter((each) => datasets[each]?.options?.includes(option))
      return refuse(
        option,
        options[option],
        `left out: only ${users.join(", ")} ${users.length > 1 ? "take" : "takes"} it`,
      )
    }
  if (size !== undefined && source.size === undefined) {
    const sized = Object.keys(datasets).filter((each) => datasets[each]?.size !== undefined)
    return refuse("size", size, `omitted: samples of ${name} have a fixed size (not so ${sized.join(", ")})`)
  }
  const greatest = source.size?.greatest ?? 1
  if (size !== undefined && size > greatest) return refuse("size", size, `a whole number from 1 to ${greatest}`)
  return source.augment === "never" && augment.length > 0
    ? refuse("augment", augment, `omitted: samples of ${name} are not images`)
    : undefined
}

const aSource: Kind = ["a data set, as datasets.mnist", (value) => typeof Object(value).open === "function"]

/**
 * The sample description of a data set, without reading files. For `image-folder`, whose classes are counted when it is opened,
 * it has ImageNet's number of classes.
 *
 * @throws OptionError for a size that the data set does not support
 */
export const sampleOf = (source: Source, size: number | undefined): Sample => {
  const { sample } = argument(source, aSource, "sampleOf")
  if (sample === undefined) {
    const expected = "one whose samples are known before its files are read; open it instead"
    throw new OptionError({ owner: "sampleOf", option: "source", value: source.description, expected })
  }
  if (size !== undefined) assert("sampleOf", Schema.Struct({ size: whole(1, source.size?.greatest) }), { size })
  if (size === undefined || source.size === undefined) return sample
  return { ...sample, shape: [size, size, ...sample.shape.slice(2)] }
}

/**
 * Opens a data set: locates its files, downloads those missing from the cache, reads and validates them.
 *
 * With `dataDir`, files are read from its folder named after the data set, or from the directory itself, and nothing is
 * downloaded. Fails with a `DatasetError`, whose one-line message says what happened, where, and what to do.
 *
 * @example
 * const dataset = yield* open("fashion-mnist", { timeSteps: 6, dataDir: "data" })
 */
export const open: (name: string, options: OpenOptions) => Effect.Effect<Dataset, DatasetError, FileServices> =
  Effect.fnUntraced(function* (name: string, options: OpenOptions) {
    const source = Object.hasOwn(datasets, name) ? datasets[name] : undefined
    if (source === undefined) {
      const known = Object.keys(datasets)
      return yield* new UnknownDataset({ dataset: name, nearest: nearest(String(name), known), known })
    }
    yield* check(name, OpenSchema as unknown as Schema.Codec<OpenOptions>, options)
    const problem = problemOf(name, source, options)
    if (problem !== undefined) return yield* problem
    return yield* source.open(options)
  })
