/**
 * The safetensors format: 8 bytes little-endian length of a JSON header, the header, then the tensors' bytes. The header maps a
 * name to `{ dtype, shape, data_offsets: [from, to] }`; `__metadata__` maps texts to texts. The tensors' bytes follow each other
 * without a gap up to the end of the file. Float32 is written; what PyTorch's state dicts hold besides is read as float32.
 */
import { Effect, Schema } from "effect"
import { CheckpointError } from "../errors.ts"
import { format, type Shape, size } from "../shape.ts"

export interface StoredTensor {
  readonly shape: Shape
  readonly values: Float32Array
}

export interface TensorFile {
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly metadata: Readonly<Record<string, string>>
}

/** The bytes of a file; tensors stand in the order of the map. */
export const encode = ({ tensors, metadata }: TensorFile): Uint8Array<ArrayBuffer> => {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {}
  let at = 0
  for (const [name, { shape, values }] of tensors) {
    header[name] = { dtype: "F32", shape, data_offsets: [at, at + values.byteLength] }
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

interface NumberType {
  readonly bytes: number
  readonly read?: (data: DataView, at: number) => number
}

/** The types of numbers that are read; float32 is copied, bit for bit. */
const numberTypes: ReadonlyMap<string, NumberType> = new Map<string, NumberType>([
  ["F32", { bytes: 4 }],
  ["F64", { bytes: 8, read: (data, at) => data.getFloat64(at, true) }],
  ["F16", { bytes: 2, read: (data, at) => half(data.getUint16(at, true)) }],
  ["BF16", { bytes: 2, read: brain }],
  ["I64", { bytes: 8, read: (data, at) => Number(data.getBigInt64(at, true)) }],
])

const Entry = Schema.Struct({
  dtype: Schema.String,
  shape: Schema.Array(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  data_offsets: Schema.Tuple([Schema.Int, Schema.Int]),
})

const isEntry = Schema.is(Entry)
const isMetadata = Schema.is(Schema.Record(Schema.String, Schema.String))

/** Reads a file's bytes; `file` is its name, for errors. */
export const decode = (bytes: Uint8Array, file: string): Effect.Effect<TensorFile, CheckpointError> =>
  Effect.suspend(() => {
    const fail = (reason: string) => Effect.fail(new CheckpointError({ file, reason }))
    if (bytes.length < 8)
      return fail(`truncated at byte ${bytes.length}: a safetensors file begins with 8 bytes of header length`)
    const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const length = Number(data.getBigUint64(0, true))
    if (length > bytes.length - 8)
      return fail(
        `truncated or no safetensors file: its header ends at byte ${8 + length}, the file at byte ${bytes.length}`,
      )
    let header: unknown
    try {
      header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)))
    } catch {
      return fail("no safetensors file: the header at byte 8 is not JSON")
    }
    if (typeof header !== "object" || header === null || Array.isArray(header))
      return fail("no safetensors file: the header at byte 8 is no JSON object")
    const { __metadata__: metadata = {}, ...entries } = header as Record<string, unknown>
    if (!isMetadata(metadata)) return fail("the header's __metadata__ does not map texts to texts")
    const tensors = new Map<string, StoredTensor>()
    const spans: Array<readonly [from: number, to: number, name: string]> = []
    for (const [name, entry] of Object.entries(entries)) {
      if (!isEntry(entry)) return fail(`the header's entry for tensor ${name} is malformed`)
      const type = numberTypes.get(entry.dtype)
      if (type === undefined)
        return fail(
          `tensor ${name} is ${entry.dtype}; convert it to F32 (${[...numberTypes.keys()].join(", ")} are read)`,
        )
      const [from, to] = entry.data_offsets
      if (from < 0 || to - from !== type.bytes * size(entry.shape))
        return fail(`tensor ${name} is ${format(entry.shape)} but its offsets span ${to - from} bytes`)
      const start = 8 + length + from
      if (8 + length + to > bytes.length)
        return fail(`truncated at byte ${bytes.length}: tensor ${name} ends at byte ${8 + length + to}`)
      spans.push([from, to, name])
      const values = new Float32Array(size(entry.shape))
      const { read } = type
      if (read === undefined) new Uint8Array(values.buffer).set(bytes.subarray(start, start + to - from))
      else for (let i = 0; i < values.length; i++) values[i] = read(data, start + i * type.bytes)
      tensors.set(name, { shape: entry.shape, values })
    }
    let end = 0
    for (const [from, to, name] of spans.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
      if (from !== end)
        return fail(
          `tensor ${name} begins at byte ${8 + length + from}, where the one before it ends at ${8 + length + end}`,
        )
      end = to
    }
    if (8 + length + end !== bytes.length)
      return fail(`the last tensor ends at byte ${8 + length + end}, the file at byte ${bytes.length}`)
    return Effect.succeed({ tensors, metadata })
  })
