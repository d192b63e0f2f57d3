import { expect, test } from "bun:test"
import { join } from "node:path"
import * as Key from "@spikeroute/core/random"
import { Effect } from "effect"
import { type AugmentationName, open } from "../src/index.ts"
import { failure, jpeg, png, run, withDirectory } from "./support.ts"

const mean = [0.485, 0.456, 0.406]
const std = [0.229, 0.224, 0.225]
/** Converts normalised values back to bytes. */
const bytes = (values: Float32Array) =>
  Array.from(values, (value, i) => Math.round((value * (std[i % 3] as number) + (mean[i % 3] as number)) * 255) || 0)

const grey = (value: number) => [value, value, value] as const
const files = {
  "train/wolf/b.png": png(4, 4, (x, y) => [x * 10, y * 10, 200]),
  "train/wolf/a.JPEG": jpeg(10),
  "train/cat/1.png": png(2, 2, () => [1, 2, 3]),
  "train/cat/notes.txt": "no image",
  "val/cat/x.png": png(16, 8, (x) => grey(x < 8 ? 0 : 255)),
  "val/wolf/x.jpg": jpeg(100),
}

test("classes are the folders sorted by name; images are resized to size × size and normalised", async () => {
  for (const folder of ["", "image-folder/"]) {
    const placed = Object.fromEntries(Object.entries(files).map(([name, content]) => [folder + name, content]))
    await withDirectory(placed, async (dataDir) => {
      const { classes, classNames, train, test, shape } = await run(
        open("image-folder", { timeSteps: 1, dataDir, size: 4 }),
      )
      expect([classes, classNames, shape]).toEqual([2, ["cat", "wolf"], [4, 4, 3]])
      expect(Array.from({ length: train.size }, (_, i) => train.label(i))).toEqual([0, 1, 1])
      expect(Array.from({ length: test.size }, (_, i) => test.label(i))).toEqual([0, 1])
      const out = new Float32Array(3 * 48)
      await run(train.write([0, 1, 2], undefined, out))
      const [one, block, gradient] = [0, 1, 2].map((i) => bytes(out.subarray(i * 48, (i + 1) * 48)))
      expect(one).toEqual(new Array(16).fill([1, 2, 3]).flat())
      expect(block).toEqual(new Array(48).fill(138))
      expect(gradient).toEqual(Array.from({ length: 16 }, (_, i) => [(i % 4) * 10, Math.floor(i / 4) * 10, 200]).flat())
      // The centre of the image, at half size: a pixel next to the edge between black and white has one of the filter
      // weights 1, 3, 3, 1 on the other side, and 255 ⁄ 8 is 32.
      await run(test.write([0, 1], undefined, out.subarray(0, 96)))
      const [edge, bright] = [bytes(out.subarray(0, 48)), bytes(out.subarray(48, 96))]
      expect(edge.slice(0, 12).filter((_, i) => i % 3 === 0)).toEqual([0, 32, 223, 255])
      expect(bright).toEqual(new Array(48).fill(228))
    })
  }
})

test("by default, training images are cropped and flipped depending only on the sample's key", async () => {
  await withDirectory(files, async (dataDir) => {
    const dataset = (augment?: ReadonlyArray<AugmentationName>) =>
      run(open("image-folder", { timeSteps: 1, dataDir, size: 4, ...(augment && { augment }) }))
    const usual = await dataset()
    const write = async (
      set: typeof usual,
      samples: ReadonlyArray<number>,
      keys: ReadonlyArray<Key.Key> | undefined,
    ) => {
      const out = new Float32Array(samples.length * 48)
      await run(set.train.write(samples, keys, out))
      return out
    }
    const key = Key.make(4)
    const alone = await write(usual, [2], [key])
    const both = await write(usual, [1, 2], [Key.make(9), key])
    expect(both.subarray(48)).toEqual(alone)
    expect(await write(usual, [2], [Key.make(5)])).not.toEqual(alone)
    const plain = await dataset([])
    expect(await write(plain, [2], [key])).toEqual(await write(usual, [2], undefined))
    const mirrored = bytes(await write(plain, [2], undefined))
    const flips = await dataset(["flip"])
    const seen = new Set<string>()
    for (let seed = 0; seed < 12; seed++) seen.add(bytes(await write(flips, [2], [Key.make(seed)])).join())
    const reversed = Array.from(
      { length: 48 },
      (_, i) => mirrored[Math.floor(i / 12) * 12 + (9 - 3 * (Math.floor(i / 3) % 4)) + (i % 3)],
    )
    expect(seen).toEqual(new Set([mirrored.join(), reversed.join()]))
  })
})

test("undecodable files and folders without images are named in one line", async () => {
  const refused = async (changes: Record<string, Uint8Array | string>, name = "val/wolf/x.jpg") => {
    let message = ""
    await withDirectory({ ...files, ...changes }, async (dataDir) => {
      const opened = open("image-folder", { timeSteps: 1, dataDir, size: 4 })
      const error = await failure(
        Effect.flatMap(opened, ({ test }) => test.write([0, 1], undefined, new Float32Array(96))),
      )
      message = error.message.replaceAll(dataDir, "…")
      if (error._tag === "MalformedFile") expect(error.file).toBe(join(dataDir, name))
    })
    expect(message).not.toContain("\n")
    return message
  }
  const { "val/wolf/x.jpg": whole } = files
  expect(await refused({ "val/wolf/x.jpg": whole.subarray(0, -4) })).toMatch(
    /^…\/val\/wolf\/x.jpg: begins ff d8 ff db \(a JPEG image\) and cannot be decoded: .+/,
  )
  expect(await refused({ "val/wolf/x.jpg": "hello" })).toContain('begins "hello"')
  const cut = files["val/cat/x.png"].subarray(0, -20)
  expect(await refused({ "val/cat/x.png": cut }, "val/cat/x.png")).toContain("(a PNG image) and cannot be decoded")
  expect(await refused({ "train/dog/1.txt": "" })).toContain("found no train/dog/*.jpg in …")
  expect(await refused({ "train/dog/1.png": files["train/cat/1.png"] })).toContain("found no val/dog/*.jpg in …")
  await withDirectory({ "other/x": "" }, async (dataDir) => {
    expect((await failure(open("image-folder", { timeSteps: 1, dataDir }))).message).toContain(
      "found no train/<class> in",
    )
  })
})

test("images in subfolders belong to the class and follow those of the folder itself", async () => {
  const nested = {
    ...files,
    "train/cat/0-deep/er/z.png": png(2, 2, () => [7, 8, 9]),
    "train/cat/0-deep/y.png": png(2, 2, () => [4, 5, 6]),
  }
  await withDirectory(nested, async (dataDir) => {
    const { train } = await run(open("image-folder", { timeSteps: 1, dataDir, size: 4, augment: [] }))
    expect(Array.from({ length: train.size }, (_, i) => train.label(i))).toEqual([0, 0, 0, 1, 1])
    const out = new Float32Array(3 * 48)
    await run(train.write([0, 1, 2], undefined, out))
    const pixels = [0, 1, 2].map((i) => bytes(out.subarray(i * 48, i * 48 + 3)))
    expect(pixels).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
    ])
  })
})
