/** Sizes are bounded by the header or the kind of file: memory use does not grow with data that decompress to more. */
import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, truncateSync } from "node:fs"
import { join } from "node:path"
import { deflateSync, gzipSync } from "node:zlib"
import { Effect } from "effect"
import { named, untar, unzip } from "../src/files/unpack.ts"
import { open } from "../src/index.ts"
import { failure, idx, jpeg, mnistFiles, png, pngOf, run, tar, withDirectory, zip } from "./support.ts"

/** Output and peak memory of a process that opens the data set and makes samples. */
const peak = (name: string, dataDir: string, samples: number) => {
  const program = [join(import.meta.dirname, "opens.ts"), name, dataDir, String(samples)]
  const { stdout, stderr, status } = spawnSync(process.execPath, program, { encoding: "utf8" })
  expect([status, stderr]).toEqual([0, ""])
  const { said, bytes } = JSON.parse(stdout) as { readonly said: string; readonly bytes: number }
  return { said, bytes }
}

const zeros = (bytes: number) => Buffer.alloc(bytes)
const mebi = 2 ** 20

// Deno starts child processes differently.
const testProcess = test.skipIf("Deno" in globalThis)

testProcess(
  "gzip data that exceed the declared size, or declare too large a size, are not decompressed",
  async () => {
    const good = mnistFiles(1, 1)
    const header = (count: number) => idx([count, 28, 28], [])
    const bombs = {
      "without a header": zeros(320 * mebi),
      "more than promised": Buffer.concat([header(1), zeros(320 * mebi)]),
      "too much promised": Buffer.concat([header(2 ** 31), zeros(320 * mebi)]),
    }
    for (const [bomb, content] of Object.entries(bombs)) {
      const files = { ...good, "train-images-idx3-ubyte.gz": gzipSync(content, { level: 1 }) }
      await withDirectory(files, async (dataDir) => {
        const { said, bytes } = peak("mnist", dataDir, 1)
        expect([bomb, said]).toEqual([
          bomb,
          expect.stringMatching(/^MalformedFile: .*train-images-idx3-ubyte\.gz, byte \d+: /),
        ])
        expect(bytes).toBeLessThan(230 * mebi)
      })
    }
  },
  60_000,
)

testProcess(
  "large images are shrunk while decoding, and images above the limits are refused",
  async () => {
    const side = 7000
    const bomb = pngOf({ width: side, height: side }, deflateSync(zeros(side * (1 + 3 * side)), { level: 1 }))
    const files = Object.fromEntries([1, 2, 3, 4].map((i) => [`train/a/${i}.png`, bomb]))
    await withDirectory({ ...files, "val/a/1.jpg": jpeg(1) }, async (dataDir) => {
      const { said, bytes } = peak("image-folder", dataDir, 4)
      // Black, normalised.
      expect(said).toBe(`4 samples from ${Math.fround(-0.485 / 0.229)}`)
      expect(bytes).toBeLessThan(600 * mebi)
    })
    // The second has few pixels, but in rows of 25 MB.
    for (const [width, height] of [
      [20_000, 20_000],
      [2 ** 23, 9],
    ] as const) {
      const promised = pngOf({ width, height }, deflateSync(zeros(10)))
      await withDirectory({ "train/a/1.png": promised, "val/a/1.jpg": jpeg(1) }, async (dataDir) => {
        const { said, bytes } = peak("image-folder", dataDir, 1)
        expect(said).toMatch(new RegExp(`^MalformedFile: .*1\\.png: it has ${width}×${height} pixels`))
        expect(bytes).toBeLessThan(230 * mebi)
      })
    }
  },
  60_000,
)

test("files above the size limit of their kind are not read", async () => {
  const good = png(2, 2, () => [1, 2, 3])
  await withDirectory({ "train/a/1.png": good, "val/a/1.png": good, "optdigits.tra": "" }, async (dataDir) => {
    truncateSync(join(dataDir, "optdigits.tra"), 2 ** 33)
    expect(await failure(open("optdigits", { timeSteps: 1, dataDir }))).toMatchObject({
      _tag: "MalformedFile",
      file: join(dataDir, "optdigits.tra"),
    })
  })
})

test("archives that exceed their declared size or the size of the data set are refused", async () => {
  const content = new Uint8Array(5000)
  const most = { bytes: 10_000, files: 2 }
  const packed = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`a/${i}.bin`, content]))
  const refused = async (make: typeof unzip, archive: Uint8Array) => {
    let tag = "unpacked"
    await withDirectory({ packed: archive }, async (directory) => {
      const target = join(directory, "made")
      tag = await run(
        Effect.match(make(join(directory, "packed"), named(/bin$/), target, most), {
          onSuccess: () => "unpacked",
          onFailure: (error) => error._tag,
        }),
      )
      expect(existsSync(target)).toBe(tag === "unpacked")
    })
    return tag
  }
  const tarred = (files: Record<string, Uint8Array>) => new Uint8Array(gzipSync(tar(files)))
  expect([await refused(unzip, zip(packed(2))), await refused(untar, tarred(packed(2)))]).toEqual([
    "unpacked",
    "unpacked",
  ])
  expect([await refused(unzip, zip(packed(3))), await refused(untar, tarred(packed(3)))]).toEqual(
    new Array(2).fill("MalformedFile"),
  )
  const large = { "a/0.bin": new Uint8Array(10_001) }
  expect([await refused(unzip, zip(large)), await refused(untar, tarred(large))]).toEqual(
    new Array(2).fill("MalformedFile"),
  )
})
