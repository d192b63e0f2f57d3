/** NumPy arrays as a data set, with files written byte by byte. */
import { describe, expect, test } from "bun:test"
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs"
import { join } from "node:path"
import { Effect, Stream } from "effect"
import { batches, type Dataset, type OpenOptions, open } from "../src/index.ts"
import { failure, npy, run, withDirectory, zip } from "./support.ts"

const range = (count: number, of = (i: number) => i) => Array.from({ length: count }, (_, i) => of(i))

/** One batch with all samples of a part. */
const whole = (dataset: Dataset, part: "train" | "test", timeSteps: number) =>
  run(
    Stream.runCollect(batches(dataset, part, { batchSize: dataset[part].size, timeSteps, remainder: "pad" })).pipe(
      Effect.map(([batch]) => batch),
    ),
  )

const opened = (
  files: Readonly<Record<string, Uint8Array>>,
  options: Partial<OpenOptions>,
  use: (dataset: Dataset) => Promise<void>,
) =>
  withDirectory(files, async (dataDir) => {
    await use(await run(open("arrays", { timeSteps: 2, dataDir, ...options })))
  })

const refused = async (files: Readonly<Record<string, Uint8Array>>, options: Partial<OpenOptions> = {}) => {
  let found = { tag: "", message: "" }
  await withDirectory(files, async (dataDir) => {
    const reads = Effect.gen(function* () {
      const dataset = yield* open("arrays", { timeSteps: 2, dataDir, ...options })
      yield* Stream.runDrain(batches(dataset, "train", { batchSize: 1, timeSteps: 2, remainder: "drop" }))
    })
    const error = await failure(reads)
    found = { tag: error._tag, message: error.message.replaceAll(`${dataDir}/`, "") }
  })
  expect(found.message).not.toContain("\n")
  return found
}

describe("targets", () => {
  test("one class per sample, with the split defined by the files", () =>
    opened(
      {
        "x_train.npy": npy("<f4", [3, 2], [0, 0.5, 1, 1.5, 2, 2.5]),
        "y_train.npy": npy("<i8", [3], [2, 0, 1]),
        "test_inputs.npy": npy("|u1", [1, 2], [7, 255]),
        "test_labels.npy": npy("|u1", [1, 1], [3]),
      },
      {},
      async (dataset) => {
        expect(dataset).toMatchObject({ targets: "class", classes: 4, shape: [2], encoding: "static" })
        expect(await whole(dataset, "train", 2)).toMatchObject({
          inputs: Float32Array.of(0, 0.5, 1, 1.5, 2, 2.5),
          labels: Float32Array.of(2, 0, 1),
        })
        expect(await whole(dataset, "test", 2)).toMatchObject({
          inputs: Float32Array.of(7, 255),
          labels: Float32Array.of(3),
        })
      },
    ))

  test("one class per step: time-major frames; −1 and PyTorch's −100 are ignored", () =>
    opened(
      {
        "train.npz": zip({
          "x.npy": npy(">u2", [2, 2, 3], range(12)),
          "labels.npy": npy("<i2", [2, 2], [0, -1, -100, 1]),
        }),
        "test.npz": zip({ "x.npy": npy(">u2", [1, 2, 3], range(6)), "labels.npy": npy("<i2", [1, 2], [1, 1]) }),
      },
      {},
      async (dataset) => {
        expect(dataset).toMatchObject({ targets: "classPerStep", classes: 2, shape: [3], encoding: "frames" })
        expect(dataset.train.label(0)).toBe(-1)
        expect(await whole(dataset, "train", 2)).toMatchObject({
          // [T, N, …]
          inputs: Float32Array.of(0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11),
          labels: Float32Array.of(0, -1, -1, 1),
        })
      },
    ))

  test("real numbers, per sample and per step", async () => {
    const inputs = { "x_train.npy": npy("<f8", [2, 1], [1, 2]), "x_test.npy": npy("<f8", [1, 1], [3]) }
    await opened(
      { ...inputs, "y_train.npy": npy("<f4", [2, 2], [0.5, 1, 2, 4]), "y_test.npy": npy("<f4", [1, 2], [8, 16]) },
      {},
      async (dataset) => {
        expect(dataset).toMatchObject({ targets: "numbers", classes: 2 })
        const batch = await whole(dataset, "train", 2)
        expect(batch).toMatchObject({ labels: new Float32Array(), targets: Float32Array.of(0.5, 1, 2, 4) })
      },
    )
    await opened(
      { ...inputs, "y_train.npy": npy("<f4", [2, 2, 1], [1, 2, 3, 4]), "y_test.npy": npy("<f4", [1, 2, 1], [5, 6]) },
      {},
      async (dataset) => {
        expect(dataset).toMatchObject({ targets: "numbersPerStep", classes: 1, encoding: "static" })
        expect((await whole(dataset, "train", 2))?.targets).toEqual(Float32Array.of(1, 3, 2, 4))
      },
    )
  })
})

test("without a split, the seed draws one; every sample is in exactly one part", () =>
  withDirectory(
    {
      "data.npz": zip({
        "X.npy": npy("<f4", [10, 1], range(10)),
        "y.npy": npy(
          "<i4",
          [10],
          range(10, (i) => i % 3),
        ),
      }),
    },
    async (directory) => {
      const parts = async (options: Partial<OpenOptions>) => {
        // The data directory may be an archive.
        const dataset = await run(open("arrays", { timeSteps: 1, dataDir: join(directory, "data.npz"), ...options }))
        const [train, test] = [await whole(dataset, "train", 1), await whole(dataset, "test", 1)]
        return [Array.from(train?.inputs ?? []), Array.from(test?.inputs ?? [])] as const
      }
      const [train, tested] = await parts({ split: 0.3 })
      expect([...train, ...tested].toSorted((a, b) => a - b)).toEqual(range(10))
      expect(tested.length).toBe(3)
      expect(await parts({ split: 0.3 })).toEqual([train, tested])
      expect(await parts({ split: 0.3, seed: 1 })).not.toEqual([train, tested])
    },
  ))

test("images: [N, height, width] are grey with static encoding, channels are last", async () => {
  const y = npy("<i4", [2], [0, 1])
  await opened({ "x.npy": npy("|u1", [2, 2, 3], range(12)), "y.npy": y }, { encoding: "static" }, async (dataset) =>
    expect(dataset).toMatchObject({ shape: [2, 3, 1], encoding: "static" }),
  )
  await opened({ "x.npy": npy("|u1", [2, 2, 2, 3], range(24)), "y.npy": y }, {}, async (dataset) =>
    expect(dataset).toMatchObject({ shape: [2, 2, 3], encoding: "static" }),
  )
  await opened({ "x.npy": npy("|u1", [2, 2, 2, 2, 3], range(48)), "y.npy": y }, {}, async (dataset) =>
    expect(dataset).toMatchObject({ shape: [2, 2, 3], encoding: "frames" }),
  )
})

test("a file above 1 GiB is read sample by sample", () =>
  withDirectory({ "y.npy": npy("|u1", [300_000], new Uint8Array(300_000)) }, async (dataDir) => {
    const header = npy("<f4", [300_000, 1000], [])
    const file = openSync(join(dataDir, "x.npy"), "w")
    // The file is sparse: sample 299,999 holds 1, 2 and zeros.
    writeSync(file, header)
    writeSync(file, Float32Array.of(1, 2), 0, 8, header.length + 299_999 * 4000)
    ftruncateSync(file, header.length + 300_000 * 4000)
    closeSync(file)
    const { train, test } = await run(open("arrays", { timeSteps: 1, dataDir, split: 0.5 }))
    const found: Array<number> = []
    for (const part of [train, test]) {
      const out = new Float32Array(2 * 1000)
      await run(part.write([0, part.size - 1], undefined, out))
      found.push(...out.subarray(1000, 1003))
    }
    expect(found.filter((value) => value !== 0)).toEqual([1, 2])
  }))

describe("errors name the file", () => {
  const x = npy("<f4", [2, 1], [1, 2])
  const y = npy("<i4", [2], [0, 1])
  const both = (changed: Readonly<Record<string, Uint8Array>>) => refused({ "x.npy": x, "y.npy": y, ...changed })
  const malformed = (text: string) => ({ tag: "MalformedFile", message: expect.stringContaining(text) })

  test("inputs and targets that are not finite", async () => {
    expect(await both({ "x.npy": npy("<f4", [2, 1], [Number.NaN, Number.NaN]) })).toEqual(
      malformed("x.npy: element 0 of sample"),
    )
    expect(await both({ "x.npy": npy("<f8", [2, 1], [1e300, 1e300]) })).toEqual(malformed("x.npy"))
    expect(await both({ "y.npy": npy("<f8", [2], [1, Number.NaN]) })).toEqual(
      malformed("y.npy: the target of sample 1"),
    )
    expect(await both({ "y.npy": npy("<i4", [2], [1, -1]) })).toEqual(malformed("y.npy: the class of sample 1"))
    expect(await both({ "y.npy": npy("<i4", [2], [1, -2]) })).toEqual(malformed("y.npy"))
  })

  test("shapes that do not match each other or the time steps", async () => {
    expect(await both({ "x.npy": npy("<f4", [3, 1], [1, 2, 3]) })).toEqual(malformed("it has 3 samples"))
    expect(await both({ "y.npy": npy("<i4", [2, 5], range(10)) })).toEqual(malformed("y.npy"))
    expect(await both({ "x.npy": npy("<f4", [2, 3, 1], range(6)) })).toMatchObject({ tag: "OptionError" })
    expect(await both({ "x.npy": npy("<f4", [2, 0], []) })).toEqual(malformed("it holds no sample"))
  })

  test("files that are truncated, column-major, structured, or missing", async () => {
    expect(await both({ "x.npy": x.subarray(0, -1) })).toEqual(malformed("it is cut off"))
    expect(await both({ "x.npy": npy("<f4", [2, 1], [1, 2], "True") })).toEqual(malformed("by columns"))
    expect(
      await both({
        "x.npy": npy(
          [
            ["a", "<f4"],
            ["b", "<f4"],
          ],
          [2],
          [1, 2, 3, 4],
        ),
      }),
    ).toEqual(malformed("structured"))
    expect(await refused({ "x.npy": x })).toMatchObject({ tag: "MissingFile" })
    const wide = npy("<f4", [2 ** 40, 2 ** 20], [])
    expect(await both({ "x.npy": wide })).toMatchObject({ tag: "MalformedFile" })
  })
})
