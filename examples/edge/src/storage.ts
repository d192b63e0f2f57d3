/** Tensors in the SQLite database of a Durable Object: all of a state, or none of it. */
import type { DurableObjectStorage } from "cloudflare:workers"

/** What a network has learnt. */
export interface Learnt {
  /** Samples that it has learnt from. */
  readonly update: number
  readonly tensors: ReadonlyMap<string, { readonly shape: ReadonlyArray<number>; readonly values: Float32Array }>
}

/** A row holds 2 MB at most: tensors lie in parts. */
const partBytes = 2 ** 20

const prepare = ({ sql }: DurableObjectStorage): void => {
  sql.exec("CREATE TABLE IF NOT EXISTS progress (id INTEGER PRIMARY KEY CHECK (id = 0), updates INTEGER NOT NULL)")
  sql.exec(
    "CREATE TABLE IF NOT EXISTS tensors (name TEXT, part INTEGER, shape TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (name, part))",
  )
}

/** What was stored last; undefined where nothing was. */
export const readLearnt = (storage: DurableObjectStorage): Learnt | undefined => {
  prepare(storage)
  const [progress] = storage.sql.exec<{ updates: number }>("SELECT updates FROM progress").toArray()
  if (progress === undefined) return undefined
  const tensors = new Map<string, { shape: ReadonlyArray<number>; values: Float32Array }>()
  const rows = storage.sql.exec<{ name: string; part: number; shape: string; bytes: ArrayBuffer }>(
    "SELECT name, part, shape, bytes FROM tensors ORDER BY name, part",
  )
  for (const { name, part, shape, bytes } of rows.toArray()) {
    const extents: ReadonlyArray<number> = JSON.parse(shape)
    const tensor = tensors.get(name) ?? {
      shape: extents,
      values: new Float32Array(extents.reduce((product, extent) => product * extent, 1)),
    }
    tensor.values.set(new Float32Array(bytes), (part * partBytes) / 4)
    tensors.set(name, tensor)
  }
  return { update: progress.updates, tensors }
}

/** Stores all of it, in place of what was there. */
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
