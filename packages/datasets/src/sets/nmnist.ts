/**
 * N-MNIST: MNIST's digits recorded by an event camera that makes three saccades (Orchard et al., 2015).
 *
 * All recordings in Train/<digit>/*.bin and Test/<digit>/*.bin are used. They are read when a batch is made, because the whole
 * data set has 70,000 files and a gigabyte of events.
 */
import { Effect, FileSystem, Path } from "effect"
import { augmentation } from "../augmentations.ts"
import { MalformedFile, MissingFile } from "../errors.ts"
import { eventSplit } from "../events/split.ts"
import { adviceOn, listMatching, lookOrMake, obtain, searched } from "../files/locate.ts"
import { readBytes } from "../files/read.ts"
import { type Place, unzip } from "../files/unpack.ts"
import { parseNmnist, side } from "../formats/nmnist.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "nmnist"

type Split = "Train" | "Test"

/** The authors' archives on Mendeley Data (https://data.mendeley.com/datasets/468j46mzdv/1), with their MD5 checksums. */
const archives = {
  Train: { id: "39c25547-014b-4137-a934-9d29fa53c7a0", md5: "20959b8e626244a1b502305a9e6e2031" },
  Test: { id: "05a4d654-7e03-4c15-bdfa-9bb2bcbea494", md5: "69ca8762b2fe404d9b9bad1103e97832" },
} as const

/** Extracts the recordings of a split into one folder per digit. */
const placeOf = (split: Split): Place => {
  const pattern = new RegExp(`(?:^|/)${split}/(\\d/\\d+\\.bin)$`)
  return (path) => pattern.exec(path)?.[1]
}

const recordings = Effect.fnUntraced(function* (split: Split, options: OpenOptions) {
  const path = yield* Path.Path
  // In the directory itself or, as in tonic, in NMNIST.
  const parents = yield* searched(name, options)
  const directories = parents.flatMap((each) => [each, path.join(each, "NMNIST")])
  const list = Effect.fnUntraced(function* () {
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
    return undefined
  })
  const { id, md5 } = archives[split]
  const url = `https://data.mendeley.com/public-files/datasets/468j46mzdv/files/${id}/file_downloaded`
  const wanted = [`${split}/<digit>/*.bin`]
  if (options.dataDir !== undefined) {
    const there = yield* list()
    if (there !== undefined) return there
    const otherwise = `unpack ${split}.zip from ${url} there, or name no data directory to have it downloaded`
    const advice = yield* adviceOn(directories, [[/^(Train|Test)\.zip$/, "which has to be unpacked there"]], otherwise)
    return yield* new MissingFile({ dataset: name, wanted, searched: parents, advice })
  }
  const folder = path.join(directories[0] as string, split)
  const archive = { names: [`${split}.zip`], url, checksum: { algorithm: "md5", hex: md5 } } as const
  const make = Effect.flatMap(obtain(name, archive, options), (packed) =>
    unzip(packed, placeOf(split), folder, { bytes: 2 ** 31, files: 70_000 }),
  )
  const found = yield* lookOrMake(folder, list(), make)
  return found ?? (yield* new MalformedFile({ file: `${folder}.zip`, problem: `it holds no ${wanted}` }))
})

const openSplit = Effect.fnUntraced(function* (split: Split, options: OpenOptions) {
  const fs = yield* FileSystem.FileSystem
  const { files, labels } = yield* recordings(split, options)
  const load = (index: number) => {
    const file = files[index] as string
    return readBytes(file, 2 ** 26).pipe(
      Effect.flatMap((bytes) => Effect.fromResult(parseNmnist(file, bytes))),
      Effect.provideService(FileSystem.FileSystem, fs),
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

/** The data set: frames [34, 34, 2], by default with equal numbers of events. */
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
