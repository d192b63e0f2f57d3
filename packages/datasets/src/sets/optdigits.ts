/** UCI optdigits: 5,620 handwritten digits of 8 × 8 (Alpaydin, Kaynak, 1998). */
import { Effect } from "effect"
import { obtain, readBytes } from "../files/locate.ts"
import { parseOptdigits } from "../formats/optdigits.ts"
import { imageSplit } from "../images/split.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "optdigits"
const base = "https://archive.ics.uci.edu/ml/machine-learning-databases/optdigits/"

const read = Effect.fnUntraced(function* (file: string, options: OpenOptions) {
  // UCI publishes no checksums: the reader's checks of every line must do.
  const found = yield* obtain(name, { names: [file], url: `${base}${file}` }, options)
  const text = new TextDecoder().decode(yield* readBytes(found))
  return imageSplit(yield* Effect.fromResult(parseOptdigits(found, text)), { white: 16 })
})

const sample = {
  shape: [8, 8, 1],
  classes: 10,
  classNames: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
  encoding: "static",
} as const

/** The data set: static images [8, 8, 1] in [0, 1]; trained on optdigits.tra, tested on the other writers' .tes. */
export const optdigits: Source = {
  description: "handwritten digits, 8×8, 3,823 + 1,797",
  sample,
  open: Effect.fnUntraced(function* (options: OpenOptions) {
    const train = yield* read("optdigits.tra", options)
    const test = yield* read("optdigits.tes", options)
    return { name, ...sample, train, test }
  }),
}
