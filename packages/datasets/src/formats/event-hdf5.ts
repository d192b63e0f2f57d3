/** Events in HDF5 files with one named array per column in a group, as h5py and the tools of event cameras write them. */
import { Effect, type FileSystem } from "effect"
import type { FileFailed, MalformedFile } from "../errors.ts"
import { columns } from "../events/column-names.ts"
import { eventsOf, type Sensor } from "../events/columns.ts"
import type { Events } from "../events/events.ts"
import { countOf, type Reader, readHdf5 } from "./hdf5.ts"

const receive = async (reader: Reader) => {
  const count = await countOf(reader)
  if (typeof count === "string") return count
  const isFloat = (await countOf(reader)) === 1
  const found: Array<Float64Array> = []
  for (const _ of columns) found.push(new Float64Array((await reader.take(8 * count)).buffer))
  const [x, y, t, p] = found as [Float64Array, Float64Array, Float64Array, Float64Array]
  return { x, y, t, p, isFloat }
}

/** Reads the events of a file. Floating-point times are in seconds, integer times in microseconds. */
export const readEventHdf5 = (
  file: string,
  sensor: Sensor | undefined,
): Effect.Effect<Events, MalformedFile | FileFailed, FileSystem.FileSystem> =>
  Effect.flatMap(readHdf5(file, { kind: "events" }, receive), ({ isFloat, ...found }) =>
    Effect.fromResult(eventsOf(file, found, sensor, isFloat ? 1e6 : 1)),
  )
