/**
 * The program of the process that reads SHD files for `readShd`: told of a file, it writes to its standard output, in
 * the machine's order of bytes,
 *
 *     labels      how many (u4), each (u1)
 *     recordings  of each its spikes: how many (u4), their times (f4 each), their units (u2 each)
 *
 * or, where a count is expected, `fault`, the length of a text (u4) and the text: what is wrong with the file.
 *
 * h5wasm brings the HDF5 library as WebAssembly and opens files by their path. It has no name for float16, which the
 * times are: arrays are taken here from the memory that the library has read them into.
 */
import process from "node:process"
import { Worker } from "node:worker_threads"
import { quote } from "@spikeroute/core/text"
import { Dataset, File, ready } from "h5wasm/node"
import { channels, fault, mostRecordings, type Task } from "./shd-task.ts"

class Malformed extends Error {}

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

/** Bytes that wait to be written, so that few writes carry many recordings. */
let pending: Array<Uint8Array> = []
let pendingBytes = 0
let written = performance.now()

const flush = (): Promise<void> => {
  const bytes = Buffer.concat(pending)
  pending = []
  pendingBytes = 0
  written = performance.now()
  return new Promise((resolve) => process.stdout.write(bytes, () => resolve()))
}

/** Writes what is left in memory of 1 MB, or once a second: the other process takes silence for a hang. */
const say = async (...arrays: ReadonlyArray<Uint8Array | Uint16Array | Uint32Array | Float32Array>): Promise<void> => {
  for (const { buffer, byteOffset, byteLength } of arrays) {
    pending.push(new Uint8Array(buffer, byteOffset, byteLength))
    pendingBytes += byteLength
  }
  if (pendingBytes > 2 ** 20 || performance.now() - written > 1000) await flush()
}

const module = await ready
// Without it the library prints its errors.
module.activate_throwing_error_handler()

/** Memory that the library may take: a damaged file can ask for all there is. */
let mostMemory = 0
const { grow } = WebAssembly.Memory.prototype
WebAssembly.Memory.prototype.grow = function (pages) {
  if (this.buffer.byteLength + pages * 65536 > mostMemory) throw new RangeError("too much memory")
  return grow.call(this, pages)
}

const readFile = async (handle: InstanceType<typeof File>, { classes, bytes }: Task): Promise<void> => {
  const dataset = (name: string) => {
    const found = handle.get(name)
    if (found instanceof Dataset) return found
    throw new Malformed(`it has no data set "${name}"`)
  }
  const stored = dataset("labels")
  const [count = 0, ...others] = stored.shape ?? []
  if (others.length > 0 || count < 1 || count > mostRecordings)
    throw new Malformed(
      `"labels" is of shape ${quote(stored.shape)}, not one label for each of 1 … ${mostRecordings} recordings`,
    )
  const labels = Array.from(stored.value as ArrayLike<number | bigint>, Number)
  const wrong = labels.findIndex((label) => !(Number.isInteger(label) && label >= 0 && label < classes))
  if (wrong >= 0)
    throw new Malformed(`label ${quote(labels[wrong])} of recording ${wrong} is not in 0 … ${classes - 1}`)

  /** Reads the array of a recording. */
  const arrays = (name: string) => {
    const { path, metadata, shape } = dataset(name)
    const { H5T_class_t: kinds } = module
    const base = metadata.type === kinds.H5T_VLEN.value ? metadata.vlen_type : undefined
    const decoder = decoders.find(({ type, size }) => kinds[type].value === base?.type && size === base?.size)
    if (!base?.littleEndian || decoder === undefined)
      throw new Malformed(`"${name}" does not hold arrays of little-endian numbers`)
    if (shape?.[0] !== labels.length)
      throw new Malformed(`"${name}" has ${shape?.[0] ?? 1} entries for ${labels.length} labels`)
    const { read, size } = decoder
    let values = 0
    return (recording: number): Float64Array => {
      const failed = module.get_dataset_data(handle.file_id, path, [1n], [BigInt(recording)], [1n], BigInt(entry))
      if (failed !== 0) throw new Malformed(`"${name}" of recording ${recording} cannot be read`)
      const view = new DataView(module.HEAPU8.buffer)
      const start = view.getUint32(entry + 4, true)
      const length = view.getUint32(entry, true)
      // Entries may share what they point to: no file has more values than would fill it.
      values += length
      if (values * size > bytes) throw new Malformed(`"${name}" promises more than the ${bytes} bytes of the file`)
      const array = Float64Array.from({ length }, (_, i) => read(view, start + i * size))
      module.reclaim_vlen_memory_count(handle.file_id, path, "", BigInt(entry), [1n])
      return array
    }
  }

  // An entry is an hvl_t: how many values, and where in the library's memory.
  const entry = module._malloc(8)
  const timesOf = arrays("spikes/times")
  const unitsOf = arrays("spikes/units")
  await say(Uint32Array.of(count), Uint8Array.from(labels))
  for (let recording = 0; recording < count; recording++) {
    const [times, units] = [timesOf(recording), unitsOf(recording)]
    const fail = (problem: string) => new Malformed(`recording ${recording} has ${problem}`)
    if (times.length !== units.length) throw fail(`${times.length} times and ${units.length} units`)
    const outside = units.find((each) => !(Number.isInteger(each) && each >= 0 && each < channels))
    if (outside !== undefined) throw fail(`a spike of unit ${outside}, not in 0 … ${channels - 1}`)
    const late = times.findIndex((each, i) => !(each >= (times[i - 1] ?? 0) && each < Number.POSITIVE_INFINITY))
    if (late >= 0) throw fail(`its spike ${late} at ${times[late]} s, out of order`)
    await say(Uint32Array.of(times.length), Float32Array.from(times), Uint16Array.from(units))
  }
  module._free(entry)
}

const serve = async (task: Task): Promise<void> => {
  mostMemory = 2 ** 28 + task.bytes
  try {
    const handle = new File(task.file, "r")
    await readFile(handle, task)
    handle.close()
  } catch (error) {
    // The library is left as it is: this process is not given another file.
    const problem =
      error instanceof Malformed ? error.message : `it is no HDF5 file, or is cut off or corrupt (${reasonOf(error)})`
    const text = Buffer.from(problem)
    await say(Uint32Array.of(fault, text.length), text)
  }
  await flush()
}

// Who started this process may be gone while the library loops: a thread ends it then.
const watch = `const process = require("node:process"), { ppid } = process
  setInterval(() => process.ppid === ppid || process.kill(process.pid, "SIGKILL"), 1000)`
new Worker(watch, { eval: true }).unref()

process.on("message", serve)
process.on("disconnect", () => process.exit())
process.stdout.write(Uint8Array.of(1))
