/**
 * N-MNIST: MNIST's digits before an event camera that makes three saccades (Orchard et al., 2015).
 *
 * Read from Train/<digit>/*.bin and Test/<digit>/*.bin, as many recordings as there are. Recordings are read when a
 * batch wants them: the whole set has 70,000 files and a gigabyte of events. It is given away as archives behind a
 * page, so that it is not downloaded here.
 */
import { Effect, FileSystem, Path } from "effect"
import { augmentation } from "../augmentations.ts"
import { FileFailed, MissingFile } from "../errors.ts"
import { eventSplit } from "../events/split.ts"
import { listMatching, searched } from "../files/locate.ts"
import { parseNmnist, side } from "../formats/nmnist.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "nmnist"

const recordings = Effect.fnUntraced(function* (split: "Train" | "Test", options: OpenOptions) {
  const path = yield* Path.Path
  const directories = yield* searched(name, options)
  for (const directory of directories) {
    const files: Array<string> = []
    const labels: Array<number> = []
    for (let digit = 0; digit < 10; digit++) {
      const found = yield* listMatching(path.join(directory, split, String(digit)), /\.bin$/)
      files.push(...found)
      labels.push(...found.map(() => digit))
    }
    if (files.length > 0) return { files, labels }
  }
  return yield* new MissingFile({
    dataset: name,
    wanted: [`${split}/<digit>/*.bin`],
    searched: directories,
    advice: `unpack ${split}.zip from https://www.garrickorchard.com/datasets/n-mnist there`,
  })
})

const openSplit = Effect.fnUntraced(function* (split: "Train" | "Test", options: OpenOptions) {
  const fs = yield* FileSystem.FileSystem
  const { files, labels } = yield* recordings(split, options)
  const load = (index: number) => {
    const file = files[index] as string
    return fs.readFile(file).pipe(
      Effect.mapError(FileFailed.at(file)),
      Effect.flatMap((bytes) => Effect.fromResult(parseNmnist(file, bytes))),
    )
  }
  return eventSplit({
    size: files.length,
    label: (index) => labels[index] as number,
    load,
    width: side,
    height: side,
    timeSteps: options.timeSteps,
    framing: options.framing ?? "count",
    ...(split === "Train" && {
      transform: options.eventTransform,
      augment: augmentation(options.augment ?? [], side),
    }),
  })
})

const sample = {
  shape: [side, side, 2],
  classes: 10,
  classNames: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
  encoding: "frames",
} as const

/** The data set: frames [34, 34, 2] of equal numbers of events, unless told otherwise. */
export const nmnist: Source = {
  description: "handwritten digits seen by an event camera, 34×34, 60,000 + 10,000",
  sample,
  augment: [],
  open: Effect.fnUntraced(function* (options: OpenOptions) {
    const train = yield* openSplit("Train", options)
    const test = yield* openSplit("Test", options)
    return { name, ...sample, train, test }
  }),
}
