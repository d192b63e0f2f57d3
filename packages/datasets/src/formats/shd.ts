/**
 * The HDF5 files of the Heidelberg Digits (Cramer, Stradmann, Schemmel, Zenke, "The Heidelberg spiking data sets for
 * the systematic evaluation of spiking neural networks", 2020).
 *
 * | data set       | entry per recording                                                 |
 * |----------------|---------------------------------------------------------------------|
 * | `spikes/times` | spike times in seconds: a variable-length array of f2, f4 or f8     |
 * | `spikes/units` | channels of the spikes, 0 … 699: an array of the same length        |
 * | `labels`       | class, 0 … 19                                                       |
 */
import { check, type OptionError, whole } from "@spikeroute/core/options"
import { Effect, type FileSystem, Schema } from "effect"
import type { FileFailed, MalformedFile } from "../errors.ts"
import { countOf, type Reader, readHdf5 } from "./hdf5.ts"
import { channels } from "./hdf5-task.ts"

export { channels }

const ClassesSchema = Schema.Struct({ classes: whole(1, 256) })

/** Recordings of spikes, each in order of time. */
export interface SpikeRecordings {
  /** Spike times of each recording, in seconds. */
  readonly times: ReadonlyArray<Float32Array>
  readonly units: ReadonlyArray<Uint16Array>
  readonly labels: Uint8Array
}

/** Parses the reader's output; returns a message if the file is malformed. */
const receive = async (reader: Reader): Promise<SpikeRecordings | string> => {
  const { take } = reader
  const count = await countOf(reader)
  if (typeof count === "string") return count
  const labels = await take(count)
  const times: Array<Float32Array> = []
  const units: Array<Uint16Array> = []
  while (times.length < count) {
    const spikes = await countOf(reader)
    if (typeof spikes === "string") return spikes
    times.push(new Float32Array((await take(4 * spikes)).buffer))
    units.push(new Uint16Array((await take(2 * spikes)).buffer))
  }
  return { times, units, labels }
}

/** Reads all recordings of one file in a child process: see `readHdf5`. */
export const readShd = (
  file: string,
  classes: number,
): Effect.Effect<SpikeRecordings, MalformedFile | FileFailed | OptionError, FileSystem.FileSystem> =>
  Effect.andThen(check("readShd", ClassesSchema, { classes }), readHdf5(file, { kind: "shd", classes }, receive))
