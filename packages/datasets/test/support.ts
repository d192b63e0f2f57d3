/** What the tests share: running an Effect with files and HTTP, and making the files of each format byte by byte. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { gzipSync } from "node:zlib"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type { FileServices } from "../src/index.ts"

const services = Layer.mergeAll(NodeServices.layer, FetchHttpClient.layer)

/** What the effect gives; a failure rejects. */
export const run = <A, E>(effect: Effect.Effect<A, E, FileServices>): Promise<A> =>
  Effect.runPromise(effect.pipe(Effect.provide(services)))

/** What the effect fails with; success rejects. */
export const failure = <A, E>(effect: Effect.Effect<A, E, FileServices>): Promise<E> => run(Effect.flip(effect))

/** Calls `use` with a fresh directory, holding the given files, and removes it. */
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

/** The real data beside the repository, where there are any. */
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

/** One event, as N-MNIST stores it. */
export const nmnistEvent = (x: number, y: number, polarity: number, time: number) => [
  x,
  y,
  (polarity << 7) | ((time >> 16) & 0x7f),
  (time >> 8) & 255,
  time & 255,
]
