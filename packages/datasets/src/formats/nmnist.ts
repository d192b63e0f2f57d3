/**
 * The event files of N-MNIST (Orchard, Jayawant, Cohen, Thakor, "Converting static image datasets to spiking
 * neuromorphic datasets using saccades", 2015): a file a recording, without a header, 5 bytes an event.
 *
 * | byte    | meaning                                                                   |
 * |---------|---------------------------------------------------------------------------|
 * | 0       | x, 0 … 33                                                                 |
 * | 1       | y, 0 … 33                                                                 |
 * | 2       | bit 7: polarity, 1 for ON; bits 6 … 0: bits 22 … 16 of the time           |
 * | 3, 4    | bits 15 … 8 and 7 … 0 of the time, in microseconds from the start         |
 */
import { Result } from "effect"
import { assertBytes } from "../checks.ts"
import { MalformedFile } from "../errors.ts"
import type { Events } from "../events/events.ts"
import { kindOf } from "./bytes.ts"

/** Width and height of the sensor, in pixels. */
export const side = 34

/** Reads one recording. `file` is its name, for errors. */
export const parseNmnist = (file: string, bytes: Uint8Array): Result.Result<Events, MalformedFile> => {
  assertBytes("parseNmnist", bytes)
  const fail = (offset: number, problem: string) => Result.fail(new MalformedFile({ file, offset, problem }))
  const foreign = kindOf(bytes)
  if (foreign !== undefined) return fail(0, `it is ${foreign}`)
  const count = Math.floor(bytes.length / 5)
  if (count === 0) return fail(bytes.length, "it holds no event")
  if (bytes.length % 5 !== 0) return fail(count * 5, `event ${count} is cut off after ${bytes.length % 5} of 5 bytes`)
  const x = new Uint16Array(count)
  const y = new Uint16Array(count)
  const t = new Float64Array(count)
  const p = new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    const at = i * 5
    const high = bytes[at + 2] as number
    x[i] = bytes[at] as number
    y[i] = bytes[at + 1] as number
    p[i] = high >> 7
    t[i] = ((high & 0x7f) << 16) | ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number)
    if ((x[i] as number) >= side || (y[i] as number) >= side) {
      return fail(at, `event ${i} is at (${x[i]}, ${y[i]}), outside the ${side}×${side} sensor`)
    }
    if (i > 0 && (t[i] as number) < (t[i - 1] as number)) {
      return fail(at + 2, `event ${i} is at ${t[i]} µs, before the event ahead of it at ${t[i - 1]} µs`)
    }
  }
  return Result.succeed({ width: side, height: side, x, y, t, p })
}
