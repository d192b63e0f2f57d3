/** Events in NumPy files: a structured array, an array with one row per event, or an archive with one array per column. */
import { decodeFields, type NumpyArray, unpack } from "@spikeroute/core/numpy"
import { quote } from "@spikeroute/core/text"
import { Effect } from "effect"
import { MalformedFile } from "../errors.ts"
import { type Column, columnNames, columnOf, columns } from "../events/column-names.ts"
import { eventsOf, type Sensor } from "../events/columns.ts"
import type { Events } from "../events/events.ts"

/** The options of `parseEventArray`. */
export interface EventArrayOptions {
  /** Width and height of the sensor, in pixels. Default: 0 and 0. */
  readonly sensor?: Sensor | undefined
  /** Column order of an array with one row per event. */
  readonly columns?: ReadonlyArray<Column> | undefined
  /** Length of one unit of time, in microseconds. Default: 1, or 10⁶ (seconds) if a named column holds the times as floats. */
  readonly unit?: number | undefined
}

/** Maps the fields of a structured array, or the arrays of an archive, to columns by their names. */
const byName = (arrays: ReadonlyMap<string, NumpyArray>) =>
  new Map(
    [...arrays].flatMap(([name, array]) => {
      const column = columnOf(name)
      return column === undefined ? [] : [[column, array] as const]
    }),
  )

/** Splits an array [events, columns] into columns. */
const ofRows = ({ shape, values, dtype }: NumpyArray, order: ReadonlyArray<Column>) => {
  const [count = 0, width = 0] = shape
  return new Map(
    order.map((column, k) => {
      const own = Float64Array.from({ length: count }, (_, i) => values[i * width + k] as number)
      return [column, { shape: [count], values: own, dtype }] as const
    }),
  )
}

/** Parses the events of a `.npy` or `.npz` file. `file` is its name, for errors. */
export const parseEventArray = (
  file: string,
  bytes: Uint8Array,
  { sensor, columns: order, unit }: EventArrayOptions = {},
): Effect.Effect<Events, MalformedFile> =>
  Effect.gen(function* () {
    const fail = (problem: string) => new MalformedFile({ file, problem })
    const refused = Effect.mapError(MalformedFile.at(file))
    const isArchive = bytes[0] === 0x50
    const files = isArchive ? yield* refused(unpack(bytes, file)) : new Map([["", bytes]])
    const arrays = new Map<string, NumpyArray>()
    for (const [name, own] of files)
      for (const [field, array] of yield* refused(decodeFields(own, file)))
        arrays.set(field === "" ? name : field, array)
    const events = (of: ReadonlyMap<Column, NumpyArray>, microseconds: number) => {
      const { x, y, t, p } = Object.fromEntries([...of].map(([column, { values }]) => [column, values])) as Record<
        Column,
        Float64Array
      >
      return Effect.fromResult(eventsOf(file, { x, y, t, p }, sensor, microseconds))
    }
    const found = byName(arrays)
    const [rows] = arrays.values()
    if (found.size < columns.length && arrays.size === 1 && rows?.shape.length === 2) {
      if (order === undefined)
        return yield* fail(`it is an array of [${rows.shape}] without names: name its columns, as --columns x,y,t,p`)
      if (rows.shape[1] !== order.length)
        return yield* fail(`it is an array of [${rows.shape}], and ${order.length} columns are named, ${order}`)
      return yield* events(ofRows(rows, order), unit ?? 1)
    }
    if (found.size < columns.length)
      return yield* fail(
        `it has the arrays ${quote([...arrays.keys()])}; events have columns of the names ${columnNames}`,
      )
    const wrong = [...found].find(([, { shape }]) => shape.length !== 1)
    if (wrong !== undefined)
      return yield* fail(`its column ${wrong[0]} is of shape [${wrong[1].shape}], not one number an event`)
    const isFloat = found.get("t")?.dtype.includes("f") === true
    return yield* events(found, unit ?? (isFloat ? 1e6 : 1))
  })
