/**
 * Files of `torch.save`: a ZIP archive of a pickle and one entry per storage or, before PyTorch 1.6, a sequence of pickles followed
 * by the storages. They are read as data ({@link unpickle}); no code of a file is executed.
 */

import { Effect } from "effect"
import { argument, aString, someBytes } from "../arguments.ts"
import { CheckpointError } from "../errors.ts"
import { type Shape, size } from "../shape.ts"
import { named, quote } from "../text.ts"
import { FileFault } from "./file-fault.ts"
import { type Names, unpickle } from "./pickle.ts"
import type { StoredTensor } from "./safetensors.ts"
import { conversions, numbers } from "./tensor-numbers.ts"
import { storedFiles } from "./zip.ts"

/** The storage classes of `torch`, with the number type in safetensors' notation and its size in bytes. */
const types = {
  FloatStorage: ["F32", 4],
  DoubleStorage: ["F64", 8],
  HalfStorage: ["F16", 2],
  BFloat16Storage: ["BF16", 2],
  LongStorage: ["I64", 8],
  IntStorage: ["I32", 4],
  ShortStorage: ["I16", 2],
  CharStorage: ["I8", 1],
  ByteStorage: ["U8", 1],
  BoolStorage: ["BOOL", 1],
  ComplexFloatStorage: ["C64", 8],
  ComplexDoubleStorage: ["C128", 16],
} as const

class StorageType {
  readonly dtype: string
  readonly bytes: number
  constructor([dtype, bytes]: readonly [string, number]) {
    this.dtype = dtype
    this.bytes = bytes
  }
}

interface Storage {
  readonly type: StorageType
  readonly key: string
  /** Number of elements. */
  readonly length: number
}

/** A view of a storage. */
class Tensor {
  readonly storage: Storage
  readonly offset: number
  readonly shape: Shape
  readonly strides: ReadonlyArray<number>
  constructor(storage: Storage, offset: number, shape: Shape, strides: ReadonlyArray<number>) {
    this.storage = storage
    this.offset = offset
    this.shape = shape
    this.strides = strides
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const areCounts = (value: unknown): value is ReadonlyArray<number> => Array.isArray(value) && value.every(isCount)
const refuse = (reason: string): never => {
  throw new FileFault(reason, 0)
}

const rebuildTensor = (storage: unknown, offset: unknown, shape: unknown, strides: unknown): Tensor => {
  const { type, length } = Object(storage) as Partial<Storage>
  if (!(type instanceof StorageType && isCount(length) && isCount(offset) && areCounts(shape) && areCounts(strides)))
    return refuse("it has a tensor with other arguments than PyTorch writes")
  const last = shape.reduce((sum, extent, axis) => sum + (extent - 1) * (strides[axis] ?? 0), offset)
  if (shape.length !== strides.length || size(shape) > length || (size(shape) > 0 && last >= length))
    return refuse(`it has a tensor of [${shape}] that goes beyond its storage of ${length} numbers`)
  return new Tensor(storage as Storage, offset, shape, strides)
}

const ordered = (items: unknown): Map<unknown, unknown> =>
  new Map(Array.isArray(items) ? items.map((item) => [Object(item)[0], Object(item)[1]] as const) : [])

const globals: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ...Object.entries(types).map(([name, type]) => [`torch.${name}`, new StorageType(type)] as const),
  ["collections.OrderedDict", ordered],
  ["torch._utils._rebuild_tensor", rebuildTensor],
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  ["torch._utils._rebuild_parameter", (tensor: unknown) => tensor],
  ["torch.Size", (extents: unknown) => extents],
  ["torch.device", (...args: ReadonlyArray<unknown>) => args],
])

const names: Names = {
  globals,
  persistent: (id) => {
    const [kind, type, key, , length] = Array.isArray(id) ? id : []
    if (kind !== "storage" || !(type instanceof StorageType) || typeof key !== "string" || !isCount(length))
      return refuse("it refers to data that are no storage")
    return { type, key, length } satisfies Storage
  },
}

/** The value of a file, and the data of its storages by key. */
interface Contents {
  readonly value: unknown
  readonly storages: ReadonlyMap<string, Uint8Array>
}

const zipped = (bytes: Uint8Array): Contents => {
  const files = storedFiles(bytes)
  const pickle = [...files.keys()].find((path) => /(^|\/)data\.pkl$/.test(path))
  if (pickle === undefined) return refuse("it is a ZIP archive without data.pkl")
  const folder = pickle.slice(0, -"data.pkl".length)
  const order = files.get(`${folder}byteorder`)
  if (order !== undefined && new TextDecoder().decode(order) !== "little")
    return refuse("its numbers are big-endian; save it on a little-endian machine")
  const storages = new Map(
    [...files].flatMap(([path, own]) =>
      path.startsWith(`${folder}data/`) ? [[path.slice(folder.length + "data/".length), own] as const] : [],
    ),
  )
  return { value: unpickle(files.get(pickle) as Uint8Array, 0, names).value, storages }
}

/** The first pickle of the older format: a 10-byte magic number. */
const older = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]

const sequential = (bytes: Uint8Array): Contents => {
  let at = older.length
  const lengths = new Map<string, Storage>()
  const next = () => {
    const { value, end } = unpickle(bytes, at, {
      ...names,
      persistent: (id) => {
        const storage = names.persistent(id) as Storage
        lengths.set(storage.key, storage)
        return storage
      },
    })
    at = end
    return value
  }
  // Protocol version and system information.
  next()
  next()
  const value = next()
  const keys = next()
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const storages = new Map<string, Uint8Array>()
  for (const key of Array.isArray(keys) ? keys : []) {
    const storage = lengths.get(key)
    if (storage === undefined || at + 8 > bytes.length) return refuse("it is cut off before its storages end")
    const count = Number(data.getBigUint64(at, true))
    const end = at + 8 + count * storage.type.bytes
    if (end > bytes.length) return refuse("it is cut off before its storages end")
    storages.set(key, bytes.subarray(at + 8, end))
    at = end
  }
  return { value, storages }
}

/** Common keys for a state dict within a checkpoint, most likely first. */
const wrappers = [
  "state_dict",
  "model_state_dict",
  "model_state",
  "model",
  "net",
  "network",
  "module",
  "weights",
  "params",
]

const tensorsOf = (value: unknown): ReadonlyMap<string, Tensor> =>
  new Map(
    value instanceof Map
      ? [...value].filter((each): each is [string, Tensor] => typeof each[0] === "string" && each[1] instanceof Tensor)
      : [],
  )

/** The state dict that a value is or contains. */
const stateDict = (value: unknown): ReadonlyMap<string, Tensor> => {
  const own = tensorsOf(value)
  if (own.size > 0 || !(value instanceof Map)) return own
  const inner = [...value].map(([key, each]) => [key, tensorsOf(each)] as const).filter(([, each]) => each.size > 0)
  const usual = wrappers.map((key) => inner.find(([name]) => name === key)).find((each) => each !== undefined)
  if (usual === undefined && inner.length > 1)
    return refuse(
      `it has several dicts of tensors, ${inner.map(([key]) => quote(key)).join(", ")}; save the one that is meant`,
    )
  return (usual ?? inner[0])?.[1] ?? own
}

/** Prefixes that `DataParallel` and `torch.compile` add to all names. */
const prefixes = ["module.", "_orig_mod."]

const withoutPrefix = (tensors: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> => {
  const prefix = prefixes.find((each) => [...tensors.keys()].every((name) => name.startsWith(each)))
  if (prefix === undefined || tensors.size === 0) return tensors
  return withoutPrefix(new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor])))
}

const isContiguous = ({ shape, strides }: Tensor): boolean => {
  let expected = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false
    expected *= shape[axis] as number
  }
  return true
}

/** The elements of a view, in the order of its axes. */
const gather = ({ offset, shape, strides }: Tensor, values: Float32Array): Float32Array => {
  let places = [offset]
  shape.forEach((extent, axis) => {
    const stride = strides[axis] as number
    places = places.flatMap((place) => Array.from({ length: extent }, (_, i) => place + i * stride))
  })
  return Float32Array.from(places, (place) => values[place] as number)
}

const read = (name: string, tensor: Tensor, storages: Contents["storages"]): StoredTensor => {
  const { storage, offset, shape } = tensor
  const { dtype, bytes } = storage.type
  if (!conversions.has(dtype)) return { shape, values: new Float32Array(), unsupported: dtype }
  const data = storages.get(storage.key)
  if (data === undefined || data.length < storage.length * bytes)
    return refuse(`the numbers of tensor ${named(name)} are not whole in it`)
  if (isContiguous(tensor)) return { shape, values: numbers(dtype, data, offset * bytes, size(shape)) }
  return { shape, values: gather(tensor, numbers(dtype, data, 0, storage.length)) }
}

const decode = (bytes: Uint8Array): ReadonlyMap<string, StoredTensor> => {
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b
  if (!isZip && !older.every((byte, i) => bytes[i] === byte)) return refuse("not a file of torch.save")
  const { value, storages } = isZip ? zipped(bytes) : sequential(bytes)
  const tensors = withoutPrefix(stateDict(value))
  if (tensors.size === 0) return refuse("it holds no state dict; save model.state_dict()")
  const total = [...tensors.values()].reduce((sum, { shape }) => sum + size(shape), 0)
  if (total > bytes.length) return refuse(`its tensors have ${total} numbers, more than the file has bytes`)
  return new Map([...tensors].map(([name, tensor]) => [name, read(name, tensor, storages)]))
}

/** Whether bytes look like a file of `torch.save`, by their first bytes. */
export const isTorchFile = (bytes: Uint8Array): boolean =>
  bytes instanceof Uint8Array &&
  ((bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3) || older.every((byte, i) => bytes[i] === byte))

/**
 * Reads the tensors of a `.pt` or `.pth` file: a state dict, either at the top or under a common key (`state_dict`, `model`, `net`
 * …). Removes the prefixes that `DataParallel` and `torch.compile` add to names. `file` is the file's name for error messages. No
 * code of a file is executed. Fails with a CheckpointError, which names the class if a file contains objects of other classes.
 *
 * @example
 * const tensors = yield* PyTorch.decode(checkpoint, "model.pth")
 * const weight = tensors.get("0.weight")
 */
export const decodeTorchFile = (
  bytes: Uint8Array,
  file: string,
): Effect.Effect<ReadonlyMap<string, StoredTensor>, CheckpointError> =>
  Effect.try({
    try: () => decode(argument(bytes, someBytes, "PyTorch.decode")),
    catch: (error) => {
      argument(file, aString, "PyTorch.decode", "file")
      if (!(error instanceof FileFault)) throw error
      return new CheckpointError({ file, reason: error.reason })
    },
  })
