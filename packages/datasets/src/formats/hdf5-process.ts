/**
 * The child process that reads files for `readHdf5`. For each file it writes to standard output, in native byte order. For
 * a file in SHD's layout:
 *
 *     labels      count (u4), values (u1 each)
 *     recordings  for each recording: number of spikes (u4), times (f4 each), units (u2 each)
 *
 * For a recording of events:
 *
 *     events      count (u4), whether times are floats (u4), columns x, y, t, p (f8 each)
 *
 * For a malformed file, it writes `fault` in place of a count, then the length of a message (u4) and the message.
 *
 * h5wasm provides the HDF5 library as WebAssembly and opens files by path. It does not support float16, the type of SHD's
 * times, so arrays are read here directly from the library's memory.
 */
import process from "node:process"
import { Worker } from "node:worker_threads"
import { numberReaders } from "@spikeroute/core/number-readers"
import { quote } from "@spikeroute/core/text"
import { Dataset, File, Group, ready } from "h5wasm/node"
import { columnNames, columnOf, columns } from "../events/column-names.ts"
import { channels, fault, mostRecordings, type Task } from "./hdf5-task.ts"

class Malformed extends Error {}

/** The reader for numbers of an HDF5 type; the library has already converted them to native byte order. */
const readerOf = (type: number | undefined, size: number | undefined, signed: boolean) => {
  const { H5T_FLOAT, H5T_INTEGER, H5T_ENUM } = module.H5T_class_t
  // h5py stores booleans as an enumeration of one-byte integers.
  const kind =
    type === H5T_FLOAT.value ? "f" : type === H5T_INTEGER.value || type === H5T_ENUM.value ? (signed ? "i" : "u") : "?"
  return numberReaders[`${kind}${size}`]
}

/** The innermost reason of an error in the library. */
const reasonOf = (error: unknown): string =>
  String(error instanceof Error ? error.message : error)
    .trimEnd()
    .split("\n")
    .at(-1)
    ?.replace(/^\s*minor: /, "") ?? ""

/** Output buffer, so that one write carries many recordings. */
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

/** Buffers output and flushes it at 1 MB or after a second, because the parent process takes silence for a hang. */
const say = async (
  ...arrays: ReadonlyArray<Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array>
): Promise<void> => {
  for (const { buffer, byteOffset, byteLength } of arrays) {
    pending.push(new Uint8Array(buffer, byteOffset, byteLength))
    pendingBytes += byteLength
  }
  if (pendingBytes > 2 ** 20 || performance.now() - written > 1000) await flush()
}

const module = await ready
// Otherwise the library prints its errors.
module.activate_throwing_error_handler()

/** Memory limit of the library: a damaged file can request any amount. */
let mostMemory = 0
const { grow } = WebAssembly.Memory.prototype
WebAssembly.Memory.prototype.grow = function (pages) {
  if (this.buffer.byteLength + pages * 65536 > mostMemory) throw new RangeError("too much memory")
  return grow.call(this, pages)
}

type Handle = InstanceType<typeof File>

/** Greatest compression ratio of Deflate; a data set that declares more data than this cannot be in its file. */
const mostInflation = 1100
/** Greatest number of events in a recording, and of groups searched for them. */
const [mostEvents, mostGroups] = [2 ** 26, 1000]

/** Finds the first group whose data sets are the columns of events. */
const eventsIn = (handle: Handle): ReadonlyMap<string, Dataset> => {
  const groups: Array<Group> = [handle]
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i] as Group
    if (i > mostGroups) break
    const members = group.keys().map((name) => [name, group.get(name)] as const)
    const found = new Map(
      members.flatMap(([name, member]) => {
        const column = columnOf(name)
        return column !== undefined && member instanceof Dataset ? [[column, member] as const] : []
      }),
    )
    if (found.size === columns.length) return found
    for (const [, member] of members) if (member instanceof Group) groups.push(member)
  }
  throw new Malformed(`no group of it has the columns of events, by the names ${columnNames}`)
}

const readEvents = async (handle: Handle, bytes: number): Promise<void> => {
  const found = eventsIn(handle)
  const arrays = columns.map((column) => {
    const { path, metadata } = found.get(column) as Dataset
    const { type, size, shape, signed } = metadata
    const read = readerOf(type, size, signed)
    if (read === undefined) throw new Malformed(`"${path}" does not hold numbers`)
    const [count = 0, ...others] = shape ?? []
    if (others.length > 0 || count < 1 || count > mostEvents || count * size > bytes * mostInflation)
      throw new Malformed(`"${path}" is of shape ${quote(shape)}, not a number for each of 1 … ${mostEvents} events`)
    const at = module._malloc(count * size)
    if (module.get_dataset_data(handle.file_id, path, null, null, null, BigInt(at)) !== 0)
      throw new Malformed(`"${path}" cannot be read`)
    const view = new DataView(module.HEAPU8.buffer)
    const values = Float64Array.from({ length: count }, (_, i) => read(view, at + i * size, true))
    module._free(at)
    return { values, isFloat: type === module.H5T_class_t.H5T_FLOAT.value }
  })
  const [x, , t] = arrays as [(typeof arrays)[number], unknown, (typeof arrays)[number]]
  if (arrays.some(({ values }) => values.length !== x.values.length))
    throw new Malformed(`its columns have ${arrays.map(({ values }) => values.length)} values`)
  await say(Uint32Array.of(x.values.length, t.isFloat ? 1 : 0), ...arrays.map(({ values }) => values))
}

const readFile = async (handle: Handle, task: Task): Promise<void> =>
  task.kind === "events" ? readEvents(handle, task.bytes) : readShd(handle, task)

const readShd = async (handle: Handle, { classes, bytes }: Extract<Task, { kind: "shd" }>): Promise<void> => {
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

  /** Returns a reader for one recording's array. */
  const arrays = (name: string) => {
    const { path, metadata, shape } = dataset(name)
    const base = metadata.type === module.H5T_class_t.H5T_VLEN.value ? metadata.vlen_type : undefined
    const { size = 0 } = base ?? {}
    const read = readerOf(base?.type, size, base?.signed ?? false)
    if (!base?.littleEndian || read === undefined)
      throw new Malformed(`"${name}" does not hold arrays of little-endian numbers`)
    if (shape?.[0] !== labels.length)
      throw new Malformed(`"${name}" has ${shape?.[0] ?? 1} entries for ${labels.length} labels`)
    let values = 0
    return (recording: number): Float64Array => {
      const failed = module.get_dataset_data(handle.file_id, path, [1n], [BigInt(recording)], [1n], BigInt(entry))
      if (failed !== 0) throw new Malformed(`"${name}" of recording ${recording} cannot be read`)
      const view = new DataView(module.HEAPU8.buffer)
      const start = view.getUint32(entry + 4, true)
      const length = view.getUint32(entry, true)
      // Entries may point to the same data, so the total is bounded by the size of the file.
      values += length
      if (values * size > bytes) throw new Malformed(`"${name}" promises more than the ${bytes} bytes of the file`)
      const array = Float64Array.from({ length }, (_, i) => read(view, start + i * size, true))
      module.reclaim_vlen_memory_count(handle.file_id, path, "", BigInt(entry), [1n])
      return array
    }
  }

  // An entry is an hvl_t: the number of values and their address in the library's memory.
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
    // The library is not cleaned up, because this process does not receive another file.
    const problem =
      error instanceof Malformed ? error.message : `not an HDF5 file, truncated or corrupt (${reasonOf(error)})`
    const text = Buffer.from(problem)
    await say(Uint32Array.of(fault, text.length), text)
  }
  await flush()
}

// If the parent exits while the library loops, a thread kills this process.
const watch = `const process = require("node:process"), { ppid } = process
  setInterval(() => process.ppid === ppid || process.kill(process.pid, "SIGKILL"), 1000)`
new Worker(watch, { eval: true }).unref()

process.on("message", serve)
process.on("disconnect", () => process.exit())
process.stdout.write(Uint8Array.of(1))
