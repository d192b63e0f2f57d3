/** Event-camera recordings in all supported formats, selected by the file name extension. */
import { Effect, type FileSystem, Result } from "effect"
import type { DatasetError } from "../errors.ts"
import type { Sensor } from "../events/columns.ts"
import type { Events } from "../events/events.ts"
import { readBytes } from "../files/read.ts"
import { cameras, parseAedat2 } from "./aedat2.ts"
import { indexAedat3, readAedat3 } from "./aedat3.ts"
import { type EventArrayOptions, parseEventArray } from "./event-array.ts"
import { readEventHdf5 } from "./event-hdf5.ts"
import { parseNmnist } from "./nmnist.ts"
import { parseProphesee } from "./prophesee.ts"

/** Greatest size of a recording, in bytes. */
const mostBytes = 2 ** 30

/** Matches the supported file name extensions. */
export const recordingPattern = /\.(npy|npz|h5|hdf5|bin|aedat|dat)$/i

/** Whether the file begins like AEDAT 3. */
const isAedat3 = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes.subarray(0, 10)) === "#!AER-DAT3"

const parseAedat3 = (file: string, bytes: Uint8Array, sensor: Sensor | undefined) =>
  Result.flatMap(indexAedat3(file, bytes, /./), (packets) => {
    const start = packets.reduce((least, { first }) => Math.min(least, first), Number.POSITIVE_INFINITY)
    const end = packets.reduce((most, { last }) => Math.max(most, last), Number.NEGATIVE_INFINITY) + 1
    const whole = packets.length === 0 ? { start: 0, end: 0 } : { start, end }
    return readAedat3(file, { packets, from: 0 }, bytes, sensor ?? { width: 2 ** 15, height: 2 ** 15 }, whole)
  })

/** Sets the sensor size to 0 if it is unknown, for formats that do not store it. */
const unsized = (sensor: Sensor | undefined, events: Events): Events =>
  sensor === undefined ? { ...events, width: 0, height: 0 } : events

/** Parses a file according to its extension. */
const parse = (file: string, bytes: Uint8Array, options: EventArrayOptions) => {
  const { sensor } = options
  switch (/[^.]*$/.exec(file)?.[0].toLowerCase()) {
    case "bin":
      return Effect.fromResult(
        Result.map(parseNmnist(file, bytes, sensor ?? { width: 256, height: 256 }), (events) =>
          unsized(sensor, events),
        ),
      )
    case "dat":
      return Effect.fromResult(parseProphesee(file, bytes, sensor))
    case "aedat":
      return Effect.fromResult(
        isAedat3(bytes)
          ? Result.map(parseAedat3(file, bytes, sensor), (events) => unsized(sensor, events))
          : parseAedat2(file, bytes, cameras),
      )
    default:
      return parseEventArray(file, bytes, options)
  }
}

/**
 * Reads the events of a file: NumPy (`.npy`, `.npz`), HDF5 (`.h5`, `.hdf5`), N-MNIST (`.bin`), AEDAT 2.0 and 3.1 (`.aedat`) or
 * Prophesee (`.dat`).
 */
export const readRecording = (
  file: string,
  options: EventArrayOptions,
): Effect.Effect<Events, DatasetError, FileSystem.FileSystem> =>
  /\.(h5|hdf5)$/i.test(file)
    ? readEventHdf5(file, options.sensor)
    : Effect.flatMap(readBytes(file, mostBytes), (bytes) => parse(file, bytes, options))
