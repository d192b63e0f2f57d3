/**
 * The event files of N-MNIST (Orchard, Jayawant, Cohen, Thakor, "Converting static image datasets to spiking
 * neuromorphic datasets using saccades", 2015): one file per recording, without a header, 5 bytes per event.
 *
 * | byte    | meaning                                                                   |
 * |---------|---------------------------------------------------------------------------|
 * | 0       | x, 0 … 33                                                                 |
 * | 1       | y, 0 … 33                                                                 |
 * | 2       | bit 7: polarity, 1 for ON; bits 6 … 0: bits 22 … 16 of the time           |
 * | 3, 4    | bits 15 … 8 and 7 … 0 of the time, in microseconds from the start         |
 *
 * y = 240 marks an overflow instead of an event: 2¹³ µs are added to all later times, as in the authors' Read_Ndataset.m. N-Caltech101
 * has the same layout, with a sensor of 240 × 180.
 */
import { anObject, argument } from "@spikeroute/core/options"
import { Result } from "effect"
import { assertBytes } from "../checks.ts"
import { MalformedFile } from "../errors.ts"
import type { Sensor } from "../events/columns.ts"
import { type Events, select } from "../events/events.ts"
import { kindOf } from "./bytes.ts"

/** Width and height of the sensor, in pixels. */
export const side = 34

const overflowRow = 240
const overflow = 2 ** 13

/** Parses one recording. The default sensor is that of N-MNIST. `file` is the file's name, for errors. */
export const parseNmnist = (
  file: string,
  bytes: Uint8Array,
  sensor: Sensor = { width: side, height: side },
): Result.Result<Events, MalformedFile> => {
  assertBytes("parseNmnist", bytes)
  const { width, height } = argument(sensor, anObject, "parseNmnist", "sensor")
  const fail = (offset: number, problem: string) => Result.fail(new MalformedFile({ file, offset, problem }))
  const foreign = kindOf(bytes)
  if (foreign !== undefined) return fail(0, `it is ${foreign}`)
  const records = Math.floor(bytes.length / 5)
  const none = () => fail(bytes.length, "it holds no event")
  if (records === 0) return none()
  if (bytes.length % 5 !== 0)
    return fail(records * 5, `event ${records} is cut off after ${bytes.length % 5} of 5 bytes`)
  const x = new Uint16Array(records)
  const y = new Uint16Array(records)
  const t = new Float64Array(records)
  const p = new Uint8Array(records)
  let [count, passed, before] = [0, 0, 0]
  for (let at = 0; at < bytes.length; at += 5) {
    const [column, row, high] = [bytes[at], bytes[at + 1], bytes[at + 2]] as [number, number, number]
    if (row === overflowRow) {
      passed += overflow
      continue
    }
    const time = passed + (((high & 0x7f) << 16) | ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number))
    if (column >= width || row >= height)
      return fail(at, `event ${at / 5} is at (${column}, ${row}), outside the ${width}×${height} sensor`)
    if (time < before)
      return fail(at + 2, `event ${at / 5} is at ${time} µs, before the event ahead of it at ${before} µs`)
    x[count] = column
    y[count] = row
    p[count] = high >> 7
    t[count++] = before = time
  }
  if (count === 0) return none()
  const all = Uint32Array.from({ length: count }, (_, i) => i)
  return Result.succeed(select({ width, height, x, y, t, p }, all))
}
