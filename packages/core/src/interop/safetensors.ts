/**
 * The safetensors format: 8 bytes little-endian length of a JSON header, the header, then the tensors' bytes. The header maps a
 * name to `{ dtype, shape, data_offsets: [from, to] }`; `__metadata__` maps texts to texts. The tensors' bytes follow each other
 * without a gap up to the end of the file. Float32 and int32 are written; F64, F16, BF16, I64 and I32 are read as float32. A tensor of another
 * type is an error only for what needs it.
 */

import { Effect } from "effect"
import { aCount, anObject, argument, aString, type Kind, someBytes } from "../arguments.ts"
import { CheckpointError } from "../errors.ts"
import { type Shape, size } from "../shape.ts"
import { bytesPerNumber, layoutOf } from "./safetensors-layout.ts"

export interface StoredTensor {
  readonly shape: Shape
  readonly values: Float32Array
  /** The type of its numbers, as `U8`, where it is one that is not read; there are no values then. */
  readonly unsupported?: string
}

export interface TensorFile {
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly metadata: Readonly<Record<string, string>>
}

/** What a file can be written of: tensors of float32 and of int32. */
export interface WritableFile {
  readonly tensors: ReadonlyMap<string, { readonly shape: Shape; readonly values: Float32Array | Int32Array }>
  readonly metadata: Readonly<Record<string, string>>
}

const aFile: Kind = [
  "{ tensors, metadata }, a Map and texts",
  (value) => Object(value).tensors instanceof Map && anObject[1](Object(value).metadata),
]

/** The bytes of a file; tensors stand in the order of the map. */
export const encode = (file: WritableFile): Uint8Array<ArrayBuffer> => {
  const { tensors, metadata } = argument(file, aFile, "Safetensors.encode")
  // Without a prototype, `__proto__` is a name like others.
  const header: Record<string, unknown> = Object.create(null)
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata
  let at = 0
  for (const [name, { shape, values }] of tensors) {
    const dtype = values instanceof Float32Array ? "F32" : "I32"
    header[name] = { dtype, shape, data_offsets: [at, at + values.byteLength] }
    at += values.byteLength
  }
  const text = JSON.stringify(header)
  const json = new TextEncoder().encode(text + " ".repeat(-new TextEncoder().encode(text).length & 7))
  const bytes = new Uint8Array(8 + json.length + at)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true)
  bytes.set(json, 8)
  let offset = 8 + json.length
  for (const { values } of tensors.values()) {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), offset)
    offset += values.byteLength
  }
  return bytes
}

/** float16: 5 bits of exponent, 10 of fraction. */
const half = (bits: number): number => {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023]
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25)
}

/** bfloat16: the upper half of a float32. */
const brain = (data: DataView, at: number): number => {
  const word = new DataView(new ArrayBuffer(4))
  word.setUint16(0, data.getUint16(at, true))
  return word.getFloat32(0)
}

type Read = (data: DataView, at: number) => number

/** How numbers become float32. Float32 is copied bit for bit. */
export const conversions: ReadonlyMap<string, Read | undefined> = new Map<string, Read | undefined>([
  ["F32", undefined],
  ["F64", (data, at) => data.getFloat64(at, true)],
  ["F16", (data, at) => half(data.getUint16(at, true))],
  ["BF16", brain],
  ["I64", (data, at) => Number(data.getBigInt64(at, true))],
  ["I32", (data, at) => data.getInt32(at, true)],
])

const aType: Kind = ["a type of numbers that is read, as F32", (value) => conversions.has(value as string)]

/** `count` numbers of a type that is read, from a byte on. */
export const numbers = (dtype: string, bytes: Uint8Array, from: number, count: number): Float32Array<ArrayBuffer> => {
  argument(dtype, aType, "Safetensors.numbers")
  argument(bytes, someBytes, "Safetensors.numbers")
  argument(from, aCount, "Safetensors.numbers", "from")
  const values = new Float32Array(argument(count, aCount, "Safetensors.numbers", "count"))
  const read = conversions.get(dtype)
  const width = bytesPerNumber.get(dtype) as number
  if (read === undefined) new Uint8Array(values.buffer).set(bytes.subarray(from, from + count * width))
  else {
    const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let i = 0; i < count; i++) values[i] = read(data, from + i * width)
  }
  return values
}

/** Reads a file's bytes; `file` is its name, for errors. */
export const decode = (bytes: Uint8Array, file: string): Effect.Effect<TensorFile, CheckpointError> =>
  Effect.suspend(() => {
    argument(file, aString, "file")
    const layout = layoutOf(bytes)
    if ("reason" in layout) return Effect.fail(new CheckpointError({ file, reason: layout.reason }))
    const tensors = new Map<string, StoredTensor>()
    for (const [name, { dtype, shape, from }] of layout.entries) {
      if (!conversions.has(dtype)) {
        tensors.set(name, { shape, values: new Float32Array(), unsupported: dtype })
        continue
      }
      tensors.set(name, { shape, values: numbers(dtype, bytes, from, size(shape)) })
    }
    return Effect.succeed({ tensors, metadata: layout.metadata })
  })
