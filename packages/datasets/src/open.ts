/** Opening a data set by its name. */

import { nearest } from "@spikeroute/core/text"
import { Effect } from "effect"
import { augmentationNames } from "./augmentations.ts"
import type { Dataset, Sample } from "./dataset.ts"
import { type DatasetError, InvalidOption, UnknownDataset } from "./errors.ts"
import type { FileServices } from "./files/locate.ts"
import { cifar10 } from "./sets/cifar10.ts"
import { cifar10Dvs } from "./sets/cifar10-dvs.ts"
import { cifar100 } from "./sets/cifar100.ts"
import { dvsGesture } from "./sets/dvs-gesture.ts"
import { fashionMnist } from "./sets/fashion-mnist.ts"
import { imageFolder } from "./sets/image-folder.ts"
import { mnist } from "./sets/mnist.ts"
import { nmnist } from "./sets/nmnist.ts"
import { optdigits } from "./sets/optdigits.ts"
import type { OpenOptions, Source } from "./sets/options.ts"
import { shapes } from "./sets/shapes.ts"
import { shd } from "./sets/shd.ts"

/** The data sets that there are. A new one is a file in `sets` and a line here. */
export const datasets: Readonly<Record<string, Source>> = {
  shapes,
  mnist,
  "fashion-mnist": fashionMnist,
  cifar10,
  cifar100,
  nmnist,
  "dvs-gesture": dvsGesture,
  "cifar10-dvs": cifar10Dvs,
  shd,
  "image-folder": imageFolder,
  optdigits,
}

/** What is wrong with options that any data set may be given. */
const invalid = (name: string, source: Source, options: OpenOptions): InvalidOption | undefined => {
  const { timeSteps, size, augment = [] } = options
  const refuse = (option: string, value: unknown, problem: string) => new InvalidOption({ option, value, problem })
  if (!Number.isSafeInteger(timeSteps) || timeSteps < 1)
    return refuse("timeSteps", timeSteps, "must be an integer of at least 1")
  if (size !== undefined) {
    const sized = Object.keys(datasets).filter((each) => datasets[each]?.size !== undefined)
    if (source.size === undefined)
      return refuse("size", size, `${name} has samples of one size; ${sized.join(", ")} have others`)
    if (!Number.isSafeInteger(size) || size < 1 || size > source.size.greatest)
      return refuse("size", size, `must be an integer from 1 to ${source.size.greatest} for ${name}`)
  }
  const unknown = augment.find((each) => !augmentationNames.includes(each))
  if (unknown !== undefined)
    return refuse("augment", unknown, `no augmentation is called so; there are ${augmentationNames.join(", ")}`)
  return source.augment === "never" && augment.length > 0
    ? refuse("augment", augment, `samples of ${name} are no images`)
    : undefined
}

/**
 * What a sample of a data set is, known before any file is read: of `image-folder`, whose classes are counted when it
 * is opened, with as many as ImageNet has.
 */
export const sampleOf = (source: Source, size: number | undefined): Sample => {
  const { sample } = source
  if (size === undefined || source.size === undefined) return sample
  return { ...sample, shape: [size, size, ...sample.shape.slice(2)] }
}

/**
 * Opens a data set: finds its files, downloads what is missing from the cache, reads and checks them.
 *
 * With `dataDir` files are taken from there (a folder named as the data set, or the directory itself) and nothing is
 * downloaded. Fails with a `DatasetError`, whose message is one line that says what, where and what to do.
 *
 * @example
 * const dataset = yield* open("fashion-mnist", { timeSteps: 6, dataDir: "data" })
 */
export const open: (name: string, options: OpenOptions) => Effect.Effect<Dataset, DatasetError, FileServices> =
  Effect.fnUntraced(function* (name: string, options: OpenOptions) {
    const source = Object.hasOwn(datasets, name) ? datasets[name] : undefined
    if (source === undefined) {
      const known = Object.keys(datasets)
      return yield* new UnknownDataset({ dataset: name, nearest: nearest(name, known), known })
    }
    const problem = invalid(name, source, options)
    if (problem !== undefined) return yield* problem
    return yield* source.open(options)
  })
