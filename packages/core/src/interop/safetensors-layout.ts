/**
 * The header of a safetensors file: parsing and checks. Plain functions without dependencies, because small inference bundles use
 * them too.
 */
import type { Shape } from "../shape.ts"
import { named, quote } from "../text.ts"

/** A tensor in a file, at bytes `from` … `to` − 1. Its dtype may be unsupported. */
export interface Entry {
  readonly dtype: string
  readonly shape: Shape
  readonly from: number
  readonly to: number
}

/** The contents of a header. */
export interface Layout {
  readonly entries: ReadonlyMap<string, Entry>
  readonly metadata: Readonly<Record<string, string>>
}

/** Why a file is not a valid safetensors file, and the byte offset of the fault. */
export interface Fault {
  readonly reason: string
  readonly offset: number
}

/** Size in bytes of each supported number type. */
export const bytesPerNumber: ReadonlyMap<string, number> = new Map([
  ["F32", 4],
  ["F64", 8],
  ["F16", 2],
  ["BF16", 2],
  ["I64", 8],
  ["I32", 4],
])

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0

interface RawEntry {
  readonly dtype: string
  readonly shape: Shape
  readonly data_offsets: readonly [from: number, to: number]
}

const isRawEntry = (value: unknown): value is RawEntry => {
  if (!isObject(value)) return false
  const { dtype, shape, data_offsets: offsets } = value
  return (
    typeof dtype === "string" &&
    Array.isArray(shape) &&
    shape.every(isCount) &&
    Array.isArray(offsets) &&
    offsets.length === 2 &&
    offsets.every(Number.isInteger)
  )
}

/** Parses the header. Returns its length and contents, or a fault. */
const headerOf = (bytes: Uint8Array): Fault | { readonly length: number; readonly header: Record<string, unknown> } => {
  if (!(bytes instanceof Uint8Array)) return { reason: `it is ${quote(bytes)}; it must be a Uint8Array`, offset: 0 }
  if (bytes.length < 8)
    return {
      reason: `truncated at byte ${bytes.length}: a safetensors file begins with 8 bytes of header length`,
      offset: bytes.length,
    }
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = Number(data.getBigUint64(0, true))
  if (length > bytes.length - 8) {
    // PyTorch checkpoints are ZIP archives, or pickles in older versions.
    const isPyTorch = (bytes[0] === 0x50 && bytes[1] === 0x4b) || (bytes[0] === 0x80 && (bytes[1] as number) <= 5)
    return isPyTorch
      ? {
          reason: "this is a file of torch.save, not safetensors; `bun run import` reads it",
          offset: 0,
        }
      : {
          reason: `truncated, or not a safetensors file: the header ends at byte ${8 + length}, the file at byte ${bytes.length}`,
          offset: bytes.length,
        }
  }
  try {
    const header: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)))
    return isObject(header)
      ? { length, header }
      : { reason: "not a safetensors file: the header at byte 8 is not a JSON object", offset: 8 }
  } catch {
    return { reason: "not a safetensors file: the header at byte 8 is not JSON", offset: 8 }
  }
}

/** Parses and checks the layout of a file. Returns it, with tensors in the order of the header, or a fault. */
export const layoutOf = (bytes: Uint8Array): Layout | Fault => {
  const read = headerOf(bytes)
  if ("reason" in read) return read
  const begin = 8 + read.length
  const { __metadata__: metadata = {}, ...raw } = read.header
  const fault = (reason: string, offset = 8): Fault => ({ reason, offset })
  if (!isObject(metadata) || !Object.values(metadata).every((text) => typeof text === "string"))
    return fault("the header's __metadata__ does not map texts to texts")

  const entries = new Map<string, Entry>()
  for (const [name, entry] of Object.entries(raw)) {
    const tensor = `tensor ${named(name)}`
    if (!isRawEntry(entry)) return fault(`the header's entry for ${tensor} is malformed`)
    const { dtype, shape } = entry
    const bytesOfNumber = bytesPerNumber.get(dtype)
    const [from, to] = entry.data_offsets
    if (
      from < 0 ||
      to < from ||
      (bytesOfNumber !== undefined &&
        to - from !== bytesOfNumber * shape.reduce((product, extent) => product * extent, 1))
    )
      return fault(`${tensor} is ${shape.join("×") || "scalar"} but its offsets span ${to - from} bytes`)
    if (begin + to > bytes.length)
      return fault(`truncated at byte ${bytes.length}: ${tensor} ends at byte ${begin + to}`, bytes.length)
    entries.set(name, { dtype, shape, from: begin + from, to: begin + to })
  }

  let end = begin
  for (const [name, { from, to }] of [...entries].sort(([, a], [, b]) => a.from - b.from || a.to - b.to)) {
    if (from !== end)
      return fault(`tensor ${named(name)} begins at byte ${from}, where the one before it ends at ${end}`, end)
    end = to
  }
  if (end !== bytes.length) return fault(`the last tensor ends at byte ${end}, the file at byte ${bytes.length}`, end)
  return { entries, metadata: metadata as Readonly<Record<string, string>> }
}
