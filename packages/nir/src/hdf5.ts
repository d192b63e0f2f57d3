/** NIR documents in HDF5 files, read and written with the HDF5 library compiled to WebAssembly, which is loaded on first use. */

import { Numpy, Options } from "@spikeroute/core"
import { line, quote } from "@spikeroute/core/text"
import { Effect } from "effect"
import type { Dataset, File, Group } from "h5wasm"
import {
  aDocument,
  type Document,
  type Metadata,
  NirError,
  type NirNode,
  type Numbers,
  type Value,
} from "./document.ts"

type Library = typeof import("h5wasm")

const loadLibrary = async (): Promise<Library> => {
  const library = await import("h5wasm")
  const module = await library.ready
  // Otherwise the library prints its errors.
  module.activate_throwing_error_handler()
  return library
}

let library: Promise<Library> | undefined

const plugins = new Set<string>()

/**
 * Adds support for files compressed with a filter that is not built into HDF5.
 *
 * @param name name of the filter, such as `zstd`
 * @param bytes its h5wasm plug-in, as provided by the package h5wasm-plugins
 */
export const addFilter = async (name: string, bytes: Uint8Array): Promise<void> => {
  Options.argument(name, Options.aString, "addFilter", "name")
  Options.argument(bytes, Options.someBytes, "addFilter", "bytes")
  library ??= loadLibrary()
  const { Module: module } = await library
  const [folder = ""] = module.get_plugin_search_paths()
  module.FS.mkdirTree(folder)
  module.FS.writeFile(`${folder}/libH5Z${name}.so`, bytes)
  plugins.add(name)
}

/** Deflate compresses to about 1/1000 at best; a file that declares more data than that is rejected. */
const mostInflation = 1100
/** Limits of nesting and of the number of nodes. */
const deepest = 32
const mostNodes = 100_000

const refuse = (node: string, reason: string): never => {
  throw new NirError({ node, reason })
}

/** The largest id of the built-in filters: deflate, shuffle, checksum, szip, nbit, scale-offset. */
const builtIn = 6

/** Reads one file; `left` limits the total bytes that its data sets declare. */
class Reader {
  nodes = 0
  constructor(
    readonly library: Library,
    readonly file: File,
    public left: number,
  ) {}

  private metadataOf(dataset: Dataset, path: string) {
    const { metadata } = dataset
    const shape = metadata.shape ?? []
    const bytes = shape.reduce((product, extent) => product * Number(extent), metadata.size)
    this.left -= bytes
    if (!(this.left >= 0)) refuse(path, `it declares ${bytes} bytes, more than the file can hold`)
    for (const { id, name } of dataset.filters)
      if (id > builtIn && !plugins.has(name))
        refuse(path, `it is compressed by ${quote(name)}, which needs a plug-in: see addFilter`)
    return metadata
  }

  texts(dataset: Dataset, path: string): ReadonlyArray<string> {
    const { type } = this.metadataOf(dataset, path)
    if (type !== this.library.Module.H5T_class_t.H5T_STRING.value) refuse(path, "it is not a text")
    const value = dataset.value as string | ReadonlyArray<string> | null
    return typeof value === "string" ? [value] : [...(value ?? [])].flat().map(String)
  }

  text(dataset: Dataset, path: string): string {
    const texts = this.texts(dataset, path)
    return texts.length === 1 ? (texts[0] as string) : refuse(path, "it is not one text")
  }

  numbers(dataset: Dataset, path: string): Numbers {
    const { Module: module } = this.library
    const { type, size, signed, littleEndian, shape } = this.metadataOf(dataset, path)
    const { H5T_FLOAT, H5T_INTEGER } = module.H5T_class_t
    const kind = type === H5T_FLOAT.value ? "f" : type === H5T_INTEGER.value ? (signed ? "i" : "u") : "?"
    const read = Numpy.numberReaders[`${kind}${size}`]
    if (read === undefined) return refuse(path, "it holds no numbers")
    const extents = (shape ?? []).map(Number)
    const count = extents.reduce((product, extent) => product * extent, 1)
    const values = new Float64Array(count)
    const at = module._malloc(Math.max(1, count * size))
    try {
      const status = module.get_dataset_data(this.file.file_id, dataset.path, null, null, null, BigInt(at))
      if (status < 0) refuse(path, "its numbers cannot be read")
      // The library has converted them to native byte order.
      const data = new DataView(module.HEAPU8.buffer)
      for (let i = 0; i < count; i++) values[i] = read(data, at + i * size, true)
    } finally {
      module._free(at)
    }
    return { shape: extents, values, dtype: `${littleEndian ? "<" : ">"}${kind}${size}` }
  }

  value(dataset: Dataset, path: string): Value {
    const isText = dataset.metadata.type === this.library.Module.H5T_class_t.H5T_STRING.value
    return isText ? this.text(dataset, path) : this.numbers(dataset, path)
  }

  /** The members of a group by name: groups and data sets, no links. */
  private members(group: Group, path: string): ReadonlyArray<readonly [string, Group | Dataset]> {
    return group.keys().map((name) => {
      const member = group.get(name)
      if (member instanceof this.library.Group || member instanceof this.library.Dataset) return [name, member] as const
      return refuse(path, `${quote(name)} is neither a group nor a data set`)
    })
  }

  private metadata(group: Group, path: string, depth = 0): Metadata {
    if (depth > deepest) refuse(path, `its metadata are nested more than ${deepest} deep`)
    return Object.fromEntries(
      this.members(group, path).map(([name, member]) => [
        name,
        member instanceof this.library.Group
          ? this.metadata(member, path, depth + 1)
          : this.value(member, `${path}/metadata/${name}`),
      ]),
    )
  }

  node(group: Group, path: string, depth = 0): NirNode {
    if (depth > deepest) refuse(path, `graphs are nested more than ${deepest} deep`)
    if (++this.nodes > mostNodes) refuse(path, `it has more than ${mostNodes} nodes`)
    const { Group, Dataset } = this.library
    const parameters = new Map<string, Value>()
    const parts: { -readonly [K in keyof NirNode]?: NirNode[K] } = {}
    for (const [name, member] of this.members(group, path)) {
      if (name === "type") {
        if (!(member instanceof Dataset)) return refuse(path, "its type is no text")
        parts.type = this.text(member, path)
      } else if (name === "metadata") {
        if (member instanceof Group) parts.metadata = this.metadata(member, path)
      } else if (name === "nodes" && member instanceof Group)
        parts.nodes = new Map(
          this.members(member, path).map(([each, child]) =>
            child instanceof Group
              ? [each, this.node(child, path === "" ? each : `${path}/${each}`, depth + 1)]
              : refuse(path, `its node ${quote(each)} is no group`),
          ),
        )
      else if (name === "edges" && member instanceof Dataset) {
        const shape = (member.shape ?? []).map(Number)
        if (shape.length !== 2 || shape[1] !== 2) refuse(path, `its edges are of shape [${shape}], not pairs of names`)
        const texts = shape[0] === 0 ? [] : this.texts(member, path)
        parts.edges = Array.from({ length: shape[0] as number }, (_, i) => [texts[2 * i] ?? "", texts[2 * i + 1] ?? ""])
      } else if (member instanceof Dataset) parameters.set(name, this.value(member, path === "" ? name : path))
      else refuse(path, `it has a group ${quote(name)}, which no node of NIR has`)
    }
    const { type, ...rest } = parts
    if (type === undefined) return refuse(path, "it has no type")
    return { type, parameters, ...rest }
  }

  document(): Document {
    const { Group, Dataset } = this.library
    const version = this.file.get("version")
    const node = this.file.get("node")
    if (!(node instanceof Group)) return refuse("", "it has no group /node: is it a NIR file?")
    if (!(version instanceof Dataset)) return refuse("", "it has no /version")
    return { version: this.text(version, "version"), node: this.node(node, "") }
  }
}

/** The innermost reason of an error of the library. */
const reasonOf = (error: unknown): string =>
  String(error instanceof Error ? error.message : error)
    .trimEnd()
    .split("\n")
    .at(-1)
    ?.replace(/^\s*minor: /, "") ?? ""

/** The library's files are in its own memory, each with a unique name. */
let files = 0

const within = async <A>(name: string, use: (library: Library, path: string) => A): Promise<A> => {
  library ??= loadLibrary()
  const loaded = await library
  const path = `/nir-${files++}-${name}`
  try {
    return use(loaded, path)
  } finally {
    try {
      loaded.FS?.unlink(path)
    } catch {
      // It was not created.
    }
  }
}

const faultOf = (error: unknown, file: string): NirError =>
  error instanceof NirError
    ? new NirError({ file, node: error.node, reason: line(error.reason) })
    : new NirError({
        file,
        node: "",
        reason: line(`not an HDF5 file, truncated or corrupt (${reasonOf(error)})`),
      })

/**
 * Reads a NIR file. `file` is its name for error messages. Checks only the format; `networkOf` checks the nodes. Fails with a
 * NirError.
 *
 * @example
 * const document = yield* Nir.read(nirFile, "network.nir")
 */
export const read = (bytes: Uint8Array, file: string): Effect.Effect<Document, NirError> =>
  Effect.suspend(() => {
    Options.argument(bytes, Options.someBytes, "Nir.read")
    return readBytes(bytes, Options.argument(file, Options.aString, "Nir.read", "file"))
  })

const readBytes = (bytes: Uint8Array, file: string): Effect.Effect<Document, NirError> =>
  Effect.tryPromise({
    try: () =>
      within("in", (library, path) => {
        library.FS?.writeFile(path, bytes)
        const handle = new library.File(path, "r")
        try {
          return new Reader(library, handle, bytes.length * mostInflation).document()
        } finally {
          handle.close()
        }
      }),
    catch: (error) => faultOf(error, file),
  })

const arrays = {
  f4: Float32Array,
  f8: Float64Array,
  i1: Int8Array,
  i2: Int16Array,
  i4: Int32Array,
  u1: Uint8Array,
  u2: Uint16Array,
  u4: Uint32Array,
} as const

/** Numbers as an array of their type; float16, which the library cannot write, as float32. */
const typed = ({ values, dtype }: Numbers) => {
  const kind = dtype.slice(1)
  if (kind === "i8") return BigInt64Array.from(values, BigInt)
  if (kind === "u8") return BigUint64Array.from(values, BigInt)
  return (arrays[kind as keyof typeof arrays] ?? Float32Array).from(values)
}

const writeValue = (group: Group, name: string, value: Value): void => {
  if (typeof value === "string") group.create_dataset({ name, data: value })
  else {
    const shape = [...value.shape]
    const packed = shape.length > 0 && value.values.length > 0
    group.create_dataset({
      ...{ name, data: typed(value), shape },
      ...(packed ? { chunks: shape, compression: "gzip" as const } : {}),
    })
  }
}

const writeMetadata = (group: Group, metadata: Metadata): void => {
  for (const [name, value] of Object.entries(metadata))
    if (typeof value === "string" || "dtype" in value) writeValue(group, name, value as Value)
    else writeMetadata(group.create_group(name), value)
}

/** By name, as readers find them: what is read and written again is the same bytes. */
const sorted = <A>(members: ReadonlyMap<string, A>) => [...members].sort(([a], [b]) => (a < b ? -1 : 1))

const writeNode = (group: Group, { type, parameters, metadata, nodes, edges }: NirNode): void => {
  writeValue(group, "type", type)
  for (const [name, value] of sorted(parameters)) writeValue(group, name, value)
  if (metadata !== undefined) writeMetadata(group.create_group("metadata"), metadata)
  if (edges !== undefined) group.create_dataset({ name: "edges", data: edges.flat(), shape: [edges.length, 2] })
  if (nodes === undefined) return
  const inner = group.create_group("nodes")
  for (const [name, node] of sorted(nodes)) writeNode(inner.create_group(name), node)
}

/**
 * Writes a NIR file in the form of Python's `nir.write`: arrays in gzipped chunks, single numbers and strings uncompressed.
 *
 * @example
 * const bytes = yield* Nir.write(document)
 */
export const write = (document: Document): Effect.Effect<Uint8Array<ArrayBuffer>> =>
  Effect.promise(() =>
    within("out", (library, path) => {
      const { version, node } = Options.argument(document, aDocument, "write")
      const file = new library.File(path, "w")
      writeValue(file, "version", version)
      writeNode(file.create_group("node"), node)
      file.close()
      return new Uint8Array(library.FS?.readFile(path) as Uint8Array)
    }),
  )
