/**
 * The binary versions of CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning multiple layers of features from tiny
 * images", 2009): consecutive records, without a header.
 *
 * | bytes | CIFAR-10                                | CIFAR-100                                          |
 * |-------|-----------------------------------------|----------------------------------------------------|
 * | 0     | label, 0 … 9                            | coarse label, 0 … 19                               |
 * | 1     |                                         | fine label, 0 … 99                                 |
 * | 3072  | the red, green and blue plane, 32 × 32 each, row by row                                      ||
 *
 * A file may hold any whole number of records. Pixels are returned channels last.
 */
import { assert, whole } from "@spikeroute/core/options"
import { Result, Schema } from "effect"
import { assertBytes } from "../checks.ts"
import { MalformedFile } from "../errors.ts"
import type { LabelledImages } from "../images/split.ts"
import { kindOf } from "./bytes.ts"

const side = 32
const plane = side * side

/** Position of the label in a record, and number of classes. */
export interface CifarLayout {
  /** Number of bytes before the pixels; the last is the label. */
  readonly labelBytes: 1 | 2
  readonly classes: number
}

const LayoutSchema = Schema.Struct({ labelBytes: Schema.Literals([1, 2]), classes: whole(1, 256) })

/** Parses the records of one file. `file` is its name, for errors. */
export const parseCifar = (
  file: string,
  bytes: Uint8Array,
  layout: CifarLayout,
): Result.Result<LabelledImages, MalformedFile> => {
  assertBytes("parseCifar", bytes)
  assert("parseCifar", LayoutSchema, layout)
  const { labelBytes, classes } = layout
  const record = labelBytes + 3 * plane
  const count = Math.floor(bytes.length / record)
  const fail = (offset: number, problem: string) => Result.fail(new MalformedFile({ file, offset, problem }))
  if (bytes.length === 0) return fail(0, "it holds no records")
  const foreign = kindOf(bytes)
  if (foreign !== undefined && bytes.length % record !== 0) return fail(0, `it is ${foreign}`)
  if (bytes.length % record !== 0) {
    const rest = bytes.length - count * record
    return fail(count * record, `record ${count} is cut off after ${rest} of ${record} bytes`)
  }
  const pixels = new Uint8Array(count * 3 * plane)
  const labels = new Uint8Array(count)
  for (let sample = 0; sample < count; sample++) {
    const start = sample * record + labelBytes
    const label = bytes[start - 1] as number
    if (label >= classes) return fail(start - 1, `label ${label} of record ${sample} is not in 0 … ${classes - 1}`)
    labels[sample] = label
    const to = sample * 3 * plane
    for (let channel = 0; channel < 3; channel++) {
      const from = start + channel * plane
      for (let pixel = 0; pixel < plane; pixel++) pixels[to + pixel * 3 + channel] = bytes[from + pixel] as number
    }
  }
  return Result.succeed({ shape: [side, side, 3], pixels, labels })
}
