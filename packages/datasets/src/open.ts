/** Opening a data set by its name. */
import { Effect } from "effect"
import type { Dataset } from "./dataset.ts"
import { type DatasetError, InvalidOption, UnknownDataset } from "./errors.ts"
import type { FileServices } from "./files/locate.ts"
import { nearest } from "./nearest.ts"
import { cifar10 } from "./sets/cifar10.ts"
import { cifar100 } from "./sets/cifar100.ts"
import { fashionMnist } from "./sets/fashion-mnist.ts"
import { mnist } from "./sets/mnist.ts"
import { nmnist } from "./sets/nmnist.ts"
import { optdigits } from "./sets/optdigits.ts"
import type { OpenOptions, Source } from "./sets/options.ts"
import { shapes } from "./sets/shapes.ts"

/** The data sets that there are. A new one is a file in `sets` and a line here. */
export const datasets: Readonly<Record<string, Source>> = {
  shapes,
  mnist,
  "fashion-mnist": fashionMnist,
  cifar10,
  cifar100,
  nmnist,
  optdigits,
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
    const { timeSteps } = options
    if (!Number.isSafeInteger(timeSteps) || timeSteps < 1) {
      return yield* new InvalidOption({
        option: "timeSteps",
        value: timeSteps,
        problem: "must be an integer of at least 1",
      })
    }
    const source = Object.hasOwn(datasets, name) ? datasets[name] : undefined
    if (source === undefined) {
      const known = Object.keys(datasets)
      return yield* new UnknownDataset({ dataset: name, nearest: nearest(name, known), known })
    }
    return yield* source.open(options)
  })
