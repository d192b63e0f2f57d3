/**
 * AEDAT 3.1, the format of DVS-Gesture (https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-3.1.html):
 * a text header that ends with "#!END-HEADER", then packets, little-endian.
 *
 * | byte of a packet's header (28 bytes) | meaning                                               |
 * |--------------------------------------|-------------------------------------------------------|
 * | 0, 2                                 | event type (1: polarity), source                       |
 * | 4, 8                                 | bytes per event, offset of the time within an event    |
 * | 12                                   | number of overflows of the 31-bit time                 |
 * | 16, 20, 24                           | capacity, number of events, number of valid events     |
 *
 * A polarity event is 8 bytes: 32 bits of data (0: valid, 1: ON, 2 … 16: y, 17 … 31: x) and the time in microseconds.
 * Packets of other types are skipped.
 */
import { anObject, argument, type Kind, OptionError } from "@spikeroute/core/options"
import { quote } from "@spikeroute/core/text"
import { Result } from "effect"
import { assertBytes, assertCount } from "../checks.ts"
import { MalformedFile } from "../errors.ts"
import { type Events, select, sortByTime } from "../events/events.ts"
import { skipHeader } from "./aedat.ts"

const packetHeader = 28
const polarity = 1
const eventBytes = 8

/** A packet of polarity events: the offset and number of its events, and their first and last time. */
export interface Packet {
  readonly offset: number
  readonly events: number
  /** Time offset from the overflow counter in the packet's header, in microseconds. */
  readonly overflow: number
  readonly first: number
  readonly last: number
}

/** Checks a header line; returns a problem if it names another camera or event format. */
const foreignLine =
  (cameras: RegExp) =>
  (line: string): string | undefined => {
    const [, key, value = ""] = /^#\s*(Format|Source \d+)\s*:\s*(.*)$/i.exec(line) ?? []
    if (key === undefined) return undefined
    if (/^format$/i.test(key)) return /^RAW$/i.test(value) ? undefined : `its format is ${quote(value)}; "RAW" is read`
    return cameras.test(value)
      ? undefined
      : `it was recorded by another camera, ${quote(value)}; events of a DVS128 are read`
  }

/** Indexes the packets of polarity events in a complete file. The default camera is the DVS128. `file` is the file's name, for errors. */
export const indexAedat3 = (
  file: string,
  bytes: Uint8Array,
  cameras = /DVS128/i,
): Result.Result<ReadonlyArray<Packet>, MalformedFile> => {
  assertBytes("indexAedat3", bytes)
  const header = skipHeader(file, bytes, "#!AER-DAT3.1", "#!END-HEADER", foreignLine(cameras))
  if (Result.isFailure(header)) return Result.fail(header.failure)
  const fail = (offset: number, problem: string) => Result.fail(new MalformedFile({ file, offset, problem }))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const packets: Array<Packet> = []
  let at = header.success
  for (let index = 0; at < bytes.length; index++) {
    const left = bytes.length - at
    if (left < packetHeader)
      return fail(at, `packet ${index} is cut off after ${left} of the ${packetHeader} bytes of its header`)
    const type = view.getUint16(at, true)
    const size = view.getUint32(at + 4, true)
    const timeOffset = view.getUint32(at + 8, true)
    const room = view.getUint32(at + 16, true)
    const events = view.getUint32(at + 20, true)
    const offset = at + packetHeader
    // Capacity may exceed the number of events in memory, but not in a file.
    if (room !== events) return fail(at + 16, `packet ${index} has ${events} events in a room for ${room}`)
    if (type === polarity && (size !== eventBytes || timeOffset !== 4))
      return fail(
        at + 4,
        `packet ${index} has polarity events of ${size} bytes with the time at ${timeOffset}, not 8 and 4`,
      )
    if (events * size > left - packetHeader)
      return fail(offset, `packet ${index} is cut off after ${left - packetHeader} of ${events * size} bytes of events`)
    if (type === polarity && events > 0) {
      const overflow = view.getUint32(at + 12, true) * 2 ** 31
      let first = Number.POSITIVE_INFINITY
      let last = Number.NEGATIVE_INFINITY
      for (let i = 0; i < events; i++) {
        const time = view.getUint32(offset + i * eventBytes + 4, true) + overflow
        if (time < first) first = time
        if (time > last) last = time
      }
      packets.push({ offset, events, overflow, first, last })
    }
    at = offset + events * size
  }
  return Result.succeed(packets)
}

const somePackets: Kind = [
  "a list of packets, as indexAedat3 gives",
  (value) => Array.isArray(value) && value.every((packet) => Number.isInteger(Object(packet).offset)),
]

/** The byte range that contains all events in [start, end), with the packets in it. */
export const extentOf = (
  packets: ReadonlyArray<Packet>,
  start: number,
  end: number,
): { readonly packets: ReadonlyArray<Packet>; readonly from: number; readonly to: number } => {
  const inside = argument(packets, somePackets, "extentOf").filter(({ first, last }) => last >= start && first < end)
  const from = inside[0]?.offset ?? 0
  const lastPacket = inside.at(-1)
  const to = lastPacket === undefined ? from : lastPacket.offset + lastPacket.events * eventBytes
  return { packets: inside, from, to }
}

/**
 * Reads the valid events in [start, end) from the packets. Times are relative to `start`.
 *
 * @param bytes contents of the file from byte `from` on
 * @throws OptionError if the packets exceed `bytes`, or the sensor or the interval is invalid
 */
export const readAedat3 = (
  file: string,
  extent: { readonly packets: ReadonlyArray<Packet>; readonly from: number },
  bytes: Uint8Array,
  sensor: { readonly width: number; readonly height: number },
  time: { readonly start: number; readonly end: number },
): Result.Result<Events, MalformedFile> => {
  const { packets, from } = argument(extent, anObject, "readAedat3", "extent")
  argument(packets, somePackets, "readAedat3")
  argument(sensor, anObject, "readAedat3", "sensor")
  const { start, end } = argument(time, anObject, "readAedat3", "time")
  const { width, height } = sensor
  assertBytes("readAedat3", bytes)
  assertCount("readAedat3", "width", width)
  assertCount("readAedat3", "height", height)
  const refuse = (option: string, value: unknown, expected: string): never => {
    throw new OptionError({ owner: "readAedat3", option, value, expected })
  }
  if (!(start <= end)) refuse("start", start, `a number, at most the end, ${end}`)
  const outside = packets.find(
    ({ offset, events }) => !(offset >= from && offset - from + events * eventBytes <= bytes.length),
  )
  if (outside !== undefined) refuse("packets", outside, `within the ${bytes.length} bytes from byte ${from} on`)
  const room = packets.reduce((sum, { events }) => sum + events, 0)
  const x = new Uint16Array(room)
  const y = new Uint16Array(room)
  const t = new Float64Array(room)
  const p = new Uint8Array(room)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let count = 0
  let ordered = true
  for (const { offset, events, overflow } of packets) {
    for (let i = 0; i < events; i++) {
      const at = offset - from + i * eventBytes
      const data = view.getUint32(at, true)
      const time = view.getUint32(at + 4, true) + overflow
      if ((data & 1) === 0 || time < start || time >= end) continue
      const column = data >>> 17
      const row = (data >>> 2) & 0x7fff
      if (column >= width || row >= height) {
        const problem = `an event is at (${column}, ${row}), outside the ${width}×${height} sensor`
        return Result.fail(new MalformedFile({ file, offset: offset + i * eventBytes, problem }))
      }
      x[count] = column
      y[count] = row
      t[count] = time - start
      p[count] = (data >>> 1) & 1
      if (count > 0 && (t[count] as number) < (t[count - 1] as number)) ordered = false
      count++
    }
  }
  const all = Uint32Array.from({ length: count }, (_, i) => i)
  const events = select({ width, height, x, y, t, p }, all)
  return Result.succeed(ordered ? events : sortByTime(events))
}
