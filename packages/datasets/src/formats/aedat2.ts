/**
 * AEDAT 2.0, the format of CIFAR10-DVS (https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-2.0.html): a text
 * header, then 8 bytes per event, big-endian. Addresses of a DVS128 camera:
 *
 * | bits of the address (4 bytes) | meaning                             |
 * |-------------------------------|-------------------------------------|
 * | 0                             | polarity, 0 for ON                  |
 * | 1 … 7                         | column of the chip                  |
 * | 8 … 14                        | row of the chip                     |
 * | 15                            | 1: not a pixel event, skipped       |
 * | 16 … 31                       | 0; used by other cameras            |
 *
 * The time (4 bytes) is in microseconds. The chip of CIFAR10-DVS was mounted sideways: the image is upright with x = 127 − row and
 * y = 127 − column, as in `dat2mat.m`, which comes with the data, and in SpikingJelly.
 */
import { quote } from "@spikeroute/core/text"
import { Result } from "effect"
import { assertBytes } from "../checks.ts"
import { MalformedFile } from "../errors.ts"
import type { Sensor } from "../events/columns.ts"
import { type Events, select, sortByTime } from "../events/events.ts"
import { skipHeader } from "./aedat.ts"

/** Width and height of the sensor, in pixels. */
export const side = 128

/** How a camera encodes events in addresses. */
interface Camera extends Sensor {
  readonly addresses: number
  /** Decodes column, row and polarity; undefined if the address is not a pixel event. */
  readonly event: (address: number) => readonly [x: number, y: number, polarity: number] | undefined
}

/** Cameras with a DAVIS chip: bit 31 is 0 for a pixel event, y = bits 22 … 30, x = 12 … 21, polarity = 11. */
const davis = (width: number, height: number): Camera => ({
  ...{ width, height, addresses: 2 ** 32 },
  event: (address) =>
    address >= 2 ** 31 ? undefined : [(address >>> 12) & 0x3ff, (address >>> 22) & 0x1ff, (address >>> 11) & 1],
})

/** The DVS128; `upright` rotates the image of a chip that was mounted sideways. */
const dvs128 = (upright: boolean): Camera => ({
  ...{ width: side, height: side, addresses: 2 ** 16 },
  event: (address) => {
    if ((address & 0x8000) !== 0) return undefined
    const [column, row, on] = [(address >> 1) & 0x7f, (address >> 8) & 0x7f, 1 - (address & 1)] as const
    return upright ? [127 - row, 127 - column, on] : [column, row, on]
  },
})

type Cameras = ReadonlyArray<readonly [chip: RegExp, camera: Camera]>

const chips = /DVS128|Tmpdiff128/i

/** The camera of CIFAR10-DVS. */
const turned: Cameras = [[chips, dvs128(true)]]

/** Cameras by the chip name in the header, "# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C", with unrotated coordinates. */
export const cameras: Cameras = [
  [chips, dvs128(false)],
  [/DAVIS128/i, davis(128, 128)],
  [/DAVIS240|SBRet10/i, davis(240, 180)],
  [/DAVIS346/i, davis(346, 260)],
]

/**
 * Parses one recording. Times are relative to its first event. `known` lists the accepted cameras, by default that of CIFAR10-DVS; the
 * first is assumed if the header names none. Fails for other cameras, detected by the header or the addresses. `file` is the file's name,
 * for errors.
 */
export const parseAedat2 = (
  file: string,
  bytes: Uint8Array,
  known: Cameras = turned,
): Result.Result<Events, MalformedFile> => {
  assertBytes("parseAedat2", bytes)
  let [[, camera]] = known as readonly [Cameras[number]]
  const header = skipHeader(file, bytes, "#!AER-DAT2.0", undefined, (line) => {
    const chip = /^#\s*AEChip\s*:\s*(.*)$/i.exec(line)?.[1]
    if (chip === undefined) return undefined
    const found = known.find(([pattern]) => pattern.test(chip))
    if (found === undefined)
      return `it was recorded by another camera, ${quote(chip.split(".").at(-1))}; events of ${known === turned ? "a DVS128" : "a DVS128, DAVIS240 or DAVIS346"} are read`
    camera = found[1]
    return undefined
  })
  if (Result.isFailure(header)) return Result.fail(header.failure)
  const start = header.success
  const fail = (offset: number, problem: string) => Result.fail(new MalformedFile({ file, offset, problem }))
  const records = Math.floor((bytes.length - start) / 8)
  const rest = bytes.length - start - records * 8
  if (rest !== 0) return fail(start + records * 8, `event ${records} is cut off after ${rest} of 8 bytes`)
  const { width, height } = camera
  const x = new Uint16Array(records)
  const y = new Uint16Array(records)
  const t = new Float64Array(records)
  const p = new Uint8Array(records)
  const view = new DataView(bytes.buffer, bytes.byteOffset + start)
  let count = 0
  let ordered = true
  for (let i = 0; i < records; i++) {
    const address = view.getUint32(i * 8)
    if (address >= camera.addresses)
      return fail(
        start + i * 8,
        `event ${i} has the address 0x${address.toString(16)}, of another camera: those of a DVS128 have 16 bits`,
      )
    const event = camera.event(address)
    if (event === undefined) continue
    if (event[0] >= width || event[1] >= height)
      return fail(start + i * 8, `event ${i} is at (${event[0]}, ${event[1]}), outside the ${width}×${height} sensor`)
    ;[x[count], y[count], p[count]] = event
    t[count] = view.getUint32(i * 8 + 4)
    if (count > 0 && (t[count] as number) < (t[count - 1] as number)) ordered = false
    count++
  }
  if (count === 0) return fail(start, "it holds no event")
  const all = Uint32Array.from({ length: count }, (_, i) => i)
  const events = select({ width, height, x, y, t, p }, all)
  const sorted = ordered ? events : sortByTime(events)
  const first = sorted.t[0] as number
  for (let i = 0; i < count; i++) sorted.t[i]! -= first
  return Result.succeed(sorted)
}
