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
import { half } from "./tensor-numbers.ts"
import { type Entry, entriesOf } from "./zip.ts"

/** An array from a file. */
export interface NumpyArray {
  readonly shape: Shape
  readonly values: Float64Array
  /** Number type in the file, such as `<f4`. */
  readonly dtype: string
}

type Read = (data: DataView, at: number, little: boolean) => number

/** Readers of numbers, by kind (float, int, unsigned, boolean) and size in bytes, such as `f4`. */
export const numberReaders: Readonly<Record<string, Read>> = {
  f2: (data, at, little) => half(data.getUint16(at, little)),
  f4: (data, at, little) => data.getFloat32(at, little),
  f8: (data, at, little) => data.getFloat64(at, little),
  i1: (data, at) => data.getInt8(at),
  i2: (data, at, little) => data.getInt16(at, little),
  i4: (data, at, little) => data.getInt32(at, little),
  i8: (data, at, little) => Number(data.getBigInt64(at, little)),
  u1: (data, at) => data.getUint8(at),
  u2: (data, at, little) => data.getUint16(at, little),
  u4: (data, at, little) => data.getUint32(at, little),
  u8: (data, at, little) => Number(data.getBigUint64(at, little)),
  b1: (data, at) => data.getUint8(at),
}

const refuse = (reason: string): never => {
  throw new FileFault(reason)
}

const magic = [0x93, ...new TextEncoder().encode("NUMPY")]

/** Parses a header, which is a Python dict with three entries. */
const headerOf = (text: string): { dtype: string; fortran: boolean; shape: Shape } => {
  const dtype = text.match(/'descr':\s*'([<>|=]?[a-z]\d+)'/)?.[1]
  const order = text.match(/'fortran_order':\s*(True|False)/)?.[1]
  const shape = text.match(/'shape':\s*\(([\d\s,L]*)\)/)?.[1]
  if (dtype === undefined || order === undefined || shape === undefined)
    return refuse(`its header is ${quote(text)}; it must name an array of plain numbers`)
  const extents = shape.split(",").map((each) => each.replace("L", "").trim())
  return { dtype, fortran: order === "True", shape: extents.filter((each) => each !== "").map(Number) }
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

const decodeArray = (bytes: Uint8Array): NumpyArray => {
  if (!magic.every((byte, i) => bytes[i] === byte)) return refuse("it is no .npy file")
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const wide = (bytes[6] ?? 0) > 1
  const start = wide ? 12 : 10
  if (bytes.length < start) return refuse("it is cut off")
  const begin = start + (wide ? data.getUint32(8, true) : data.getUint16(8, true))
  if (begin > bytes.length) return refuse("it is cut off in its header")
  const { dtype, fortran, shape } = headerOf(new TextDecoder("latin1").decode(bytes.subarray(start, begin)))
  const kind = dtype.replace(/^[<>|=]/, "")
  const read =
    numberReaders[kind] ??
    refuse(`its numbers are of the type ${quote(dtype)}; there are ${Object.keys(numberReaders)}`)
  const width = Number(kind.slice(1))
  const count = size(shape)
  if (!(begin + count * width <= bytes.length)) return refuse(`it is cut off: an array of [${shape}] needs more bytes`)
  const values = new Float64Array(count)
  for (let i = 0; i < count; i++) values[i] = read(data, begin + i * width, dtype[0] !== ">")
  return { shape, values: fortran && shape.length > 1 ? byRows(values, shape) : values, dtype }
}

/** The largest ratio of decompressed to compressed bytes; Deflate's limit is about 1000. */
const mostInflation = 1100

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

/** Reads the arrays of a `.npz` file, by name. Fails with a CheckpointError. */
export const decodeArchive = (
  bytes: Uint8Array,
  file: string,
): Effect.Effect<ReadonlyMap<string, NumpyArray>, CheckpointError> =>
  guarded(file, async () => {
    const arrays = new Map<string, NumpyArray>()
    for (const [path, entry] of entriesOf(bytes))
      if (path.endsWith(".npy")) arrays.set(path.slice(0, -".npy".length), decodeArray(await inflate(entry)))
    return arrays
  })
