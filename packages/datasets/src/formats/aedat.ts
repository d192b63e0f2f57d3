/** What AEDAT files of every version begin with: lines of text, each after a "#". */
import { Result } from "effect"
import { MalformedFile } from "../errors.ts"
import { describeStart } from "./bytes.ts"

const hash = 0x23
const lineFeed = 0x0a

/**
 * Where the events begin: behind the lines that begin with "#", or behind the line `last` where the format has one. Each
 * line is put to `check`, which says what is wrong with the recording.
 *
 * No event of the formats read here begins with the byte of "#" where a header without a last line ends: the address
 * of a DVS128 pixel begins with two bytes of 0.
 */
export const skipHeader = (
  file: string,
  bytes: Uint8Array,
  first: string,
  last: string | undefined,
  check: (line: string) => string | undefined,
): Result.Result<number, MalformedFile> => {
  const fail = (offset: number, problem: string) => Result.fail(new MalformedFile({ file, offset, problem }))
  const text = (start: number, end: number) => new TextDecoder("latin1").decode(bytes.subarray(start, end)).trimEnd()
  if (text(0, first.length) !== first)
    return fail(0, `it begins ${describeStart(bytes)}, where its format has "${first}"`)
  let at = 0
  const mostOfHeader = 2 ** 16
  while (bytes[at] === hash && at < mostOfHeader) {
    const end = bytes.subarray(0, at + mostOfHeader).indexOf(lineFeed, at)
    if (end < 0) return fail(at, "a line of the header has no end")
    const line = text(at, end)
    const problem = check(line)
    if (problem !== undefined) return fail(at, problem)
    at = end + 1
    if (line === last) return Result.succeed(at)
  }
  return last === undefined ? Result.succeed(at) : fail(at, `the header ends without "${last}"`)
}
