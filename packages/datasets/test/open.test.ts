import { describe, expect, test } from "bun:test"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { nearest } from "@spikeroute/core/text"
import { Effect, FileSystem, PlatformError } from "effect"
import { type Dataset, datasets, open } from "../src/index.ts"
import { cifarRecord, failure, idx, mnistFiles, nmnistEvent, run, withDirectory } from "./support.ts"

const digit = (first: number, label: number) => `${[first, ...new Array(63).fill(0), label].join(",")}\n`

const first = async (dataset: Dataset, split: "train" | "test", index: number, timeSteps = 1) => {
  const out = new Float32Array(timeSteps * dataset.shape.reduce((a, b) => a * b, 1))
  await Effect.runPromise(dataset[split].write([index], undefined, out))
  return out
}

const labels = ({ size, label }: Dataset["train"]) => Array.from({ length: size }, (_, i) => label(i))

/** The one-line error of opening, without the directory's name. */
const refusal = async (name: string, dataDir: string, timeSteps = 1) => {
  const error = await failure(open(name, { timeSteps, dataDir }))
  expect(error.message).not.toContain("\n")
  return `${error._tag}: ${error.message.replaceAll(dataDir, "…")}`
}

describe("open with a data directory", () => {
  test("reads files from a folder named after the data set, or from the directory itself", async () => {
    for (const folder of ["", "mnist/"]) {
      const files = Object.entries(mnistFiles(4, 2)).map(([name, bytes]) => [folder + name, bytes])
      await withDirectory(Object.fromEntries(files), async (dataDir) => {
        const dataset = await run(open("mnist", { timeSteps: 3, dataDir }))
        expect([dataset.train.size, dataset.test.size]).toEqual([4, 2])
        expect(labels(dataset.train)).toEqual([0, 1, 2, 3])
        expect((await first(dataset, "train", 3)).every((value) => value === Math.fround(30 / 255))).toBe(true)
      })
    }
  })

  test("reads uncompressed IDX files", async () => {
    const files = {
      "train-images-idx3-ubyte": idx([1, 28, 28], new Array(784).fill(255)),
      "train-labels-idx1-ubyte": idx([1], [9]),
      "t10k-images-idx3-ubyte": idx([1, 28, 28], new Array(784).fill(0)),
      "t10k-labels-idx1-ubyte": idx([1], [0]),
    }
    await withDirectory(files, async (dataDir) => {
      const dataset = await run(open("fashion-mnist", { timeSteps: 1, dataDir }))
      expect((await first(dataset, "train", 0))[783]).toBe(1)
      expect(dataset.classNames?.[dataset.train.label(0)]).toBe("Ankle boot")
    })
  })

  test("reads CIFAR files sorted by number, prefers whole files to parts, and finds them in the archive's folder", async () => {
    const records = (...values: ReadonlyArray<number>) =>
      Uint8Array.from(values.flatMap((value) => cifarRecord([value], () => 0)))
    const files = {
      "cifar-10-batches-bin/data_batch_2.bin": records(2),
      "cifar-10-batches-bin/data_batch_1.bin": records(1, 8),
      "cifar-10-batches-bin/data_batch_1.first1.bin": records(1),
      "cifar-10-batches-bin/data_batch_3.first1.bin": records(3),
      "cifar-10-batches-bin/test_batch.bin": records(7),
    }
    await withDirectory(files, async (dataDir) => {
      const dataset = await run(open("cifar10", { timeSteps: 1, dataDir }))
      expect(labels(dataset.train)).toEqual([1, 8, 2, 3])
      expect(labels(dataset.test)).toEqual([7])
      // Black, normalised: −mean ⁄ std per channel.
      const pixel = Array.from((await first(dataset, "test", 0)).subarray(0, 3))
      expect(pixel).toEqual([-0.4914 / 0.2023, -0.4822 / 0.1994, -0.4465 / 0.201].map(Math.fround))
    })
  })

  test("reads CIFAR-100's fine labels", async () => {
    const file = Uint8Array.from(cifarRecord([19, 99], () => 255))
    await withDirectory({ "train.bin": file, "test.bin": file }, async (dataDir) => {
      const dataset = await run(open("cifar100", { timeSteps: 1, dataDir }))
      expect(dataset.classes).toBe(100)
      expect(dataset.classNames?.[dataset.test.label(0)]).toBe("worm")
    })
  })

  test("reads N-MNIST recordings by digit, divided by count by default", async () => {
    const recording = Uint8Array.from([10, 20, 30, 40].flatMap((t, i) => nmnistEvent(i, 5, i % 2, t)))
    const late = Uint8Array.from([0, 1, 2, 999].flatMap((t) => nmnistEvent(33, 33, 1, t)))
    const files = { "Train/0/00002.bin": recording, "Train/7/00001.bin": late, "Test/3/00009.bin": recording }
    await withDirectory(files, async (dataDir) => {
      const counted = await run(open("nmnist", { timeSteps: 2, dataDir }))
      expect(labels(counted.train)).toEqual([0, 7])
      expect(labels(counted.test)).toEqual([3])
      const frames = await first(counted, "train", 0, 2)
      const at = (step: number, x: number, y: number, p: number) => frames[((step * 34 + y) * 34 + x) * 2 + p]
      expect([at(0, 0, 5, 0), at(0, 1, 5, 1), at(1, 2, 5, 0), at(1, 3, 5, 1)]).toEqual([1, 1, 1, 1])
      const timed = await run(open("nmnist", { timeSteps: 2, dataDir, framing: "duration" }))
      const last = 34 * 34 * 2 - 1
      const late = [await first(counted, "train", 1, 2), await first(timed, "train", 1, 2)]
      expect(late.map((out) => [out[last], out[2 * last + 1]])).toEqual([
        [2, 2],
        [3, 1],
      ])
    })
  })

  test("appends the digits of optdigits.hol to those of optdigits.tra", async () => {
    const files = { "optdigits.tra": digit(16, 1), "optdigits.tes": digit(0, 2) }
    await withDirectory(files, async (dataDir) => {
      expect(labels((await run(open("optdigits", { timeSteps: 1, dataDir }))).train)).toEqual([1])
    })
    await withDirectory({ ...files, "optdigits.hol": digit(8, 3) }, async (dataDir) => {
      const dataset = await run(open("optdigits", { timeSteps: 1, dataDir }))
      expect(labels(dataset.train)).toEqual([1, 3])
      expect([(await first(dataset, "train", 0))[0], (await first(dataset, "train", 1))[0]]).toEqual([1, 0.5])
    })
  })

  test("the sample description matches the opened data set", async () => {
    for (const [name, { sample, description }] of Object.entries(datasets)) {
      if (sample?.classNames) expect(new Set(sample.classNames).size).toBe(sample.classes)
      expect(description).not.toContain("\n")
      expect(nearest(`${name}x`, Object.keys(datasets))).toBe(name)
    }
    const { shape, classes, encoding } = await run(open("shapes", { timeSteps: 1 }))
    expect(datasets.shapes?.sample).toMatchObject({ shape, classes, encoding })
  })
})

describe("open fails with one line", () => {
  test("invalid names and numbers", async () => {
    expect(await refusal("fashionmnist", "…")).toBe(
      'UnknownDataset: no data set is called "fashionmnist" (did you mean "fashion-mnist"?); there are shapes, heartbeats, mnist, fashion-mnist, cifar10, cifar100, nmnist, dvs-gesture, cifar10-dvs, shd, ssc, image-folder, events-folder, audio-folder, arrays, optdigits',
    )
    expect(await refusal("toString", "…")).toStartWith('UnknownDataset: no data set is called "toString"; there are')
    const refused = (name: string, options: object) => failure(open(name, { timeSteps: 1, ...options }))
    const expected: ReadonlyArray<readonly [name: string, options: object, option: string]> = [
      ["shapes", { timeSteps: 0 }, "timeSteps"],
      ["shapes", { timeSteps: 2.5 }, "timeSteps"],
      ["shapes", { timeSteps: Number.NaN }, "timeSteps"],
      ["shapes", { timeSteps: undefined }, "timeSteps"],
      ["shapes", { seed: -1 }, "seed"],
      ["shapes", { framing: "counts" }, "framing"],
      ["shapes", { eventTransform: 3 }, "eventTransform"],
      ["shapes", { dataDir: "" }, "dataDir"],
      ["shapes", { timestep: 3 }, "timestep"],
      ["mnist", { size: 14 }, "size"],
      ["dvs-gesture", { size: 129 }, "size"],
      ["dvs-gesture", { size: 0 }, "size"],
      ["cifar10", { augment: ["flip", "flop"] }, "augment.1"],
      ["cifar10", { augment: "flip" }, "augment"],
    ]
    for (const [name, options, option] of expected)
      expect([name, options, await refused(name, options)]).toMatchObject([
        name,
        options,
        { _tag: "OptionError", owner: name, option },
      ])
  })

  test("missing files: names them and the searched directories, and never downloads", async () => {
    await withDirectory(
      { "train-images-idx3-ubyte.gz": gzipSync(idx([1, 28, 28], new Array(784).fill(0))) },
      async (dir) => {
        expect(await refusal("mnist", dir)).toBe(
          "MissingFile: mnist: found no train-labels-idx1-ubyte.gz or train-labels-idx1-ubyte in …/mnist or …: put it there, or name no data directory to have https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz downloaded",
        )
        expect(await refusal("cifar10", dir)).toStartWith(
          "MissingFile: cifar10: found no data_batch_[1-5].bin in …/cifar10",
        )
        expect(await refusal("nmnist", dir)).toStartWith(
          "MissingFile: nmnist: found no Train/<digit>/*.bin in …/nmnist or …:",
        )
        expect(await refusal("optdigits", join(dir, "nowhere"))).toStartWith(
          "MissingFile: optdigits: found no optdigits.tra",
        )
      },
    )
  })

  test("truncated, corrupt or foreign files: names the file and the offset", async () => {
    const good = mnistFiles(2, 1)
    const images = good["train-images-idx3-ubyte.gz"] as Uint8Array
    const broken = (changes: Record<string, Uint8Array | string>, name = "mnist", files: typeof changes = good) => {
      let line = ""
      return withDirectory({ ...files, ...changes }, async (dir) => {
        line = await refusal(name, dir)
      }).then(() => line)
    }
    expect(await broken({ "train-images-idx3-ubyte.gz": images.subarray(0, images.length - 9) })).toMatch(
      /^MalformedFile: …\/train-images-idx3-ubyte.gz, byte \d+: the gzip data is truncated or corrupt/,
    )
    expect(await broken({ "train-images-idx3-ubyte.gz": "<html>not found" })).toBe(
      'MalformedFile: …/train-images-idx3-ubyte.gz, byte 0: an IDX file begins 00 00 08 03, this one "<html>not found" (a web page)',
    )
    expect(await broken({ "train-images-idx3-ubyte.gz": "" })).toBe(
      "MalformedFile: …/train-images-idx3-ubyte.gz, byte 0: the file ends inside its header of 16 bytes",
    )
    expect(await broken({ "t10k-images-idx3-ubyte.gz": idx([1, 2, 2], [0, 0, 0, 0]) })).toBe(
      "MalformedFile: …/t10k-images-idx3-ubyte.gz, byte 8: its images are 2×2×1, those of mnist are 28×28×1",
    )
    expect(await broken({ "train-labels-idx1-ubyte.gz": idx([2], [3, 10]) })).toBe(
      "MalformedFile: …/train-labels-idx1-ubyte.gz, byte 9: label 10 of sample 1 is not in 0 … 9",
    )
    const record = Uint8Array.from(cifarRecord([1], () => 0))
    expect(await broken({ "test_batch.bin": record.subarray(1) }, "cifar10", { "data_batch_1.bin": record })).toBe(
      "MalformedFile: …/test_batch.bin, byte 0: record 0 is cut off after 3072 of 3073 bytes",
    )
    expect(await broken({ "optdigits.hol": "1,2" }, "optdigits", { "optdigits.tra": digit(1, 1) })).toStartWith(
      "MalformedFile: …/optdigits.hol, line 1: 2 values instead of 65",
    )
  })

  test("a truncated recording: the batch that contains it fails", async () => {
    const recording = Uint8Array.from(nmnistEvent(1, 1, 1, 5))
    const files = { "Train/0/1.bin": recording, "Train/0/2.bin": recording.subarray(2), "Test/0/1.bin": recording }
    await withDirectory(files, async (dataDir) => {
      const { train } = await run(open("nmnist", { timeSteps: 1, dataDir }))
      const error = await Effect.runPromise(Effect.flip(train.write([0, 1], undefined, new Float32Array(2 * 2312))))
      expect(error._tag).toBe("MalformedFile")
      expect(error.message).toBe(`${join(dataDir, "Train/0/2.bin")}, byte 3: it holds no event`)
    })
  })

  // Deno words system errors differently.
  test.skipIf("Deno" in globalThis)("file-system errors, in the system's words", async () => {
    await withDirectory({ "file/mnist": "", "nmnist/Train/0/1.bin/x": "" }, async (dir) => {
      mkdirSync(join(dir, "train-images-idx3-ubyte.gz"))
      expect(await refusal("mnist", join(dir, "file"))).toBe(
        "FileFailed: …/mnist/train-images-idx3-ubyte.gz: not a directory",
      )
      expect(await refusal("mnist", dir)).toBe(
        "FileFailed: …/train-images-idx3-ubyte.gz: it is a directory, not a file",
      )
    })
    const denied = FileSystem.layerNoop({
      exists: () => Effect.succeed(true),
      stat: () =>
        Effect.fail(PlatformError.systemError({ _tag: "PermissionDenied", module: "FileSystem", method: "stat" })),
    })
    const error = await failure(open("optdigits", { timeSteps: 1, dataDir: "/d" }).pipe(Effect.provide(denied)))
    expect(error.message).toBe("/d/optdigits/optdigits.tra: permission denied")
  })
})
