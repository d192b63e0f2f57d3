/**
 * Prophesee's .dat event files, the format of N-CARS (Sironi et al., CVPR 2018; load_atis_data.m of Prophesee's Matlab functions): text
 * lines that begin with "%", one byte for the event type, one for the event size (8), then the events, little-endian: the time in
 * microseconds (4 bytes) and an address (4 bytes).
 *
 * | bits of the address | "% Version 2" or later | earlier or no version |
 * |---------------------|------------------------|-----------------------|
 * | x                   | 0 … 13                 | 0 … 8                 |
 * | y                   | 14 … 27                | 9 … 16                |
 * | polarity, 1 for ON  | 28                     | 17                    |
 */
import { Result } from "effect"
import { assertBytes } from "../checks.ts"
import { MalformedFile } from "../errors.ts"
import { eventsOf, type Sensor } from "../events/columns.ts"
import type { Events } from "../events/events.ts"
import { describeStart } from "./bytes.ts"

const percent = 0x25
const lineFeed = 0x0a
const eventBytes = 8
const mostOfHeader = 2 ** 16

/** Parses the header: the offset of its end, and its numeric fields by name. */
const headerOf = (bytes: Uint8Array) => {
  const numbers = new Map<string, number>()
  let at = 0
  while (bytes[at] === percent && at < mostOfHeader) {
    const end = bytes.subarray(0, at + mostOfHeader).indexOf(lineFeed, at)
    if (end < 0) return { at: undefined, numbers }
    const [, name = "", value = ""] =
      /^%\s*(\w+)\s+(\d+)\s*$/.exec(new TextDecoder("latin1").decode(bytes.subarray(at, end))) ?? []
    numbers.set(name.toLowerCase(), Number(value))
    at = end + 1
  }
  return { at, numbers }
}

/** Parses one recording. The default sensor size is that of the header, if it states one. `file` is the file's name, for errors. */
export const parseProphesee = (
  file: string,
  bytes: Uint8Array,
  sensor?: Sensor,
): Result.Result<Events, MalformedFile> => {
  assertBytes("parseProphesee", bytes)
  const fail = (offset: number, problem: string) => Result.fail(new MalformedFile({ file, offset, problem }))
  if (bytes[0] !== percent) return fail(0, `it begins ${describeStart(bytes)}, where its format has "%"`)
  const { at, numbers } = headerOf(bytes)
  if (at === undefined) return fail(0, "a line of the header has no end")
  if (bytes.length < at + 2) return fail(at, "it ends behind its header")
  if (bytes[at + 1] !== eventBytes) return fail(at + 1, `its events have ${bytes[at + 1]} bytes, not ${eventBytes}`)
  const start = at + 2
  const count = Math.floor((bytes.length - start) / eventBytes)
  const rest = bytes.length - start - count * eventBytes
  if (rest !== 0)
    return fail(start + count * eventBytes, `event ${count} is cut off after ${rest} of ${eventBytes} bytes`)
  const [xBits, yBits] = (numbers.get("version") ?? 0) >= 2 ? [14, 14] : [9, 8]
  const view = new DataView(bytes.buffer, bytes.byteOffset + start)
  const times = new Float64Array(count)
  const [x, y, p] = [new Uint16Array(count), new Uint16Array(count), new Uint8Array(count)]
  for (let i = 0; i < count; i++) {
    const address = view.getUint32(i * eventBytes + 4, true)
    times[i] = view.getUint32(i * eventBytes, true)
    x[i] = address & (2 ** xBits - 1)
    y[i] = (address >>> xBits) & (2 ** yBits - 1)
    p[i] = (address >>> (xBits + yBits)) & 1
  }
  const [width, height] = [numbers.get("width"), numbers.get("height")]
  const own = width !== undefined && height !== undefined ? { width, height } : undefined
  return eventsOf(file, { x, y, t: times, p }, sensor ?? own)
}
