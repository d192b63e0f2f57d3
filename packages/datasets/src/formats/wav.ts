/**
 * WAV files (Microsoft, "Multimedia programming interface and data specifications 1.0", 1991): "RIFF", a size, "WAVE", then chunks, each
 * with a name, a size and its bytes, little-endian. `fmt ` describes the encoding of `data`; other chunks are skipped.
 *
 * | bytes of `fmt ` | meaning                                                                                      |
 * |-----------------|----------------------------------------------------------------------------------------------|
 * | 0, 2, 4         | encoding (1: integers, 3: floats, 0xfffe: in bytes 24 and 25), channels, sampling rate in Hz |
 * | 12, 14          | bytes per sample of all channels, bits per number                                            |
 */
import { Result } from "effect"
import { assertBytes } from "../checks.ts"
import { MalformedFile } from "../errors.ts"
import { describeStart } from "./bytes.ts"

/** An audio recording with its channels averaged. */
export interface Sound {
  /** Sampling rate, in Hz. */
  readonly rate: number
  /** Samples; integer encodings are scaled to [−1, 1]. */
  readonly samples: Float32Array
}

type Read = (data: DataView, at: number) => number

const [whole, float, extensible] = [1, 3, 0xfffe]

/** Number readers by encoding and bits. */
const readers: Readonly<Record<string, Read>> = {
  [`${whole},8`]: (data, at) => (data.getUint8(at) - 128) / 128,
  [`${whole},16`]: (data, at) => data.getInt16(at, true) / 2 ** 15,
  [`${whole},24`]: (data, at) => (data.getUint16(at, true) + data.getInt8(at + 2) * 2 ** 16) / 2 ** 23,
  [`${whole},32`]: (data, at) => data.getInt32(at, true) / 2 ** 31,
  [`${float},32`]: (data, at) => data.getFloat32(at, true),
  [`${float},64`]: (data, at) => data.getFloat64(at, true),
}

const mostChannels = 64
const [leastRate, mostRate] = [1000, 768_000]

/** Parses one recording. `file` is its name, for errors. */
export const parseWav = (file: string, bytes: Uint8Array): Result.Result<Sound, MalformedFile> => {
  assertBytes("parseWav", bytes)
  const fail = (offset: number, problem: string) => Result.fail(new MalformedFile({ file, offset, problem }))
  const name = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4))
  if (name(0) !== "RIFF" || name(8) !== "WAVE") return fail(0, `not a WAV file: it begins ${describeStart(bytes)}`)
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let format:
    | { readonly read: Read; readonly channels: number; readonly rate: number; readonly step: number }
    | undefined
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = data.getUint32(at + 4, true)
    const start = at + 8
    if (name(at) === "fmt ") {
      if (size < 16 || start + size > bytes.length) return fail(at, "its chunk “fmt ” is cut off")
      const given = data.getUint16(start, true)
      const kind = given === extensible && size >= 26 ? data.getUint16(start + 24, true) : given
      const [channels, rate] = [data.getUint16(start + 2, true), data.getUint32(start + 4, true)]
      const [step, bits] = [data.getUint16(start + 12, true), data.getUint16(start + 14, true)]
      const read = readers[`${kind},${bits}`]
      if (read === undefined)
        return fail(
          start,
          `its numbers are of the format ${kind} with ${bits} bits; whole numbers of 8 to 32 bits and floats are read`,
        )
      if (channels < 1 || channels > mostChannels || step !== (channels * bits) / 8)
        return fail(start + 2, `it has ${channels} channels of ${bits} bits in ${step} bytes`)
      if (rate < leastRate || rate > mostRate)
        return fail(start + 4, `it has ${rate} samples a second; ${leastRate} to ${mostRate} are read`)
      format = { read, channels, rate, step }
    }
    if (name(at) === "data") {
      if (format === undefined) return fail(at, "its samples come before their format")
      const { read, channels, rate, step } = format
      // A program that writes a stream may not know its length, so the stated size may exceed the data.
      const count = Math.floor(Math.min(size, bytes.length - start) / step)
      if (count === 0) return fail(start, "it holds no sample")
      const samples = new Float32Array(count)
      for (let i = 0; i < count; i++) {
        let sum = 0
        for (let channel = 0; channel < channels; channel++)
          sum += read(data, start + i * step + (channel * step) / channels)
        samples[i] = sum / channels
      }
      const wrong = samples.findIndex((value) => !Number.isFinite(value))
      if (wrong >= 0) return fail(start + wrong * step, `sample ${wrong} is ${samples[wrong]}`)
      return Result.succeed({ rate, samples })
    }
    // Chunks with an odd size are followed by a padding byte.
    at = start + size + (size % 2)
  }
  return fail(bytes.length, "it has no chunk “data”")
}
