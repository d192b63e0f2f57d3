/** Events in NumPy's files: a structured array, an array with a row for each event, or an archive with an array for each column. */
import { decodeFields, type NumpyArray, unpack } from "@spikeroute/core/numpy"
import { quote } from "@spikeroute/core/text"
import { Effect } from "effect"
import { MalformedFile } from "../errors.ts"
import { type Column, columnNames, columnOf, columns } from "../events/column-names.ts"
import { eventsOf, type Sensor } from "../events/columns.ts"
import type { Events } from "../events/events.ts"

/** How the events of a file are told. */
export interface EventArrayOptions {
  /** Width and height; without it events have the width and height 0. */
  readonly sensor?: Sensor | undefined
  /** The columns of an array with a row for each event. */
  readonly columns?: ReadonlyArray<Column> | undefined
  /** Microseconds of a unit of time; by default 1, and 10⁶ where a column of times holds floats. */
  readonly unit?: number | undefined
}

/** Fields of structured arrays and arrays of an archive, by the columns that their names stand for. */
const byName = (arrays: ReadonlyMap<string, NumpyArray>) =>
  new Map(
    [...arrays].flatMap(([name, array]) => {
      const column = columnOf(name)
      return column === undefined ? [] : [[column, array] as const]
    }),
  )

/** The columns of an array [events, columns]. */
const ofRows = ({ shape, values, dtype }: NumpyArray, order: ReadonlyArray<Column>) => {
  const [count = 0, width = 0] = shape
  return new Map(
    order.map((column, k) => {
      const own = Float64Array.from({ length: count }, (_, i) => values[i * width + k] as number)
      return [column, { shape: [count], values: own, dtype }] as const
    }),
  )
}

/** The events of a `.npy` or `.npz` file; `file` is its name, for errors. */
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
