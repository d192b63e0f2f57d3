/** Shared implementation of CIFAR-10 and CIFAR-100. */
import { Array as Arr, Effect, Path } from "effect"
import { augmentation } from "../augmentations.ts"
import { MalformedFile, MissingFile } from "../errors.ts"
import {
  advice,
  adviceOn,
  type Foreign,
  listMatching,
  lookOrMake,
  obtain,
  type RemoteFile,
  searched,
} from "../files/locate.ts"
import { readBytes } from "../files/read.ts"
import { named, untar } from "../files/unpack.ts"
import { type CifarLayout, parseCifar } from "../formats/cifar.ts"
import { concatenate, imageSplit } from "../images/split.ts"
import { normalize } from "../images/transforms.ts"
import type { OpenOptions, Source } from "./options.ts"

/** The differences between the two data sets. */
export interface CifarSource {
  readonly name: string
  readonly description: string
  readonly classNames: ReadonlyArray<string>
  readonly labelBytes: CifarLayout["labelBytes"]
  /** The folder within the archive. */
  readonly folder: string
  /** Stems of the files: `data_batch_[1-5]` for data_batch_1.bin … data_batch_5.bin. */
  readonly stems: { readonly train: string; readonly test: string }
  readonly archive: RemoteFile
  readonly mean: ReadonlyArray<number>
  readonly std: ReadonlyArray<number>
}

// "data_batch_1.bin", or a part of it, such as "data_batch_1.first4000.bin".
const filePattern = (stem: string) => new RegExp(`^${stem}(\\.first\\d+)?\\.bin$`)

/** Drops parts of files that are also present whole; the whole file comes first in order of name. */
const withoutParts = (files: ReadonlyArray<string>): ReadonlyArray<string> => {
  const whole = (file: string) => file.replace(/\.first\d+\.bin$/, ".bin")
  return files.filter((file, i) => files.findIndex((other) => whole(other) === whole(file)) === i)
}

const side = 32

/** Greatest total size of the files of a data set, in bytes. */
const most = 60_000 * (2 + 3 * side * side)

const foreign = (url: string): Foreign => {
  const instead = `which is not read: unpack ${url} there`
  return [
    [
      /^cifar-(10-batches-py|100?-python(\.tar\.gz)?)$|^data_batch_[1-5]$/,
      `the version for Python (pickles), ${instead}`,
    ],
    [/^cifar-(10-batches-mat|100?-matlab(\.tar\.gz)?)$|_batch(_[1-5])?\.mat$/, `the version for Matlab, ${instead}`],
    [/^cifar-100?-binary\.tar\.gz$/, "which has to be unpacked there"],
    [/^(train|test)\.7z$|^trainLabels\.csv$/, `the version of Kaggle, ${instead}`],
  ]
}

/** The default augmentation, as in SLTT's CIFAR experiments. */
const usualAugment = ["crop", "cutout", "flip"] as const

/**
 * The data set: static images [32, 32, 3], normalised per channel. By default, training images are augmented with "crop",
 * "cutout" and "flip".
 */
export const cifarSource = (source: CifarSource): Source => {
  const { name, description, classNames, labelBytes, folder, stems, archive } = source
  const layout = { labelBytes, classes: classNames.length }
  const either = new RegExp(`${filePattern(stems.train).source}|${filePattern(stems.test).source}`)

  const find = Effect.fnUntraced(function* (stem: string, directories: ReadonlyArray<string>) {
    for (const directory of directories) {
      const files = withoutParts(yield* listMatching(directory, filePattern(stem)))
      if (Arr.isReadonlyArrayNonEmpty(files)) return files
    }
    return undefined
  })

  const read = Effect.fnUntraced(function* (stem: string, options: OpenOptions) {
    const path = yield* Path.Path
    const parents = yield* searched(name, options)
    const directories = parents.flatMap((each) => [path.join(each, folder), each])
    const look = find(stem, directories)
    const wanted = [`${stem}.bin`]
    if (options.dataDir !== undefined && (yield* look) === undefined) {
      const advised = yield* adviceOn(parents, foreign(archive.url), advice(archive.url))
      return yield* new MissingFile({ dataset: name, wanted, searched: directories, advice: advised })
    }
    const target = directories[0] as string
    const make = Effect.flatMap(obtain(name, archive, options), (packed) =>
      untar(packed, named(either), target, { bytes: most, files: 6 }),
    )
    const files = yield* options.dataDir === undefined ? lookOrMake(target, look, make) : look
    if (files === undefined) {
      const packed = path.join(parents[0] as string, archive.names[0])
      return yield* new MalformedFile({ file: packed, problem: `it holds no ${wanted}` })
    }
    const parts = yield* Effect.forEach(files, (file) =>
      Effect.flatMap(readBytes(file, most), (bytes) => Effect.fromResult(parseCifar(file, bytes, layout))),
    )
    return concatenate(parts)
  })

  const sample = { shape: [side, side, 3], classes: classNames.length, classNames, encoding: "static" } as const

  return {
    description,
    sample,
    augment: usualAugment,
    open: Effect.fnUntraced(function* (options: OpenOptions) {
      const train = yield* read(stems.train, options)
      const test = yield* read(stems.test, options)
      const normalised = { white: 255, normalize: normalize(source.mean, source.std) }
      const augment = augmentation(options.augment ?? usualAugment, side)
      return {
        name,
        ...sample,
        train: imageSplit(train, { ...normalised, augment }),
        test: imageSplit(test, normalised),
      }
    }),
  }
}
