/** Test helpers: run an Effect with files and HTTP, and build files of each format byte by byte. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { crc32, deflateSync, gzipSync } from "node:zlib"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, Effect, Layer, References } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type { FileServices } from "../src/index.ts"

const services = Layer.mergeAll(NodeServices.layer, FetchHttpClient.layer)

/** Resolves to the effect's result; rejects if it fails. */
export const run = <A, E>(effect: Effect.Effect<A, E, FileServices>): Promise<A> =>
  Effect.runPromise(effect.pipe(Effect.provide(services)))

/** Resolves to the effect's error; rejects if it succeeds. */
export const failure = <A, E>(effect: Effect.Effect<A, E, FileServices>): Promise<E> => run(Effect.flip(effect))

/** Calls `use` with a fresh directory that holds the given files, then removes it. */
export const withDirectory = async (
  files: Readonly<Record<string, Uint8Array | string>>,
  use: (directory: string) => Promise<void>,
): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), "spikeroute-datasets-"))
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, name)), { recursive: true })
      writeFileSync(join(directory, name), content)
    }
    await use(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Runs the effect with `answer` as the HTTP server; `asked` collects "URL range". */
export const online =
  (answer: (request: Request) => Response | Promise<Response>, asked: Array<string> = []) =>
  <A, E>(effect: Effect.Effect<A, E, FileServices>) => {
    const fetch = async (input: string | URL | Request, init?: RequestInit) => {
      const request = new Request(String(input), init)
      asked.push([request.url, request.headers.get("range") ?? "whole"].join(" "))
      return answer(request)
    }
    return effect.pipe(Effect.provideService(FetchHttpClient.Fetch, fetch as typeof globalThis.fetch))
  }

/** Runs the effect with its cache in the directory, without logging downloads. */
export const cachedIn =
  (directory: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    effect.pipe(
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { XDG_CACHE_HOME: directory } }))),
      Effect.provideService(References.MinimumLogLevel, "None"),
    )

/** Path of real data next to the repository, if present. */
export const realData = (name: string): string | undefined => {
  const directory = join(import.meta.dirname, "../../../../shared/data", name)
  return existsSync(directory) ? directory : undefined
}

const bigEndian = (value: number) => [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]

/** An IDX file of unsigned bytes. */
export const idx = (shape: ReadonlyArray<number>, values: ArrayLike<number>): Uint8Array =>
  Uint8Array.from([0, 0, 8, shape.length, ...shape.flatMap(bigEndian), ...Array.from(values)])

/** The four files of an MNIST-like set of 28 × 28 images: every pixel of image i is `(i * 10) % 256`. */
export const mnistFiles = (train: number, test: number): Record<string, Uint8Array> => {
  const images = (count: number) =>
    gzipSync(
      idx(
        [count, 28, 28],
        Array.from({ length: count * 784 }, (_, k) => (Math.floor(k / 784) * 10) % 256),
      ),
    )
  const labels = (count: number) =>
    gzipSync(
      idx(
        [count],
        Array.from({ length: count }, (_, i) => i % 10),
      ),
    )
  return {
    "train-images-idx3-ubyte.gz": images(train),
    "train-labels-idx1-ubyte.gz": labels(train),
    "t10k-images-idx3-ubyte.gz": images(test),
    "t10k-labels-idx1-ubyte.gz": labels(test),
  }
}

/** A CIFAR record: the label bytes, then three planes of 1,024 bytes. */
export const cifarRecord = (labels: ReadonlyArray<number>, pixel: (channel: number, index: number) => number) => [
  ...labels,
  ...Array.from({ length: 3072 }, (_, k) => pixel(Math.floor(k / 1024), k % 1024)),
]

/** One event in N-MNIST's format. */
export const nmnistEvent = (x: number, y: number, polarity: number, time: number) => [
  x,
  y,
  (polarity << 7) | ((time >> 16) & 0x7f),
  (time >> 8) & 255,
  time & 255,
]

const littleEndian = (bytes: number) => (value: number | bigint) =>
  Array.from({ length: bytes }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n))
const u16 = littleEndian(2)
const u32 = littleEndian(4)
const u64 = littleEndian(8)
const text = (content: string) => Array.from(new TextEncoder().encode(content))

/** A DVS128 recording in AEDAT 2.0: a header, then address and time of each event, big-endian. */
export const aedat2 = (
  events: ReadonlyArray<{ column: number; row: number; off: number; time: number; special?: boolean }>,
) =>
  Uint8Array.from([
    ...text("#!AER-DAT2.0\r\n# This is a raw AE data file\r\n"),
    ...events.flatMap(({ column, row, off, time, special = false }) => [
      ...bigEndian((special ? 0x8000 : 0) | (row << 8) | (column << 1) | off),
      ...bigEndian(time),
    ]),
  ])

/** An event in AEDAT 3.1. */
export interface Aedat3Event {
  readonly x: number
  readonly y: number
  readonly on: number
  readonly time: number
  readonly valid?: number
}

/** A packet of polarity events in AEDAT 3.1. */
export const aedat3Packet = (events: ReadonlyArray<Aedat3Event>, overflow = 0, type = 1) => [
  ...u16(type),
  ...u16(0),
  ...u32(8),
  ...u32(4),
  ...u32(overflow),
  ...u32(events.length),
  ...u32(events.length),
  ...u32(events.filter(({ valid = 1 }) => valid === 1).length),
  ...events.flatMap(({ x, y, on, time, valid = 1 }) => [
    ...u32((x * 2 ** 17 + (y << 2) + (on << 1) + valid) >>> 0),
    ...u32(time),
  ]),
]

/** The header of an AEDAT 3.1 file. */
export const aedat3Header = text("#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n")

/** A data set in an HDF5 file: numbers, or variable-length arrays of numbers. */
export interface Hdf5Dataset {
  readonly type: "u16" | "f16" | "u32"
  /** The bits of each value. */
  readonly values: ReadonlyArray<number> | ReadonlyArray<ReadonlyArray<number>>
}

/**
 * An HDF5 file with a version 0 superblock: `labels` in the root group, `times` and `units` in a group `spikes`, with
 * contiguous storage, and arrays in one global heap collection.
 */
export const hdf5 = (datasets: Readonly<Record<string, Hdf5Dataset>>): Uint8Array => {
  const undefinedAddress = new Array(8).fill(255)
  const padded = (bytes: ReadonlyArray<number>, length: number) => [
    ...bytes,
    ...new Array(length - bytes.length).fill(0),
  ]
  const aligned = (bytes: ReadonlyArray<number>) => padded(bytes, Math.ceil(bytes.length / 8) * 8)
  // After the superblock, parts are appended in sequence, children before the objects that point to them.
  const superblock = 96
  const body: Array<number> = []
  const put = (bytes: ReadonlyArray<number>) => {
    const address = superblock + body.length
    for (const byte of aligned(bytes)) body.push(byte)
    return address
  }

  const message = (type: number, data: ReadonlyArray<number>) => {
    const content = aligned(data)
    return [...u16(type), ...u16(content.length), 0, 0, 0, 0, ...content]
  }
  const objectHeader = (...messages: ReadonlyArray<ReadonlyArray<number>>) => {
    const content = messages.flat()
    return put([1, 0, ...u16(messages.length), ...u32(1), ...u32(content.length), 0, 0, 0, 0, ...content])
  }
  const types = {
    u16: [0x10, 0, 0, 0, ...u32(2), ...u16(0), ...u16(16)],
    u32: [0x10, 0, 0, 0, ...u32(4), ...u16(0), ...u16(32)],
    f16: [0x11, 0x20, 15, 0, ...u32(2), ...u16(0), ...u16(16), 10, 5, 0, 10, ...u32(15)],
  }

  /** Appends a global heap collection of objects 1, 2, …; returns its address. */
  const collection = (objects: ReadonlyArray<ReadonlyArray<number>>) => {
    const stored = objects.flatMap((object, i) => [
      ...u16(i + 1),
      ...u16(1),
      0,
      0,
      0,
      0,
      ...u64(object.length),
      ...aligned(object),
    ])
    const size = Math.max(4096, Math.ceil((16 + stored.length + 16) / 8) * 8)
    const free = size - 16 - stored.length
    return put(
      padded(
        [...text("GCOL"), 1, 0, 0, 0, ...u64(size), ...stored, ...u16(0), ...u16(0), 0, 0, 0, 0, ...u64(free)],
        size,
      ),
    )
  }

  const dataset = ({ type, values }: Hdf5Dataset) => {
    const ragged = values.some((value) => typeof value !== "number")
    const rows = values.map((value) =>
      (typeof value === "number" ? [value] : value).flatMap(type === "u32" ? u32 : u16),
    )
    const heap = ragged ? collection(rows) : 0
    const data = ragged ? rows.flatMap((row, i) => [...u32(row.length / 2), ...u64(heap), ...u32(i + 1)]) : rows.flat()
    const address = put(data)
    return objectHeader(
      message(0x0001, [1, 1, 0, 0, 0, 0, 0, 0, ...u64(values.length)]),
      message(0x0003, ragged ? [0x19, 0, 0, 0, ...u32(16), ...types[type]] : types[type]),
      message(0x0008, [3, 1, ...u64(address), ...u64(data.length)]),
    )
  }

  interface Group {
    readonly header: number
    readonly tree: number
    readonly heap: number
  }
  const group = (entries: ReadonlyArray<readonly [name: string, header: number, within?: Group]>): Group => {
    const names: Array<number> = new Array(8).fill(0)
    const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1))
    const offsets = sorted.map(([name]) => {
      const offset = names.length
      names.push(...aligned([...text(name), 0]))
      return offset
    })
    const data = put(names)
    const heap = put([...text("HEAP"), 0, 0, 0, 0, ...u64(names.length), ...u64(1), ...u64(data)])
    const symbols = sorted.flatMap(([, header, within], i) => [
      ...u64(offsets[i] as number),
      ...u64(header),
      ...u32(within === undefined ? 0 : 1),
      ...u32(0),
      ...(within === undefined ? new Array(16).fill(0) : [...u64(within.tree), ...u64(within.heap)]),
    ])
    const node = put(padded([...text("SNOD"), 1, 0, ...u16(sorted.length), ...symbols], 8 + 8 * 40))
    const tree = put(
      padded(
        [
          ...text("TREE"),
          0,
          0,
          ...u16(1),
          ...undefinedAddress,
          ...undefinedAddress,
          ...u64(0),
          ...u64(node),
          ...u64(offsets.at(-1) ?? 0),
        ],
        24 + 32 * 8 + 33 * 8,
      ),
    )
    return { header: objectHeader(message(0x0011, [...u64(tree), ...u64(heap)])), tree, heap }
  }

  const inside = (prefix: string) =>
    Object.entries(datasets)
      .filter(([name]) => name.startsWith(prefix) && !name.slice(prefix.length).includes("/"))
      .map(([name, each]) => [name.slice(prefix.length), dataset(each)] as const)
  const spikes = group(inside("spikes/"))
  const root = group([...inside(""), ["spikes", spikes.header, spikes]])
  return Uint8Array.from([
    ...[0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a],
    ...[0, 0, 0, 0, 0, 8, 8, 0, ...u16(4), ...u16(16), ...u32(0)],
    ...[...u64(0), ...undefinedAddress, ...u64(superblock + body.length), ...undefinedAddress],
    ...[...u64(0), ...u64(root.header), ...u32(1), ...u32(0), ...u64(root.tree), ...u64(root.heap)],
    ...body,
  ])
}

const bits = (type: "Float32Array" | "Float64Array") => (value: number) => [
  ...new Uint8Array(globalThis[type].of(value).buffer),
]

/** Encoders of NumPy's number types. */
const written: Readonly<Record<string, (value: number) => ReadonlyArray<number>>> = {
  "|u1": (value) => [value],
  "|b1": (value) => [value],
  "|i1": (value) => [value & 255],
  "<u2": u16,
  "<i2": (value) => u16(BigInt.asUintN(16, BigInt(value))),
  ">u2": (value) => u16(value).toReversed(),
  "<i4": (value) => u32(BigInt.asUintN(32, BigInt(value))),
  "<u4": u32,
  "<i8": (value) => u64(BigInt.asUintN(64, BigInt(value))),
  "<f4": bits("Float32Array"),
  "<f8": bits("Float64Array"),
}

/** A .npy file of version 1.0: a header in Python's notation, padded to 64 bytes, and the numbers in row-major order. */
export const npy = (
  descr: string | ReadonlyArray<readonly [name: string, dtype: string]>,
  shape: ReadonlyArray<number>,
  values: Iterable<number>,
  order = "False",
): Uint8Array => {
  const plain = typeof descr === "string"
  const types = plain ? [descr] : descr.map(([, dtype]) => dtype)
  const said = plain ? `'${descr}'` : `[${descr.map(([name, dtype]) => `('${name}', '${dtype}')`).join(", ")}]`
  const dict = `{'descr': ${said}, 'fortran_order': ${order}, 'shape': (${shape.map((side) => `${side},`).join(" ")}), }`
  const header = text(`${dict.padEnd(Math.ceil((dict.length + 11) / 64) * 64 - 11)}\n`)
  const content = Array.from(values).flatMap((value, i) => written[types[i % types.length] as string]?.(value) ?? [])
  return Uint8Array.from([0x93, ...text("NUMPY"), 1, 0, ...u16(header.length), ...header, ...content])
}

/** A WAV file: a format chunk, an unknown chunk, and the given bytes of samples. */
export const wav = (
  { format = 1, channels = 1, rate = 8000, bits = 16 }: Readonly<Record<string, number>>,
  samples: ReadonlyArray<number>,
  declared = samples.length,
): Uint8Array => {
  const step = (channels * bits) / 8
  const chunks = [
    ...[...text("fmt "), ...u32(16), ...u16(format), ...u16(channels), ...u32(rate), ...u32(rate * step), ...u16(step)],
    ...[...u16(bits), ...text("LIST"), ...u32(3), 1, 2, 3, 0, ...text("data"), ...u32(declared), ...samples],
  ]
  return Uint8Array.from([...text("RIFF"), ...u32(4 + chunks.length), ...text("WAVE"), ...chunks])
}

/** Samples as the 16-bit integers of a WAV file. */
export const pcm16 = (values: ReadonlyArray<number>): ReadonlyArray<number> =>
  values.flatMap((value) => u16(BigInt.asUintN(16, BigInt(Math.round(value * 32767)))))

/** A recording in Prophesee's .dat format: header lines, type and size, then time and address of each event, little-endian. */
export const prophesee = (
  header: string,
  events: ReadonlyArray<readonly [x: number, y: number, t: number, p: number]>,
  [xBits, yBits]: readonly [number, number] = [14, 14],
): Uint8Array =>
  Uint8Array.from([
    ...text(header),
    ...[0, 8],
    ...events.flatMap(([x, y, t, p]) => [...u32(t), ...u32(x + y * 2 ** xBits + p * 2 ** (xBits + yBits))]),
  ])

/** A ZIP archive of uncompressed files. */
export const zip = (files: Readonly<Record<string, Uint8Array>>): Uint8Array => {
  const local: Array<number> = []
  const central: Array<number> = []
  for (const [path, content] of Object.entries(files)) {
    const name = text(path)
    const common = [
      ...[...u16(20), ...u16(0), ...u16(0), ...u16(0), ...u16(33)],
      ...[...u32(crc32(content)), ...u32(content.length), ...u32(content.length), ...u16(name.length), ...u16(0)],
    ]
    const offset = local.length
    local.push(...u32(0x04034b50), ...common, ...name, ...content)
    central.push(
      ...u32(0x02014b50),
      ...u16(20),
      ...common,
      ...u16(0),
      ...u16(0),
      ...u16(0),
      ...u32(0),
      ...u32(offset),
      ...name,
    )
  }
  const count = u16(Object.keys(files).length)
  const end = [
    ...u32(0x06054b50),
    ...u16(0),
    ...u16(0),
    ...count,
    ...count,
    ...u32(central.length),
    ...u32(local.length),
    0,
    0,
  ]
  return Uint8Array.from([...local, ...central, ...end])
}

/** A tar archive (ustar): for each file a 512-byte header and its content padded to whole blocks; then two empty blocks. */
export const tar = (files: Readonly<Record<string, Uint8Array>>): Uint8Array => {
  const octal = (value: number, digits: number) => [...text(value.toString(8).padStart(digits, "0")), 0]
  const field = (content: ReadonlyArray<number>, length: number) => [
    ...content,
    ...new Array(length - content.length).fill(0),
  ]
  const header = (path: string, size: number) => {
    const before = [
      ...field(text(path), 100),
      ...octal(0o644, 7),
      ...octal(0, 7),
      ...octal(0, 7),
      ...octal(size, 11),
      ...octal(0, 11),
    ]
    const behind = field([...text("0"), ...field([], 100), ...text("ustar"), 0, ...text("00")], 356)
    const sum = [...before, ...text("        "), ...behind].reduce((total, byte) => total + byte, 0)
    return [...before, ...text(sum.toString(8).padStart(6, "0")), 0, 0x20, ...behind]
  }
  const blocks = Object.entries(files).flatMap(([path, content]) => [
    ...header(path, content.length),
    ...field([...content], Math.ceil(content.length / 512) * 512),
  ])
  return Uint8Array.from([...blocks, ...new Array(1024).fill(0)])
}

/** A PNG: signature, IHDR, further chunks, IDAT and IEND. Colour types: 0 grey, 2 RGB, 3 palette, 4 and 6 with alpha. */
export const pngOf = (
  {
    width,
    height,
    depth = 8,
    colours = 2,
    interlaced = 0,
  }: Readonly<Record<string, number>> & { width: number; height: number },
  packed: Uint8Array,
  further: Readonly<Record<string, ReadonlyArray<number>>> = {},
): Uint8Array => {
  const chunk = (type: string, data: ArrayLike<number>) => {
    const content = Uint8Array.from([...text(type), ...Array.from(data)])
    return [...bigEndian(data.length), ...content, ...bigEndian(crc32(content))]
  }
  return Uint8Array.from([
    ...[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
    ...chunk("IHDR", [...bigEndian(width), ...bigEndian(height), depth, colours, 0, 0, interlaced]),
    ...Object.entries(further).flatMap(([type, data]) => chunk(type, data)),
    ...chunk("IDAT", packed),
    ...chunk("IEND", []),
  ])
}

/** An RGB PNG with filter type 0 in each row. */
export const png = (
  width: number,
  height: number,
  pixel: (x: number, y: number) => readonly [number, number, number],
) => {
  const rows = Array.from({ length: height }, (_, y) => [
    0,
    ...Array.from({ length: width }, (_, x) => pixel(x, y)).flat(),
  ])
  return pngOf({ width, height }, deflateSync(Uint8Array.from(rows.flat())))
}

/**
 * A JPEG of one grey block of 8 × 8, every pixel 128 + `step`: a quantisation table of ones, and minimal Huffman tables. The
 * mean of the block is coded as one coefficient, 8 · step.
 */
export const jpeg = (step: number): Uint8Array => {
  const segment = (marker: number, data: ReadonlyArray<number>) => {
    const length = data.length + 2
    return [0xff, marker, length >> 8, length & 255, ...data]
  }
  // Each table has the single one-bit code 0: for a 7-bit difference, and for the end of the block.
  const huffman = (kind: number, symbol: number) => segment(0xc4, [kind, 1, ...new Array(15).fill(0), symbol])
  const coefficient = step * 8
  const bits = coefficient.toString(2)
  const code = `0${bits}0`.padEnd(Math.ceil((bits.length + 2) / 8) * 8, "1")
  const scan = (code.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2))
  return Uint8Array.from([
    0xff,
    0xd8,
    ...segment(0xdb, [0, ...new Array(64).fill(1)]),
    ...segment(0xc0, [8, 0, 8, 0, 8, 1, 1, 0x11, 0]),
    ...huffman(0x00, bits.length),
    ...huffman(0x10, 0),
    ...segment(0xda, [1, 1, 0, 0, 63, 0]),
    ...scan,
    0xff,
    0xd9,
  ])
}

/** Three events that are stored in every format: x, y, t, p. */
export const recordedEvents = [
  [1, 2, 100, 1],
  [3, 0, 200, 0],
  [1, 2, 300, 1],
] as const
const column = (k: number) => recordedEvents.map((event) => event[k] as number)
const [x, y, t, p] = [0, 1, 2, 3].map(column) as [number[], number[], number[], number[]]
export const columnFiles = {
  "x.npy": npy("<u2", [3], x),
  "y.npy": npy("<u2", [3], y),
  "t.npy": npy("<i8", [3], t),
  "p.npy": npy("|b1", [3], p),
}

export const namedColumns = [
  ["t", "<i8"],
  ["x", "<i2"],
  ["y", "<i2"],
  ["polarity", "|i1"],
] as const

const aedat3 = Uint8Array.from([
  ...aedat3Header,
  ...aedat3Packet(recordedEvents.map(([x, y, time, on]) => ({ x, y, time, on }))),
])

/** DAVIS240 addresses have y from bit 22, x from bit 12, polarity at bit 11. */
const davisHeader = Uint8Array.from(Buffer.from("#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n"))
const davisFile = (() => {
  const file = new Uint8Array(davisHeader.length + 8 * 4)
  file.set(davisHeader)
  const view = new DataView(file.buffer)
  const addresses = [...recordedEvents.map(([x, y, , p]) => y * 2 ** 22 + x * 2 ** 12 + p * 2 ** 11), 2 ** 31 + 5]
  addresses.forEach((address, i) => {
    view.setUint32(davisHeader.length + 8 * i, address)
    view.setUint32(davisHeader.length + 8 * i + 4, 100 * (i + 1))
  })
  return file
})()

/** A recording of these events in each format, by file name. */
export const recordings: Readonly<Record<string, Uint8Array>> = {
  "structured.npy": npy(
    namedColumns,
    [3],
    recordedEvents.flatMap(([x, y, t, p]) => [t, x, y, p === 1 ? 1 : -1]),
  ),
  "rows.npy": npy("<f8", [3, 4], recordedEvents.flat()),
  "columns.npz": zip(columnFiles),
  "nmnist.bin": Uint8Array.from(recordedEvents.flatMap(([x, y, t, p]) => nmnistEvent(x, y, p, t))),
  "aedat31.aedat": aedat3,
  "davis.aedat": davisFile,
  "dvs128.aedat": aedat2(recordedEvents.map(([column, row, time, p]) => ({ column, row, time, off: 1 - p }))),
  "ncars.dat": prophesee("% Data file containing TD events.\n% Version 2\n% Date 2018-5-4\n", recordedEvents),
  "older.dat": prophesee("% a file without a version\n", recordedEvents, [9, 8]),
  "named.h5": hdf5({
    x: { type: "u16", values: x },
    y: { type: "u16", values: y },
    ts: { type: "u32", values: t },
    p: { type: "u16", values: p },
  }),
}
