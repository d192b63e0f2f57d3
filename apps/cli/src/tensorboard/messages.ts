/**
 * Encodes the subset of TensorBoard's protocol-buffer messages that is written (tensorflow/core/util/event.proto,
 * core/framework/summary.proto). An event contains a wall time, a step and its content.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire"

/** A message under construction; the methods append a field and return the message. */
class Message {
  readonly #writer = new BinaryWriter()
  readonly #add = (field: number, type: WireType, write: (writer: BinaryWriter) => void): this => {
    write(this.#writer.tag(field, type))
    return this
  }
  readonly int = (field: number, value: number) => this.#add(field, WireType.Varint, (to) => to.int64(value))
  readonly double = (field: number, value: number) => this.#add(field, WireType.Bit64, (to) => to.double(value))
  readonly float = (field: number, value: number) => this.#add(field, WireType.Bit32, (to) => to.float(value))
  readonly bytes = (field: number, value: Uint8Array) =>
    this.#add(field, WireType.LengthDelimited, (to) => to.bytes(value))
  readonly text = (field: number, value: string) => this.#add(field, WireType.LengthDelimited, (to) => to.string(value))
  readonly message = (field: number, { finish }: Message) => this.bytes(field, finish())
  readonly doubles = (field: number, { buffer, byteOffset, byteLength }: Float64Array) =>
    this.bytes(field, new Uint8Array(buffer, byteOffset, byteLength))
  readonly finish = (): Uint8Array => this.#writer.finish()
}

/** A tagged value of a summary: a scalar, a histogram or an image. */
export type Value =
  | { readonly tag: string; readonly scalar: number }
  | { readonly tag: string; readonly histogram: ArrayLike<number> }
  | { readonly tag: string; readonly png: Uint8Array }

/** Number of histogram buckets, of equal width. */
const buckets = 30

/** HistogramProto: range, count, sums, and the number of values in each bucket, with its upper limit. */
const histogramOf = (values: ArrayLike<number>): Message => {
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
  const message = new Message().double(1, min).double(2, max).double(3, values.length).double(4, sum).double(5, squares)
  return message.doubles(6, limits).doubles(7, counts)
}

/** Summary.Image of a PNG; width and height are read from its header. */
const imageOf = (png: Uint8Array): Message => {
  const header = new DataView(png.buffer, png.byteOffset)
  return new Message().int(1, header.getUint32(20)).int(2, header.getUint32(16)).int(3, 4).bytes(4, png)
}

const summaryValue = (value: Value): Message => {
  const message = new Message().text(1, value.tag)
  if ("scalar" in value) return message.float(2, value.scalar)
  if ("png" in value) return message.message(4, imageOf(value.png))
  return message.message(5, histogramOf(value.histogram))
}

/** The content of an event: the file version, the start of a process at a step, or values. */
export type What = { readonly version: string } | { readonly start: true } | { readonly values: ReadonlyArray<Value> }

/** Encodes an event; the time is in seconds since 1970. */
export const encodeEvent = (seconds: number, step: number, what: What): Uint8Array => {
  const event = new Message().double(1, seconds).int(2, step)
  if ("version" in what) return event.text(3, what.version).finish()
  if ("start" in what) return event.message(7, new Message().int(1, 1)).finish()
  const summary = new Message()
  for (const value of what.values) summary.message(1, summaryValue(value))
  return event.message(5, summary).finish()
}
