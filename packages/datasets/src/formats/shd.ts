/**
 * The HDF5 files of the Heidelberg Digits (Cramer, Stradmann, Schemmel, Zenke, "The Heidelberg spiking data sets for
 * the systematic evaluation of spiking neural networks", 2020).
 *
 * | data set       | an entry for each recording                                               |
 * |----------------|---------------------------------------------------------------------------|
 * | `spikes/times` | the times of its spikes, in seconds: an array of any length, f2, f4 or f8 |
 * | `spikes/units` | the channels that spiked, 0 … 699: an array of the same length            |
 * | `labels`       | its class, 0 … 19                                                         |
 *
 * Read by h5wasm, which brings the HDF5 library as WebAssembly and opens files by their path. It has no name for
 * float16, which the times are: arrays are taken here from the memory that the library has read them into.
 */
import { check, type OptionError, whole } from "@spikeroute/core/options"
import { quote } from "@spikeroute/core/text"
import { Effect, type FileSystem, Schema } from "effect"
import { type FileFailed, MalformedFile } from "../errors.ts"
import { readPart, sizeOf } from "../files/read.ts"
import { describeStart, kindOf } from "./bytes.ts"

/** Input channels: those of the simulated inner ear. */
export const channels = 700

/** Recordings of a file at most: of SHD, the training file has 8,156; of the larger SSC, 75,466. */
const mostRecordings = 2 ** 17

const ClassesSchema = Schema.Struct({ classes: whole(1, 256) })

/** Recordings of spikes, each in order of time. */
export interface SpikeRecordings {
  /** Of each recording, in seconds. */
  readonly times: ReadonlyArray<Float32Array>
  readonly units: ReadonlyArray<Uint16Array>
  readonly labels: Uint8Array
}

const float16 = (bits: number): number => {
  const sign = bits >> 15 === 0 ? 1 : -1
  const exponent = (bits >> 10) & 31
  const mantissa = bits & 1023
  if (exponent === 0) return sign * mantissa * 2 ** -24
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15)
}

/** How the values of an HDF5 type are read, and how many bytes each has. */
const decoders: ReadonlyArray<{
  readonly type: "H5T_FLOAT" | "H5T_INTEGER"
  readonly size: number
  readonly read: (view: DataView, at: number) => number
}> = [
  { type: "H5T_FLOAT", size: 2, read: (view, at) => float16(view.getUint16(at, true)) },
  { type: "H5T_FLOAT", size: 4, read: (view, at) => view.getFloat32(at, true) },
  { type: "H5T_FLOAT", size: 8, read: (view, at) => view.getFloat64(at, true) },
  { type: "H5T_INTEGER", size: 2, read: (view, at) => view.getUint16(at, true) },
  { type: "H5T_INTEGER", size: 4, read: (view, at) => view.getInt32(at, true) },
  { type: "H5T_INTEGER", size: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
]

/** What the library found wrong: the innermost of its reasons. */
const reasonOf = (error: unknown): string =>
  String(error instanceof Error ? error.message : error)
    .trimEnd()
    .split("\n")
    .at(-1)
    ?.replace(/^\s*minor: /, "") ?? ""

/** Reads all recordings of one file. HDF5 gives no offsets: errors name the file, the data set and the recording. */
export const readShd: (
  file: string,
  classes: number,
) => Effect.Effect<SpikeRecordings, MalformedFile | FileFailed | OptionError, FileSystem.FileSystem> =
  Effect.fnUntraced(function* (file: string, classes: number) {
    yield* check("readShd", ClassesSchema, { classes })
    const bytes = yield* sizeOf(file)
    const start = yield* readPart(file, 0, Math.min(bytes, 64))
    const { Dataset, File, ready } = yield* Effect.promise(() => import("h5wasm/node"))
    const module = yield* Effect.promise(() => ready)
    // Without it the library prints its errors.
    module.activate_throwing_error_handler()
    const malformed = (problem: string) => new MalformedFile({ file, problem })
    if (kindOf(start) !== "an HDF5 file")
      return yield* malformed(`it is no HDF5 file: it begins ${describeStart(start)}`)

    const read = (handle: InstanceType<typeof File>): SpikeRecordings => {
      const dataset = (name: string) => {
        const found = handle.get(name)
        if (found instanceof Dataset) return found
        throw malformed(`it has no data set "${name}"`)
      }
      const stored = dataset("labels")
      const [count = 0, ...others] = stored.shape ?? []
      if (others.length > 0 || count < 1 || count > mostRecordings)
        throw malformed(
          `"labels" is of shape ${quote(stored.shape)}, not one label for each of 1 … ${mostRecordings} recordings`,
        )
      const labels = Array.from(stored.value as ArrayLike<number | bigint>, Number)
      const wrong = labels.findIndex((label) => !(Number.isInteger(label) && label >= 0 && label < classes))
      if (wrong >= 0)
        throw malformed(`label ${quote(labels[wrong])} of recording ${wrong} is not in 0 … ${classes - 1}`)

      const arrays = (name: string) => {
        const { path, metadata, shape } = dataset(name)
        const { H5T_class_t: kinds } = module
        const base = metadata.type === kinds.H5T_VLEN.value ? metadata.vlen_type : undefined
        const decoder = decoders.find(({ type, size }) => kinds[type].value === base?.type && size === base?.size)
        if (!base?.littleEndian || decoder === undefined)
          throw malformed(`"${name}" does not hold arrays of little-endian numbers`)
        if (shape?.[0] !== labels.length)
          throw malformed(`"${name}" has ${shape?.[0] ?? 1} entries for ${labels.length} labels`)
        // An entry is an hvl_t: how many values, and where in the library's memory.
        const entry = module._malloc(8)
        let values = 0
        try {
          return labels.map((_, index) => {
            const failed = module.get_dataset_data(handle.file_id, path, [1n], [BigInt(index)], [1n], BigInt(entry))
            if (failed !== 0) throw malformed(`"${name}" of recording ${index} cannot be read`)
            const view = new DataView(module.HEAPU8.buffer)
            const start = view.getUint32(entry + 4, true)
            const { size } = decoder
            const length = view.getUint32(entry, true)
            // Entries may share what they point to: no file has more values than would fill it.
            values += length
            if (values * size > bytes) throw malformed(`"${name}" promises more than the ${bytes} bytes of the file`)
            const read = Float64Array.from({ length }, (_, i) => decoder.read(view, start + i * size))
            module.reclaim_vlen_memory_count(handle.file_id, path, "", BigInt(entry), [1n])
            return read
          })
        } finally {
          module._free(entry)
        }
      }

      const times = arrays("spikes/times")
      const units = arrays("spikes/units")
      for (const [recording, seconds] of times.entries()) {
        const unit = units[recording] as Float64Array
        const fail = (problem: string) => malformed(`recording ${recording} has ${problem}`)
        if (seconds.length !== unit.length) throw fail(`${seconds.length} times and ${unit.length} units`)
        const outside = unit.find((each) => !(Number.isInteger(each) && each >= 0 && each < channels))
        if (outside !== undefined) throw fail(`a spike of unit ${outside}, not in 0 … ${channels - 1}`)
        const late = seconds.findIndex((each, i) => !(each >= (seconds[i - 1] ?? 0) && each < Number.POSITIVE_INFINITY))
        if (late >= 0) throw fail(`its spike ${late} at ${seconds[late]} s, out of order`)
      }
      return {
        times: times.map((each) => Float32Array.from(each)),
        units: units.map((each) => Uint16Array.from(each)),
        labels: Uint8Array.from(labels),
      }
    }

    return yield* Effect.try({
      try: () => {
        const handle = new File(file, "r")
        try {
          return read(handle)
        } finally {
          handle.close()
        }
      },
      catch: (error) =>
        error instanceof MalformedFile
          ? error
          : malformed(`it is no HDF5 file, or is cut off or corrupt (${reasonOf(error)})`),
    })
  })
