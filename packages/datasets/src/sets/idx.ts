/** Data sets of four gzipped IDX files: MNIST and data sets with the same layout. */
import { Effect, Result } from "effect"
import { augmentation } from "../augmentations.ts"
import { MalformedFile } from "../errors.ts"
import { type Foreign, obtain } from "../files/locate.ts"
import { readBytes } from "../files/read.ts"
import { gunzip, isGzip } from "../formats/bytes.ts"
import { idxHeader, parseIdxPair } from "../formats/idx.ts"
import { imageSplit } from "../images/split.ts"
import type { OpenOptions, Source } from "./options.ts"

/** The differences between these data sets. */
export interface IdxSource {
  readonly name: string
  readonly description: string
  readonly classNames: ReadonlyArray<string>
  /** torchvision's folder for the files. */
  readonly torchvision: string
  /** Base URL of the files. */
  readonly base: string
  readonly md5: {
    readonly "train-images-idx3-ubyte": string
    readonly "train-labels-idx1-ubyte": string
    readonly "t10k-images-idx3-ubyte": string
    readonly "t10k-labels-idx1-ubyte": string
  }
}

const side = 28

/** Greatest number of samples in a file: EMNIST's digits, the largest data set in this format, are 280,000. */
const mostSamples = 300_000

/** Paths of the file in other copies: in torchvision's folders, or under Kaggle's names. */
const elsewhere = (stem: string, torchvision: string): ReadonlyArray<string> => {
  const dotted = stem.replace(/-(?=idx)/, ".")
  const names = [`${stem}.gz`, stem, dotted]
  const folders = [`${torchvision}/raw`, "raw"]
  return [
    dotted,
    ...folders.flatMap((folder) => names.map((each) => `${folder}/${each}`)),
    `${stem}/${stem}`,
    `${dotted}/${dotted}`,
  ]
}

const foreign = (base: string): Foreign => {
  const instead = `not read here: take the four IDX files of ${base}`
  return [
    [/^(fashion-?)?(mnist[_-])?(train|test)\.csv$/i, `a table of Kaggle's, which is ${instead}`],
    [/^(fashion-?)?mnist.*\.(csv|npz|pkl|pkl\.gz|parquet|pt|mat|arff|zip|tgz|tar\.gz)$/i, `which is ${instead}`],
  ]
}

/** The data set: static images [28, 28, 1] in [0, 1], not normalised; by default not augmented. */
export const idxSource = (source: IdxSource): Source => {
  const { name, description, classNames, base, md5 } = source
  const sample = { shape: [side, side, 1], classes: classNames.length, classNames, encoding: "static" } as const

  const read = Effect.fnUntraced(function* (stem: keyof IdxSource["md5"], options: OpenOptions) {
    const checksum = { algorithm: "md5", hex: md5[stem] } as const
    const names = [`${stem}.gz`, stem] as const
    const remote = { names, elsewhere: elsewhere(stem, source.torchvision), url: `${base}${stem}.gz`, checksum }
    const file = yield* obtain(name, remote, options, foreign(base))
    const ofImages = stem.includes("images")
    const headerBytes = ofImages ? 16 : 8
    const mostBytes = headerBytes + mostSamples * (ofImages ? side * side : 1)
    const bytes = yield* readBytes(file, mostBytes)
    if (!isGzip(bytes)) return { file, bytes }
    const promised = (start: Uint8Array) =>
      Result.flatMap(idxHeader(file, start, ofImages ? 3 : 1), ({ shape, size }) => {
        if (size <= mostBytes) return Result.succeed(size)
        const problem = `its header promises ${shape.join("×")} bytes; files of ${name} have at most ${mostBytes}`
        return Result.fail(new MalformedFile({ file, offset: 4, problem }))
      })
    return { file, bytes: yield* gunzip(file, bytes, headerBytes, promised) }
  })

  const split = Effect.fnUntraced(function* (part: "train" | "t10k", options: OpenOptions) {
    const images = yield* read(`${part}-images-idx3-ubyte`, options)
    const labels = yield* read(`${part}-labels-idx1-ubyte`, options)
    const found = yield* Effect.fromResult(parseIdxPair(images, labels, classNames.length))
    if (found.shape.some((side, i) => side !== sample.shape[i]))
      return yield* new MalformedFile({
        file: images.file,
        offset: 8,
        problem: `its images are ${found.shape.join("×")}, those of ${name} are ${sample.shape.join("×")}`,
      })
    return found
  })

  return {
    description,
    sample,
    augment: [],
    open: Effect.fnUntraced(function* (options: OpenOptions) {
      const train = yield* split("train", options)
      const test = yield* split("t10k", options)
      return {
        name,
        ...sample,
        train: imageSplit(train, { white: 255, augment: augmentation(options.augment ?? [], side) }),
        test: imageSplit(test, { white: 255 }),
      }
    }),
  }
}
