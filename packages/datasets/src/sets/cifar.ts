/** CIFAR-10 and CIFAR-100 share everything but names and figures. */
import { Effect, Path } from "effect"
import { MissingFile } from "../errors.ts"
import { advice, listMatching, mayDownload, obtain, type RemoteFile, readBytes, searched } from "../files/locate.ts"
import { untar } from "../files/untar.ts"
import { type CifarLayout, concatenate, parseCifar } from "../formats/cifar.ts"
import { imageSplit } from "../images/split.ts"
import { cutout, normalize, randomCrop, randomHorizontalFlip } from "../images/transforms.ts"
import { compose } from "../transform.ts"
import type { OpenOptions, Source } from "./options.ts"

/** What tells the two apart. */
export interface CifarSource {
  readonly name: string
  readonly description: string
  readonly classNames: ReadonlyArray<string>
  readonly labelBytes: CifarLayout["labelBytes"]
  /** The folder that the archive holds its files in. */
  readonly folder: string
  /** Stems of the files: `data_batch_[1-5]` for data_batch_1.bin … data_batch_5.bin. */
  readonly stems: { readonly train: string; readonly test: string }
  readonly archive: RemoteFile
  readonly mean: ReadonlyArray<number>
  readonly std: ReadonlyArray<number>
}

// "data_batch_1.bin", or a part of it whose name says so: "data_batch_1.first4000.bin".
const filePattern = (stem: string) => new RegExp(`^${stem}(\\.first\\d+)?\\.bin$`)

/**
 * The data set: static images [32, 32, 3], normalised for each channel. Training images are augmented as in SLTT's
 * CIFAR experiments: random crop with padding 4, cutout, horizontal flip.
 */
export const cifarSource = (source: CifarSource): Source => {
  const { name, description, classNames, labelBytes, folder, stems, archive } = source
  const layout = { labelBytes, classes: classNames.length }
  const either = new RegExp(`${filePattern(stems.train).source}|${filePattern(stems.test).source}`)

  const find = Effect.fnUntraced(function* (stem: string, options: OpenOptions) {
    const path = yield* Path.Path
    const directories = (yield* searched(name, options)).flatMap((each) => [each, path.join(each, folder)])
    for (const directory of directories) {
      const files = yield* listMatching(directory, filePattern(stem))
      if (files.length > 0) return { files, directories }
    }
    return { files: [], directories }
  })

  const read = Effect.fnUntraced(function* (stem: string, options: OpenOptions) {
    let found = yield* find(stem, options)
    if (found.files.length === 0 && mayDownload(options)) {
      const packed = yield* obtain(name, archive, options)
      yield* untar(packed, either, found.directories[0] as string)
      found = yield* find(stem, options)
    }
    if (found.files.length === 0) {
      const wanted = [`${stem}.bin`]
      return yield* new MissingFile({
        dataset: name,
        wanted,
        searched: found.directories,
        advice: advice(options, [archive.url]),
      })
    }
    const parts = yield* Effect.forEach(found.files, (file) =>
      Effect.flatMap(readBytes(file), (bytes) => Effect.fromResult(parseCifar(file, bytes, layout))),
    )
    return concatenate(parts)
  })

  const sample = { shape: [32, 32, 3], classes: classNames.length, classNames, encoding: "static" } as const

  return {
    description,
    sample,
    open: Effect.fnUntraced(function* (options: OpenOptions) {
      const train = yield* read(stems.train, options)
      const test = yield* read(stems.test, options)
      const normalised = { white: 255, normalize: normalize(source.mean, source.std) }
      const augment = compose(randomCrop(4), cutout(), randomHorizontalFlip())
      return {
        name,
        ...sample,
        train: imageSplit(train, { ...normalised, augment }),
        test: imageSplit(test, normalised),
      }
    }),
  }
}
