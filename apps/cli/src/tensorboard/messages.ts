/**
 * Encodes the subset of TensorBoard's protocol-buffer messages that is written (tensorflow/core/util/event.proto,
 * core/framework/summary.proto). An event contains a wall time, a step and its content.
 */

type Bytes = ReadonlyArray<number> | Uint8Array

const varint = (value: number): Bytes => {
  const bytes: Array<number> = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return [...bytes, rest]
}

const joined = (parts: ReadonlyArray<Bytes>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Wire types: varint, 64 bits, length-delimited, 32 bits. */
const [asVarint, as64, asBytes, as32] = [0, 1, 2, 5]
const tag = (field: number, type: number) => varint(field * 8 + type)
const raw = (values: Float64Array | Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

const int = (field: number, value: number): Bytes => [...tag(field, asVarint), ...varint(value)]
const double = (field: number, value: number): Bytes => joined([tag(field, as64), raw(Float64Array.of(value))])
const float = (field: number, value: number): Bytes => joined([tag(field, as32), raw(Float32Array.of(value))])
const bytes = (field: number, value: Bytes): Bytes => joined([tag(field, asBytes), varint(value.length), value])
const text = (field: number, value: string): Bytes => bytes(field, new TextEncoder().encode(value))
const doubles = (field: number, values: Float64Array): Bytes => bytes(field, raw(values))

/** A tagged value of a summary: a scalar, a histogram or an image. */
export type Value =
  | { readonly tag: string; readonly scalar: number }
  | { readonly tag: string; readonly histogram: ArrayLike<number> }
  | { readonly tag: string; readonly png: Uint8Array }

/** Number of histogram buckets, of equal width. */
const buckets = 30

/** HistogramProto: range, count, sums, and the number of values in each bucket, with its upper limit. */
const histogramOf = (values: ArrayLike<number>): Bytes => {
  let [min, max, sum, squares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0]
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    min = Math.min(min, value)
    max = Math.max(max, value)
    sum += value
    squares += value * value
  }
  const width = (max - min) / buckets
  const limits = Float64Array.from({ length: buckets }, (_, i) => (i === buckets - 1 ? max : min + (i + 1) * width))
  const counts = new Float64Array(buckets)
  for (let i = 0; i < values.length; i++) {
    const bucket = width > 0 ? Math.floor(((values[i] as number) - min) / width) : buckets - 1
    counts[Math.min(bucket, buckets - 1)]! += 1
  }
  const range = [min, max, values.length, sum, squares].map((value, i) => double(i + 1, value))
  return joined([...range, doubles(6, limits), doubles(7, counts)])
}

/** Summary.Image of a PNG; width and height are read from its header. */
const imageOf = (png: Uint8Array): Bytes => {
  const header = new DataView(png.buffer, png.byteOffset)
  return joined([int(1, header.getUint32(20)), int(2, header.getUint32(16)), int(3, 4), bytes(4, png)])
}

const summaryValue = (value: Value): Bytes =>
  joined([
    text(1, value.tag),
    "scalar" in value
      ? float(2, value.scalar)
      : "png" in value
        ? bytes(4, imageOf(value.png))
        : bytes(5, histogramOf(value.histogram)),
  ])

/** The content of an event: the file version, the start of a process at a step, or values. */
export type What = { readonly version: string } | { readonly start: true } | { readonly values: ReadonlyArray<Value> }

/** Encodes an event; the time is in seconds since 1970. */
export const encodeEvent = (seconds: number, step: number, what: What): Uint8Array =>
  joined([
    double(1, seconds),
    int(2, step),
    "version" in what
      ? text(3, what.version)
      : "start" in what
        ? bytes(7, int(1, 1))
        : bytes(5, joined(what.values.map((value) => bytes(1, summaryValue(value))))),
  ])
