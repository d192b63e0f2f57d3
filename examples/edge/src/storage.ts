/** Tensors in the SQLite database of a Durable Object: a whole state, or none of it. */
import type { DurableObjectStorage } from "cloudflare:workers"
import { quote } from "@spikeroute/core/text"

/** What a network has learnt. */
export interface Learnt {
  /** Number of samples that it has learnt from. */
  readonly update: number
  readonly tensors: ReadonlyMap<string, { readonly shape: ReadonlyArray<number>; readonly values: Float32Array }>
}

/** The stored state cannot be used; no request can change that. */
export class StorageError extends Error {
  readonly _tag = "StorageError"
  override readonly name = "StorageError"
  constructor(reason: string) {
    super(`the stored weights cannot be used: ${reason}; deploy other weights, or delete the Durable Object`)
  }
}

/** A row holds at most 2 MB, so tensors are stored in parts. */
const partBytes = 2 ** 20

const prepare = ({ sql }: DurableObjectStorage): void => {
  sql.exec("CREATE TABLE IF NOT EXISTS progress (id INTEGER PRIMARY KEY CHECK (id = 0), updates INTEGER NOT NULL)")
  sql.exec(
    "CREATE TABLE IF NOT EXISTS tensors (name TEXT, part INTEGER, shape TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (name, part))",
  )
}

interface Row {
  readonly name: string
  readonly shape: string
  readonly bytes: ArrayBuffer
}

const tensorOf = (name: string, parts: ReadonlyArray<Row>) => {
  const fail = (reason: string): never => {
    throw new StorageError(`tensor ${quote(name)} ${reason}`)
  }
  const text = parts[0]?.shape ?? ""
  const shape: ReadonlyArray<number> = /^\[(\d+(,\d+)*)?\]$/.test(text) ? JSON.parse(text) : fail("has no shape")
  const expected = shape.reduce((product, extent) => product * extent, 4)
  const found = parts.reduce((sum, { bytes }) => sum + bytes.byteLength, 0)
  if (found !== expected) fail(`has ${found} bytes, of ${expected}`)
  const bytes = new Uint8Array(expected)
  let filled = 0
  for (const part of parts) {
    bytes.set(new Uint8Array(part.bytes), filled)
    filled += part.bytes.byteLength
  }
  const values = new Float32Array(bytes.buffer)
  const bad = values.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) fail(`is ${values[bad]} at index ${bad}`)
  return { shape, values }
}

/**
 * The state that was stored last, or undefined if there is none.
 *
 * @throws StorageError with the tensor's name if it is damaged or not finite
 */
export const readLearnt = (storage: DurableObjectStorage): Learnt | undefined => {
  prepare(storage)
  const [progress] = storage.sql.exec<{ updates: number }>("SELECT updates FROM progress").toArray()
  if (progress === undefined) return undefined
  const rows = storage.sql.exec<Row>("SELECT name, shape, bytes FROM tensors ORDER BY name, part").toArray()
  const tensors = [...Map.groupBy(rows, ({ name }) => name)].map(
    ([name, parts]) => [name, tensorOf(name, parts)] as const,
  )
  return { update: progress.updates, tensors: new Map(tensors) }
}

/** Replaces the stored state. */
export const writeLearnt = (storage: DurableObjectStorage, { update, tensors }: Learnt): void =>
  storage.transactionSync(() => {
    prepare(storage)
    for (const [name, { shape, values }] of tensors)
      for (let part = 0; part * partBytes < values.byteLength; part++) {
        const from = values.byteOffset + part * partBytes
        const to = Math.min(from + partBytes, values.byteOffset + values.byteLength)
        const bytes = values.buffer.slice(from, to) as ArrayBuffer
        storage.sql.exec("INSERT OR REPLACE INTO tensors VALUES (?, ?, ?, ?)", name, part, JSON.stringify(shape), bytes)
      }
    storage.sql.exec("INSERT OR REPLACE INTO progress VALUES (0, ?)", update)
  })
