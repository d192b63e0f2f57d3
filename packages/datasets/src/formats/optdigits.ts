/**
 * The text files of UCI's "Optical Recognition of Handwritten Digits" (Alpaydin, Kaynak, 1998): one digit per line, as
 * comma-separated values: 64 numbers from 0 to 16 (the number of set dots in each 4 × 4 cell; 8 × 8 cells, row by row) and the
 * label. Empty lines and lines that begin with # are skipped.
 */
import { quote } from "@spikeroute/core/text"
import { Result } from "effect"
import { assertText } from "../checks.ts"
import { MalformedFile } from "../errors.ts"
import type { LabelledImages } from "../images/split.ts"

const cells = 64

/** Parses one file. `file` is its name, for errors. */
export const parseOptdigits = (file: string, text: string): Result.Result<LabelledImages, MalformedFile> => {
  assertText("parseOptdigits", text)
  const pixels: Array<number> = []
  const labels: Array<number> = []
  const lines = text.replace(/^\ufeff/, "").split("\n")
  for (const [i, raw] of lines.entries()) {
    const line = raw.trim()
    if (line === "" || line.startsWith("#")) continue
    const fail = (problem: string) => Result.fail(new MalformedFile({ file, textLine: i + 1, problem }))
    const values = line.split(",")
    if (values.length !== cells + 1) return fail(`${values.length} values instead of ${cells + 1}: ${quote(line)}`)
    for (const [k, value] of values.entries()) {
      const number = /^\d+$/.test(value.trim()) ? Number(value) : Number.NaN
      const [what, highest] = k < cells ? [`value ${k + 1}`, 16] : ["label", 9]
      if (!Number.isInteger(number) || number < 0 || number > highest) {
        return fail(`${what} ${quote(value)} is not in 0 … ${highest}`)
      }
      if (k < cells) pixels.push(number)
      else labels.push(number)
    }
  }
  if (labels.length === 0) return Result.fail(new MalformedFile({ file, textLine: 1, problem: "it holds no digits" }))
  return Result.succeed({ shape: [8, 8, 1], pixels: Uint8Array.from(pixels), labels: Uint8Array.from(labels) })
}
