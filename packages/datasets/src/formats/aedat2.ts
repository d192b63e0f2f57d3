/**
 * AEDAT 2.0 of a DVS128 camera, as CIFAR10-DVS is given (https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-2.0.html):
 * a header of text, then 8 bytes an event, high bytes first.
 *
 * | bits of the address (4 bytes) | meaning                             |
 * |-------------------------------|-------------------------------------|
 * | 0                             | polarity, 0 for ON                  |
 * | 1 … 7                         | column of the chip                  |
 * | 8 … 14                        | row of the chip                     |
 * | 15                            | 1: no event of a pixel, passed over |
 * | 16 … 31                       | 0: other cameras use them           |
 *
 * The time (4 bytes) is in microseconds. The chip lay on its side: the picture stands upright at x = 127 − row,
 * y = 127 − column, as `dat2mat.m`, which the data come with, and SpikingJelly turn it.
 */
import { quote } from "@spikeroute/core/text"
import { Result } from "effect"
import { assertBytes } from "../checks.ts"
import { MalformedFile } from "../errors.ts"
import { type Events, select, sortByTime } from "../events/events.ts"
import { skipHeader } from "./aedat.ts"

/** Width and height of the sensor, in pixels. */
export const side = 128

/** What is wrong with a recording whose header names another camera: "# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C". */
const foreignChip = (line: string): string | undefined => {
  const chip = /^#\s*AEChip\s*:\s*(.*)$/i.exec(line)?.[1]
  if (chip === undefined || /DVS128|Tmpdiff128/i.test(chip)) return undefined
  return `it was recorded by another camera, ${quote(chip.split(".").at(-1))}; events of a DVS128 are read`
}

/**
 * Reads one recording, with times from its first event. `file` is its name, for errors. Recordings of another camera, which
 * the header or the addresses show, are refused.
 */
export const parseAedat2 = (file: string, bytes: Uint8Array): Result.Result<Events, MalformedFile> => {
  assertBytes("parseAedat2", bytes)
  const header = skipHeader(file, bytes, "#!AER-DAT2.0", undefined, foreignChip)
  if (Result.isFailure(header)) return Result.fail(header.failure)
  const start = header.success
  const fail = (offset: number, problem: string) => Result.fail(new MalformedFile({ file, offset, problem }))
  const records = Math.floor((bytes.length - start) / 8)
  const rest = bytes.length - start - records * 8
  if (rest !== 0) return fail(start + records * 8, `event ${records} is cut off after ${rest} of 8 bytes`)
  const x = new Uint16Array(records)
  const y = new Uint16Array(records)
  const t = new Float64Array(records)
  const p = new Uint8Array(records)
  const view = new DataView(bytes.buffer, bytes.byteOffset + start)
  let count = 0
  let ordered = true
  for (let i = 0; i < records; i++) {
    const address = view.getUint32(i * 8)
    if (address > 0xffff)
      return fail(
        start + i * 8,
        `event ${i} has the address 0x${address.toString(16)}, of another camera: those of a DVS128 have 16 bits`,
      )
    if ((address & 0x8000) !== 0) continue
    x[count] = 127 - ((address >> 8) & 0x7f)
    y[count] = 127 - ((address >> 1) & 0x7f)
    t[count] = view.getUint32(i * 8 + 4)
    p[count] = 1 - (address & 1)
    if (count > 0 && (t[count] as number) < (t[count - 1] as number)) ordered = false
    count++
  }
  if (count === 0) return fail(start, "it holds no event")
  const all = Uint32Array.from({ length: count }, (_, i) => i)
  const events = select({ width: side, height: side, x, y, t, p }, all)
  const sorted = ordered ? events : sortByTime(events)
  const first = sorted.t[0] as number
  for (let i = 0; i < count; i++) sorted.t[i]! -= first
  return Result.succeed(sorted)
}
