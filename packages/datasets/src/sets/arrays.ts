/**
 * NumPy arrays: inputs and targets in `.npy` files or one `.npz` file, named `x` and `y` (or `inputs`, `data`; `targets`, `labels`). The
 * suffixes `_train` and `_test`, or files `train.npz` and `test.npz`, define a split.
 *
 * | inputs                   |                                                     |
 * |--------------------------|-----------------------------------------------------|
 * | [N, features]            | static                                              |
 * | [N, T, features]         | one frame per time step                             |
 * | [N, height, width, C]    | static images, channels last                        |
 * | [N, T, height, width, C] | image frames                                        |
 *
 * With `encoding: "static"`, [N, height, width] are grey images.
 *
 * | targets                              |                                                                     |
 * |--------------------------------------|---------------------------------------------------------------------|
 * | integers [N] or [N, 1]               | one class per sample                                                |
 * | integers [N, T]                      | one class per time step; −1 and −100 are ignored                    |
 * | floats [N] or [N, outputs]           | real numbers per sample                                             |
 * | floats [N, T, outputs]               | real numbers per time step                                          |
 *
 * Values are not scaled. `.npy` files of inputs above 1 GiB are read sample by sample.
 */
import { decode, type Layout, layout, unpack } from "@spikeroute/core/numpy"
import { quote } from "@spikeroute/core/text"
import { Effect, FileSystem, Path } from "effect"
import { batchProblem } from "../checks.ts"
import type { Dataset, Sample, Split, Targets } from "../dataset.ts"
import { type DatasetError, MalformedFile, MissingFile, OptionError } from "../errors.ts"
import { drawSplit } from "../files/class-folders.ts"
import { isFolder, listMatching, searched } from "../files/locate.ts"
import { readBytes, readPart, sizeOf } from "../files/read.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "arrays"

/** Greatest size of a file that is held in memory, and of an array's header, in bytes. */
const [mostHeld, mostHeader] = [2 ** 30, 2 ** 16]
const mostBytes = 2 ** 42

/** A stored array: in a file of its own, or decompressed from an archive. */
interface Stored {
  readonly file: string
  readonly bytes?: Uint8Array
}

type Role = "x" | "y"
type Part = "train" | "test" | ""

const roles: Readonly<Record<Role, RegExp>> = {
  x: /^(x|inputs?|data|features)$/,
  y: /^(y|targets?|labels?)$/,
}

/** Role and part of an array by its name: "x_train", "test-labels", "y". */
const roleOf = (given: string): readonly [Role, Part] | undefined => {
  const [, before = "", base = "", behind = ""] =
    /^(?:(train|test)[_-])?(.*?)(?:[_-](train|test))?$/.exec(given.toLowerCase()) ?? []
  const role = (["x", "y"] as const).find((each) => roles[each].test(base))
  return role === undefined ? undefined : [role, (before || behind) as Part]
}

/** The arrays of a directory or archive, by role and part: "x", "xtrain". */
const arraysIn = Effect.fnUntraced(function* (place: string) {
  const path = yield* Path.Path
  const files = /\.npz$/i.test(place) && !(yield* isFolder(place)) ? [place] : yield* listMatching(place, /\.np[yz]$/i)
  const found = new Map<string, Stored>()
  const add = (given: string, part: string, stored: Stored) => {
    const [role, own] = roleOf(given) ?? []
    if (role !== undefined) found.set(`${role}${own || part}`, stored)
  }
  for (const file of files) {
    const stem = path.basename(file).replace(/\.np[yz]$/i, "")
    if (/\.npy$/i.test(file)) add(stem, "", { file })
    else {
      const part = /^(train|test)$/i.exec(stem)?.[0].toLowerCase() ?? ""
      const isUsed = (each: string) => roleOf(each) !== undefined
      const packed = yield* readBytes(file, mostHeld)
      const held = yield* Effect.mapError(unpack(packed, file, isUsed), MalformedFile.at(file))
      for (const [each, bytes] of held) add(each, part, { file: `${file}: ${each}`, bytes })
    }
  }
  return found
})

/** Rows of an array as float32. */
interface Rows {
  readonly file: string
  readonly count: number
  readonly shape: ReadonlyArray<number>
  /** Writes row `index`; `place` maps an element of the row to its index in `out`. */
  readonly read: (
    index: number,
    out: Float32Array,
    place: (element: number) => number,
  ) => Effect.Effect<void, DatasetError, FileSystem.FileSystem>
}

const rowsOf = Effect.fnUntraced(function* ({ file, bytes }: Stored) {
  const length = bytes?.length ?? (yield* sizeOf(file))
  if (length > mostBytes)
    return yield* new MalformedFile({ file, problem: `it has ${length} bytes; at most ${mostBytes} are read` })
  const whole = bytes ?? (length <= mostHeld ? yield* readBytes(file, mostHeld) : undefined)
  const start = whole ?? (yield* readPart(file, 0, Math.min(length, mostHeader)))
  const { shape, fortran, fields, elementBytes, offset }: Layout = yield* Effect.mapError(
    layout(start, file),
    MalformedFile.at(file),
  )
  const fail = (problem: string) => new MalformedFile({ file, problem })
  const [field] = fields
  const [count = 0, ...row] = shape
  const size = row.reduce((product, side) => product * side, 1)
  if (field === undefined || fields.length > 1)
    return yield* fail("it is a structured array; one of plain numbers is read here")
  if (fortran && shape.length > 1)
    return yield* fail("it is stored by columns (Fortran order); save it with numpy.ascontiguousarray")
  if (!(count >= 1 && size >= 1 && Number.isSafeInteger(count * size)))
    return yield* fail(`it is of shape [${shape}]: it holds no sample`)
  if (offset + count * size * elementBytes > length)
    return yield* fail(`it is cut off: an array of [${shape}] needs more bytes`)
  const rowBytes = size * elementBytes
  const read: Rows["read"] = (index, out, place) => {
    const at = offset + index * rowBytes
    const take = (own: Uint8Array, from: number) => {
      const data = new DataView(own.buffer, own.byteOffset, own.byteLength)
      for (let i = 0; i < size; i++) {
        const value = field.read(data, from + i * elementBytes)
        const to = place(i)
        out[to] = value
        if (!Number.isFinite(out[to]))
          return Effect.fail(
            fail(`element ${i} of sample ${index} is ${value}, which is not a finite number of float32`),
          )
      }
      return Effect.void
    }
    return whole === undefined
      ? Effect.flatMap(readPart(file, at, at + rowBytes), (own) => take(own, 0))
      : Effect.suspend(() => take(whole, at))
  }
  return { file, count, shape: row, read } satisfies Rows
})

/** Targets, held in memory. */
interface Told {
  readonly file: string
  readonly shape: ReadonlyArray<number>
  readonly values: Float64Array
  readonly areClasses: boolean
}

const toldOf = Effect.fnUntraced(function* ({ file, bytes }: Stored) {
  const found = yield* Effect.mapError(
    decode(bytes ?? (yield* readBytes(file, mostHeld)), file),
    MalformedFile.at(file),
  )
  const areClasses = !found.dtype.includes("f")
  const [count = 0, ...all] = found.shape
  const shape = `${all}` === "1" ? [] : all
  const values = areClasses ? found.values.map((value) => (value === -100 ? -1 : value)) : found.values
  const wrong = values.findIndex((value) => !Number.isFinite(Math.fround(value)) || (areClasses && value < -1))
  if (wrong >= 0) {
    const sample = Math.floor((wrong * count) / values.length)
    return yield* new MalformedFile({ file, problem: `the target of sample ${sample} is ${values[wrong]}` })
  }
  return { file, shape, values, areClasses } satisfies Told
})

/** The kind of the targets, and the number of classes or outputs. */
const kindOf = Effect.fnUntraced(function* (told: ReadonlyArray<Told>, timeSteps: number) {
  const [{ file, shape, areClasses }] = told as readonly [Told]
  const refuse = (problem: string, at = file) => new MalformedFile({ file: at, problem })
  const other = told.find((each) => each.areClasses !== areClasses || `${each.shape}` !== `${shape}`)
  if (other !== undefined) return yield* refuse(`its targets differ in type or shape from those of ${file}`, other.file)
  if (!areClasses) {
    const [first = 1, second, ...more] = shape
    if (more.length > 0 || (second !== undefined && first !== timeSteps))
      return yield* refuse(
        `its numbers are of shape [N, ${shape}]; they are [N, outputs], or [N, ${timeSteps}, outputs] with one for each time step`,
      )
    return second === undefined
      ? { targets: "numbers" as Targets, classes: first }
      : { targets: "numbersPerStep" as Targets, classes: second }
  }
  const isOne = shape.length === 0
  if (!isOne && !(shape.length === 1 && shape[0] === timeSteps))
    return yield* refuse(
      `its classes are of shape [N, ${shape}]; they are [N], or [N, ${timeSteps}] with one for each time step`,
    )
  if (isOne)
    for (const { file, values } of told) {
      const none = values.indexOf(-1)
      if (none >= 0) return yield* refuse(`the class of sample ${none} is -1`, file)
    }
  const most = told.reduce((most, { values }) => values.reduce((a, b) => Math.max(a, b), most), 0)
  if (most >= 2 ** 16) return yield* refuse(`it has the class ${quote(most)}; classes are counted from 0, up to 65,535`)
  return { targets: (isOne ? "class" : "classPerStep") as Targets, classes: most + 1 }
})

/** Shape and encoding of a sample, from the shape of a row and the options. */
const sampleShape = Effect.fnUntraced(function* ({ file, shape }: Rows, { encoding, timeSteps }: OpenOptions) {
  const frames = (encoding ?? (shape.length === 2 || shape.length === 4 ? "frames" : "static")) === "frames"
  const [steps, ...rest] = frames ? shape : [timeSteps, ...shape]
  const refuse = (problem: string) => new MalformedFile({ file, problem })
  if (frames && steps !== timeSteps) {
    const expected = `${steps}, the time axis of ${quote(file)}; where that is no axis of time, --encoding static`
    return yield* new OptionError({ owner: name, option: "timeSteps", value: timeSteps, expected })
  }
  if (rest.length > 3)
    return yield* refuse(`its samples have ${rest.length} axes; at most height, width and channels are read`)
  const own = rest.length === 0 ? [1] : rest.length === 2 ? [...rest, 1] : rest
  return { shape: own, encoding: frames ? "frames" : "static" } as const
})

/** Number of samples of a batch that are read from a file at once. */
const concurrency = 8

const splitOf = (
  { shape, encoding, targets, classes }: Required<Pick<Sample, "shape" | "encoding" | "targets" | "classes">>,
  timeSteps: number,
  rows: Rows,
  told: Told,
  picked: ArrayLike<number>,
  fs: FileSystem.FileSystem,
): Split => {
  const size = shape.reduce((product, side) => product * side, 1)
  const steps = encoding === "frames" ? timeSteps : 1
  const at = (index: number) => picked[index] as number
  return {
    size: picked.length,
    label: (index) => (targets === "class" ? (told.values[at(index)] as number) : -1),
    writeTargets: (samples, out) => {
      const each = targets.startsWith("class") ? 1 : classes
      const own = targets.endsWith("PerStep") ? timeSteps : 1
      for (let n = 0; n < samples.length; n++)
        for (let t = 0; t < own; t++)
          for (let k = 0; k < each; k++)
            out[(t * samples.length + n) * each + k] = told.values[
              (at(samples[n] as number) * own + t) * each + k
            ] as number
    },
    write: (samples, keys, out) => {
      const problem = batchProblem(picked.length, samples, keys, out, size, steps)
      if (problem !== undefined) return Effect.fail(problem)
      const count = samples.length
      const readOne = (sample: number, n: number) =>
        rows.read(at(sample), out, (i) => (Math.floor(i / size) * count + n) * size + (i % size))
      return Effect.forEach(Array.from(samples), readOne, { concurrency, discard: true }).pipe(
        Effect.provideService(FileSystem.FileSystem, fs),
      )
    },
  }
}

/** The data set. */
export const arrays: Source = {
  description: "NumPy arrays: inputs and targets in .npy or .npz files",
  options: ["split", "encoding"],
  augment: "never",
  open: Effect.fnUntraced(function* (options: OpenOptions) {
    const fs = yield* FileSystem.FileSystem
    const { timeSteps } = options
    const { dataDir } = options
    const isArchive = dataDir !== undefined && /\.npz$/i.test(dataDir) && !(yield* isFolder(dataDir))
    const places = isArchive ? [dataDir] : yield* searched(name, options)
    let found: ReadonlyMap<string, Stored> = new Map()
    for (const place of places) {
      if (found.size > 0) break
      found = yield* arraysIn(place)
    }
    const parts = found.has("xtrain") ? (["train", "test"] as const) : ([""] as const)
    for (const part of parts)
      for (const role of ["x", "y"])
        if (!found.has(`${role}${part}`)) {
          const wanted = part === "" ? `${role}.npy` : `${role}_${part}.npy`
          const advice =
            "name a directory of .npy files, or a .npz file, as --data-dir: x and y, or x_train, y_train, x_test and y_test"
          return yield* new MissingFile({ dataset: name, wanted: [wanted], searched: places, advice })
        }
    const rows = yield* Effect.forEach(parts, (part) => rowsOf(found.get(`x${part}`) as Stored))
    const told = yield* Effect.forEach(parts, (part) => toldOf(found.get(`y${part}`) as Stored))
    for (const [i, { file, count, shape }] of rows.entries()) {
      const own = told[i] as Told
      const targets = own.values.length / own.shape.reduce((product, side) => product * side, 1)
      if (targets !== count)
        return yield* new MalformedFile({ file, problem: `it has ${count} samples, and ${own.file} has ${targets}` })
      if (`${shape}` !== `${rows[0]?.shape}`)
        return yield* new MalformedFile({
          file,
          problem: `its samples are of shape [${shape}], those of ${rows[0]?.file} of [${rows[0]?.shape}]`,
        })
    }
    const sample = { ...(yield* sampleShape(rows[0] as Rows, options)), ...(yield* kindOf(told, timeSteps)) }
    const [first, second = first] = rows as unknown as readonly [Rows, Rows?]
    const [firstTold, secondTold = firstTold] = told as unknown as readonly [Told, Told?]
    const all = (count: number) => Uint32Array.from({ length: count }, (_, i) => i)
    const picked =
      parts.length > 1 ? { train: all(first.count), test: all(second.count) } : drawSplit(first.count, options)
    return {
      name,
      ...sample,
      train: splitOf(sample, timeSteps, first, firstTold, picked.train, fs),
      test: splitOf(sample, timeSteps, second, secondTold, picked.test, fs),
    } satisfies Dataset
  }),
}
