/** The header of AEDAT files of all versions: lines of text that begin with "#". */
import { Result } from "effect"
import { MalformedFile } from "../errors.ts"
import { describeStart } from "./bytes.ts"

const hash = 0x23
const lineFeed = 0x0a

/**
 * Returns the offset of the first event: after the lines that begin with "#", or after the line `last` if the format has one.
 * `check` is called with each line, and returns a problem for an unsupported recording.
 *
 * Without a last line, the end of the header is unambiguous, because no event begins with the byte of "#": the address of a
 * DVS128 pixel begins with two zero bytes.
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
