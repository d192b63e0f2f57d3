/**
 * NumPy arrays: `.npy` files, which have a header in Python notation followed by the numbers, and `.npz` archives of them
 * (`numpy.lib.format`, versions 1 to 3). All real number types are converted to float64 in row-major order; integers beyond 2⁵³ are
 * rounded.
 */

import { Effect } from "effect"
import { argument, aString } from "../arguments.ts"
import { CheckpointError } from "../errors.ts"
import { type Shape, size } from "../shape.ts"
import { quote } from "../text.ts"
import { FileFault } from "./file-fault.ts"
import { numberReaders } from "./number-readers.ts"
import { type Entry, entriesOf } from "./zip.ts"

export { numberReaders }

/** An array from a file. */
export interface NumpyArray {
  readonly shape: Shape
  readonly values: Float64Array
  /** Number type in the file, such as `<f4`. */
  readonly dtype: string
}

const refuse = (reason: string): never => {
  throw new FileFault(reason)
}

const magic = [0x93, ...new TextEncoder().encode("NUMPY")]

/** A number in each element of an array: the only one, named `""`, or a field of a structured array. */
export interface Field {
  readonly name: string
  /** Number type in the file, such as `<f4`. */
  readonly dtype: string
  /** Byte offset within an element. */
  readonly offset: number
  /** Reads the number at a byte offset. */
  readonly read: (data: DataView, at: number) => number
}

/** The layout of an array in a `.npy` file. */
export interface Layout {
  readonly shape: Shape
  /** Whether elements are in column-major order. */
  readonly fortran: boolean
  readonly fields: ReadonlyArray<Field>
  /** Size of an element in bytes. */
  readonly elementBytes: number
  /** Byte offset of the first element. */
  readonly offset: number
}

/** Consecutive fields; fields of type `V` are padding. */
const fieldsOf = (parts: ReadonlyArray<readonly [name: string, dtype: string]>) => {
  const fields: Array<Field> = []
  let offset = 0
  for (const [name, dtype] of parts) {
    const kind = dtype.replace(/^[<>|=]/, "")
    const reader = numberReaders[kind]
    if (reader !== undefined)
      fields.push({ name, dtype, offset, read: (data, at) => reader(data, at, dtype[0] !== ">") })
    else if (name !== "" || kind[0] !== "V")
      return refuse(`its numbers are of the type ${quote(dtype)}; there are ${Object.keys(numberReaders)}`)
    offset += Number(kind.slice(1))
  }
  return { fields, elementBytes: offset }
}

/** Parses a header, which is a Python dict with three entries. */
const headerOf = (text: string) => {
  const plain = text.match(/'descr':\s*'([<>|=]?[a-zV]\d+)'/)?.[1]
  const structured = text.match(/'descr':\s*\[((?:\('[^']*',\s*'[<>|=]?[a-zV]\d+'\)[,\s]*)+)\]/)?.[1]
  const order = text.match(/'fortran_order':\s*(True|False)/)?.[1]
  const shape = text.match(/'shape':\s*\(([\d\s,L]*)\)/)?.[1]
  if ((plain ?? structured) === undefined || order === undefined || shape === undefined)
    return refuse(`its header is ${quote(text)}; it must name an array of plain numbers`)
  const parts = [...(structured ?? "").matchAll(/\('([^']*)',\s*'([^']*)'\)/g)].map(
    ([, name = "", dtype = ""]) => [name, dtype] as const,
  )
  const extents = shape.split(",").map((each) => each.replace("L", "").trim())
  return {
    ...fieldsOf(plain === undefined ? parts : [["", plain]]),
    fortran: order === "True",
    shape: extents.filter((each) => each !== "").map(Number),
  }
}

const layoutOf = (bytes: Uint8Array): Layout => {
  if (!magic.every((byte, i) => bytes[i] === byte)) return refuse("not a .npy file")
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const wide = (bytes[6] ?? 0) > 1
  const start = wide ? 12 : 10
  if (bytes.length < start) return refuse("it is cut off")
  const offset = start + (wide ? data.getUint32(8, true) : data.getUint16(8, true))
  if (offset > bytes.length) return refuse("it is cut off in its header")
  return { ...headerOf(new TextDecoder("latin1").decode(bytes.subarray(start, offset))), offset }
}

/** Converts column-major to row-major order. */
const byRows = (values: Float64Array, shape: Shape): Float64Array => {
  const out = new Float64Array(values.length)
  const steps = shape.map((_, axis) => size(shape.slice(0, axis)))
  const place = shape.map(() => 0)
  for (let i = 0; i < out.length; i++) {
    out[i] = values[place.reduce((sum, index, axis) => sum + index * (steps[axis] as number), 0)] as number
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place[axis] = ((place[axis] as number) + 1) % (shape[axis] as number)
      if (place[axis] !== 0) break
    }
  }
  return out
}

/** The numbers of each field. */
const decodeEach = (bytes: Uint8Array): ReadonlyMap<string, NumpyArray> => {
  const { shape, fortran, fields, elementBytes, offset: begin } = layoutOf(bytes)
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const count = size(shape)
  if (!(begin + count * elementBytes <= bytes.length))
    return refuse(`it is cut off: an array of [${shape}] needs more bytes`)
  return new Map(
    fields.map(({ name, dtype, offset, read }) => {
      const values = new Float64Array(count)
      for (let i = 0; i < count; i++) values[i] = read(data, begin + i * elementBytes + offset)
      return [name, { shape, values: fortran && shape.length > 1 ? byRows(values, shape) : values, dtype }]
    }),
  )
}

const decodeArray = (bytes: Uint8Array): NumpyArray =>
  decodeEach(bytes).get("") ?? refuse("it is a structured array; one of plain numbers is read here")

/** The largest ratio of decompressed to compressed bytes; Deflate's limit is about 1000. */
const mostInflation = 1100

/** The largest total size of an archive's arrays in bytes, because they are held in memory. */
const mostUnpacked = 2 ** 32

const inflate = async ({ bytes, method, size: length }: Entry): Promise<Uint8Array> => {
  if (method === 0) return bytes
  if (method !== 8 || length > bytes.length * mostInflation)
    return refuse("an entry is compressed in a way that NumPy does not write")
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream("deflate-raw"))
  const out = new Uint8Array(length)
  let at = 0
  for await (const piece of stream as unknown as AsyncIterable<Uint8Array>) {
    if (at + piece.length > length) return refuse("an entry is longer than the archive says")
    out.set(piece, at)
    at += piece.length
  }
  return at === length ? out : refuse("an entry is shorter than the archive says")
}

const guarded = <A>(given: string, read: () => Promise<A>): Effect.Effect<A, CheckpointError> =>
  Effect.suspend(() => ofFile(argument(given, aString, "Numpy", "file"), read))

const ofFile = <A>(file: string, read: () => Promise<A>): Effect.Effect<A, CheckpointError> =>
  Effect.tryPromise({
    try: read,
    catch: (error) =>
      new CheckpointError({
        file,
        reason: error instanceof FileFault ? error.reason : "a compressed entry is corrupt",
      }),
  })

/**
 * Reads a `.npy` file. `file` is its name for error messages. Fails with a CheckpointError.
 *
 * @example
 * const { shape, values } = yield* Numpy.decode(array, "spikes.npy")
 */
export const decode = (bytes: Uint8Array, file: string): Effect.Effect<NumpyArray, CheckpointError> =>
  guarded(file, async () => decodeArray(bytes))

/**
 * Reads a structured array from a `.npy` file, by field, such as events stored as `[("t", "<i8"), ("x", "<u2")]`. A plain array has
 * one field, named `""`. Fails with a CheckpointError.
 *
 * @example
 * const fields = yield* Numpy.decodeFields(array, "events.npy")
 * const times = fields.get("t")?.values
 */
export const decodeFields = (
  bytes: Uint8Array,
  file: string,
): Effect.Effect<ReadonlyMap<string, NumpyArray>, CheckpointError> => guarded(file, async () => decodeEach(bytes))

/**
 * Reads the layout of a `.npy` file from its first bytes, for files that are read in parts. Fails with a CheckpointError.
 *
 * @example
 * const { shape, offset, elementBytes } = yield* Numpy.layout(array.subarray(0, 128), "inputs.npy")
 */
export const layout = (start: Uint8Array, file: string): Effect.Effect<Layout, CheckpointError> =>
  guarded(file, async () => layoutOf(start))

/** The `.npy` files in a `.npz` file, by array name: all, or the `wanted` ones. Others are not decompressed. Fails with a CheckpointError. */
export const unpack = (
  bytes: Uint8Array,
  file: string,
  wanted: (name: string) => boolean = () => true,
): Effect.Effect<ReadonlyMap<string, Uint8Array>, CheckpointError> =>
  guarded(file, async () => {
    const files = new Map<string, Uint8Array>()
    let [packed, unpacked] = [0, 0]
    for (const [path, entry] of entriesOf(bytes)) {
      const name = path.slice(0, -".npy".length)
      if (!path.endsWith(".npy") || !wanted(name)) continue
      packed += entry.bytes.length
      unpacked += entry.size
      if (packed > bytes.length) return refuse("its entries overlap")
      if (unpacked > mostUnpacked) return refuse("its arrays take more than 4 GiB: save them as .npy files")
      files.set(name, await inflate(entry))
    }
    return files
  })

/** Reads the arrays of a `.npz` file, by name. Fails with a CheckpointError. */
export const decodeArchive = (
  bytes: Uint8Array,
  file: string,
): Effect.Effect<ReadonlyMap<string, NumpyArray>, CheckpointError> =>
  Effect.flatMap(unpack(bytes, file), (files) =>
    guarded(file, async () => new Map([...files].map(([name, each]) => [name, decodeArray(each)]))),
  )
