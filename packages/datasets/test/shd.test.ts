import { expect, test } from "bun:test"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import { Effect } from "effect"
import { open, openInWorkers, readShd } from "../src/index.ts"
import { failure, type Hdf5Dataset, hdf5, run, withDirectory } from "./support.ts"

// float16: 0x3400 is 0.25, 0x3800 is 0.5, 0x3c00 is 1, 0x1000 is 2⁻¹¹, 0x0001 is 2⁻²⁴.
const good: Record<string, Hdf5Dataset> = {
  "spikes/times": { type: "f16", values: [[0x0001, 0x3400, 0x3800], [], [0x1000, 0x3c00]] },
  "spikes/units": { type: "u16", values: [[0, 699, 3], [], [5, 5]] },
  labels: { type: "u16", values: [19, 0, 7] },
}

/** The error of reading a file with these changes, without the directory's name. */
const refused = async (changes: Record<string, Hdf5Dataset | undefined>, cut?: number) => {
  let message = ""
  const datasets = Object.fromEntries(
    Object.entries({ ...good, ...changes }).filter((entry): entry is [string, Hdf5Dataset] => entry[1] !== undefined),
  )
  await withDirectory({ "f.h5": hdf5(datasets).subarray(0, cut) }, async (directory) => {
    const error = await failure(readShd(join(directory, "f.h5"), 20))
    expect(error._tag).toBe("MalformedFile")
    message = error.message.replace(`${directory}/`, "")
  })
  expect(message).not.toContain("\n")
  return message
}

test("reads variable-length arrays of float16 and uint16", async () => {
  await withDirectory({ "f.h5": hdf5(good) }, async (directory) => {
    const { times, units, labels } = await run(readShd(join(directory, "f.h5"), 20))
    expect(times.map((each) => Array.from(each))).toEqual([[2 ** -24, 0.25, 0.5], [], [2 ** -11, 1]])
    expect(units.map((each) => Array.from(each))).toEqual([[0, 699, 3], [], [5, 5]])
    expect(Array.from(labels)).toEqual([19, 0, 7])
  })
})

test("as a data set: frames of 700 channels, of the same duration in every recording", async () => {
  await withDirectory({ "shd_train.h5": hdf5(good), "shd_test.h5": hdf5(good) }, async (dataDir) => {
    const { shape, train, test } = await run(open("shd", { timeSteps: 7, dataDir }))
    expect([shape, train.size, test.label(0)]).toEqual([[700], 3, 19])
    // Frames of 0.2 s: 2⁻²⁴ and 2⁻¹¹ s lie in the first, 0.25 in the second, 0.5 in the third, 1 in the sixth.
    const out = new Float32Array(7 * 3 * 700)
    await run(train.write([0, 1, 2], undefined, out))
    const found = Array.from(out.keys())
      .filter((i) => out[i] !== 0)
      .map((i) => [Math.floor(i / 2100), Math.floor(i / 700) % 3, i % 700, out[i]])
    expect(found).toEqual([
      [0, 0, 0, 1],
      [0, 2, 5, 1],
      [1, 0, 699, 1],
      [2, 0, 3, 1],
      [5, 2, 5, 1],
    ])
  })
})

test("files with other contents are refused in one line, and the HDF5 library prints nothing", async () => {
  expect(await refused({}, 2000)).toBe("f.h5: not an HDF5 file, truncated or corrupt (File has been truncated)")
  expect(await refused({}, 0)).toStartWith("f.h5: not an HDF5 file")
  expect(await refused({ labels: undefined })).toBe('f.h5: it has no data set "labels"')
  expect(await refused({ "spikes/times": undefined })).toBe('f.h5: it has no data set "spikes/times"')
  expect(await refused({ labels: { type: "u16", values: [1, 2] } })).toBe(
    'f.h5: "spikes/times" has 3 entries for 2 labels',
  )
  expect(await refused({ labels: { type: "u16", values: [1, 2, 20] } })).toBe(
    "f.h5: label 20 of recording 2 is not in 0 … 19",
  )
  expect(await refused({ "spikes/units": { type: "u16", values: [1, 2, 3] } })).toBe(
    'f.h5: "spikes/units" does not hold arrays of little-endian numbers',
  )
  expect(await refused({ "spikes/units": { type: "u16", values: [[0, 700, 1], [], [1, 1]] } })).toBe(
    "f.h5: recording 0 has a spike of unit 700, not in 0 … 699",
  )
  expect(await refused({ "spikes/units": { type: "u16", values: [[0, 1], [], [1, 1]] } })).toBe(
    "f.h5: recording 0 has 3 times and 2 units",
  )
  expect(await refused({ "spikes/times": { type: "f16", values: [[0, 1, 2], [], [0x3c00, 0x3800]] } })).toBe(
    "f.h5: recording 2 has its spike 1 at 0.5 s, out of order",
  )
}, 120_000)

test("damaged files neither hang the process nor have lasting effects: a valid file at their path is read", async () => {
  const bytes = hdf5(good)
  const damaged = (change: (heap: DataView) => void) => {
    const copy = Uint8Array.from(bytes)
    change(new DataView(copy.buffer, Buffer.from(copy).indexOf("GCOL")))
    return copy
  }
  const files = {
    // Length of the first heap object: 0, from which the library never advances to the second; and more than 4 GB.
    endless: damaged((heap) => {
      heap.setUint16(16, 0)
      heap.setBigUint64(24, 0n)
    }),
    huge: damaged((heap) => heap.setBigUint64(24, 2n ** 40n, true)),
    // Parts of the file are shifted.
    moved: Uint8Array.from([...bytes.subarray(0, 4200), ...bytes.subarray(4244), ...new Uint8Array(44)]),
    cut: bytes.subarray(0, 5000),
  }
  await withDirectory({ "f.h5": bytes }, async (directory) => {
    const file = join(directory, "f.h5")
    for (const damage of Object.values(files)) {
      await writeFile(file, damage)
      const start = performance.now()
      expect(await failure(readShd(file, 20))).toMatchObject({ _tag: "MalformedFile", file })
      expect(performance.now() - start).toBeLessThan(30_000)
      await writeFile(file, bytes)
      expect((await run(readShd(file, 20))).times.map(({ length }) => length)).toEqual([3, 0, 2])
    }
  })
}, 120_000)

test("files are read by an existing process, several concurrently, and in workers", async () => {
  await withDirectory({ "shd_train.h5": hdf5(good), "shd_test.h5": hdf5(good) }, async (dataDir) => {
    const files = ["train", "test", "train", "test"].map((split) => readShd(join(dataDir, `shd_${split}.h5`), 20))
    const together = await run(Effect.all(files, { concurrency: "unbounded" }))
    expect(together.map(({ labels }) => Array.from(labels))).toEqual(new Array(4).fill([19, 0, 7]))
    const workers = NodeWorker.layer(() => new Worker(new URL("./worker.ts", import.meta.url)))
    const of = (count: number) =>
      Effect.flatMap(openInWorkers("shd", { timeSteps: 7, dataDir }, count), ({ train }) => {
        const out = new Float32Array(7 * 3 * 700)
        return Effect.as(train.write([0, 1, 2], undefined, out), out)
      }).pipe(Effect.scoped, Effect.provide(workers), run)
    expect(await of(1)).toEqual(await of(0))
  })
}, 60_000)

test("image augmentation is refused", async () => {
  const error = await failure(open("shd", { timeSteps: 1, augment: ["flip"] }))
  expect(error).toMatchObject({ _tag: "OptionError", owner: "shd", option: "augment", value: ["flip"] })
})
