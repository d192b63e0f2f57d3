/**
 * UCI optdigits: 5,620 handwritten digits of 8 × 8 (Alpaydin, Kaynak, 1998).
 *
 * UCI's optdigits.tra holds 3,823 digits. Some copies store 824 of them separately for validation, as optdigits.hol; if that
 * file is present, its digits are appended to those of the .tra.
 */
import { Effect, Path } from "effect"
import { augmentation } from "../augmentations.ts"
import { find, obtain } from "../files/locate.ts"
import { readText } from "../files/read.ts"
import { parseOptdigits } from "../formats/optdigits.ts"
import { concatenate, imageSplit } from "../images/split.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "optdigits"
const base = "https://archive.ics.uci.edu/ml/machine-learning-databases/optdigits/"

// UCI publishes no checksums; the parser validates every line.
const locate = (file: string, options: OpenOptions) => obtain(name, { names: [file], url: `${base}${file}` }, options)

const read = Effect.fnUntraced(function* (file: string) {
  return yield* Effect.fromResult(parseOptdigits(file, yield* readText(file)))
})

const side = 8

const sample = {
  shape: [side, side, 1],
  classes: 10,
  classNames: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
  encoding: "static",
} as const

/** The data set: static images [8, 8, 1] in [0, 1], with optdigits.tra for training and optdigits.tes, by other writers, for testing. */
export const optdigits: Source = {
  description: "handwritten digits, 8×8, 3,823 + 1,797",
  sample,
  augment: [],
  open: Effect.fnUntraced(function* (options: OpenOptions) {
    const path = yield* Path.Path
    const tra = yield* locate("optdigits.tra", options)
    const hol = yield* find([path.dirname(tra)], ["optdigits.hol"])
    const train = [yield* read(tra), ...(hol === undefined ? [] : [yield* read(hol)])] as const
    const test = yield* Effect.flatMap(locate("optdigits.tes", options), read)
    return {
      name,
      ...sample,
      train: imageSplit(concatenate(train), { white: 16, augment: augmentation(options.augment ?? [], side) }),
      test: imageSplit(test, { white: 16 }),
    }
  }),
}
