/** Data sets of four gzipped IDX files: MNIST and those made after its pattern. */
import { Effect } from "effect"
import { augmentation } from "../augmentations.ts"
import { MalformedFile } from "../errors.ts"
import { obtain, readBytes } from "../files/locate.ts"
import { gunzip, isGzip } from "../formats/bytes.ts"
import { parseIdxPair } from "../formats/idx.ts"
import { imageSplit } from "../images/split.ts"
import type { OpenOptions, Source } from "./options.ts"

/** What tells one such data set from another. */
export interface IdxSource {
  readonly name: string
  readonly description: string
  readonly classNames: ReadonlyArray<string>
  /** The address that the file names are put behind. */
  readonly base: string
  readonly md5: {
    readonly "train-images-idx3-ubyte": string
    readonly "train-labels-idx1-ubyte": string
    readonly "t10k-images-idx3-ubyte": string
    readonly "t10k-labels-idx1-ubyte": string
  }
}

const side = 28

/** The data set: static images [28, 28, 1] in [0, 1], not normalised; not augmented unless told. */
export const idxSource = (source: IdxSource): Source => {
  const { name, description, classNames, base, md5 } = source
  const sample = { shape: [side, side, 1], classes: classNames.length, classNames, encoding: "static" } as const

  const read = Effect.fnUntraced(function* (stem: keyof IdxSource["md5"], options: OpenOptions) {
    const checksum = { algorithm: "md5", hex: md5[stem] } as const
    const remote = { names: [`${stem}.gz`, stem], url: `${base}${stem}.gz`, checksum } as const
    const file = yield* obtain(name, remote, options)
    const bytes = yield* readBytes(file)
    return { file, bytes: isGzip(bytes) ? yield* gunzip(file, bytes) : bytes }
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
