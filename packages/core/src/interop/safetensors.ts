/**
 * The safetensors format: the length of the header (8 bytes, little-endian), a JSON header, then the data. The header maps each
 * tensor's name to `{ dtype, shape, data_offsets: [from, to] }`; `__metadata__` maps strings to strings. The tensors' data are
 * contiguous up to the end of the file. Writes F32 and I32; reads F32, F64, F16, BF16, I64 and I32 as float32. A tensor of another
 * type is an error only for a consumer that needs it.
 */

import { Effect } from "effect"
import { anObject, argument, type Kind, someBytes } from "../arguments.ts"
import { CheckpointError } from "../errors.ts"
import { type Shape, size } from "../shape.ts"
import { layoutOf } from "./safetensors-layout.ts"
import { conversions, numbers } from "./tensor-numbers.ts"

/** A tensor of float32 numbers. */
export interface StoredTensor {
  readonly shape: Shape
  readonly values: Float32Array
  /** The number type, such as `U8`, if it is not supported; `values` is then empty. */
  readonly unsupported?: string
}

/** The contents of a file. */
export interface TensorFile {
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly metadata: Readonly<Record<string, string>>
}

/** Contents to write: tensors of float32 and int32, and metadata. */
export interface WritableFile {
  readonly tensors: ReadonlyMap<string, { readonly shape: Shape; readonly values: Float32Array | Int32Array }>
  readonly metadata: Readonly<Record<string, string>>
}

const aFile: Kind = [
  "{ tensors, metadata }",
  (value) => Object(value).tensors instanceof Map && anObject[1](Object(value).metadata),
]

/**
 * Writes a file, with tensors in the order of the map.
 *
 * @throws OptionError if the argument is not `{ tensors, metadata }`
 */
export const encode = (file: WritableFile): Uint8Array<ArrayBuffer> => {
  const { tensors, metadata } = argument(file, aFile, "Safetensors.encode")
  // Without a prototype, so that `__proto__` is an ordinary name.
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

/**
 * Reads a file. `file` is its name for error messages. Fails with a CheckpointError.
 *
 * @example
 * const { tensors, metadata } = yield* Safetensors.decode(bytes, "weights.safetensors")
 */
export const decode = (bytes: Uint8Array, file: string): Effect.Effect<TensorFile, CheckpointError> =>
  Effect.suspend(() => {
    const layout = layoutOf(argument(bytes, someBytes, "decode"))
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
