/** Images equal those of torchvision's loader: Pillow's `Image.open(file).convert("RGB")`. */
import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { deflateSync } from "node:zlib"
import { Effect } from "effect"
import { readImage } from "../src/images/decode.ts"
import { failure, jpeg, pngOf, realData, run } from "./support.ts"

const decode = (bytes: Uint8Array, mostPixels?: number) =>
  run(Effect.flatMap(readImage("f", bytes), (encoded) => encoded.decode(mostPixels)))

const rows = (...lines: ReadonlyArray<ReadonlyArray<number>>) =>
  deflateSync(Uint8Array.from(lines.flatMap((line) => [0, ...line])))

test("transparency is dropped, however it is stored", async () => {
  const rgba = pngOf({ width: 2, height: 1, colours: 6 }, rows([10, 20, 30, 0, 40, 50, 60, 128]))
  expect(Array.from((await decode(rgba)).data)).toEqual([10, 20, 30, 40, 50, 60])
  const grey = pngOf({ width: 2, height: 1, colours: 4 }, rows([10, 0, 200, 128]))
  expect(Array.from((await decode(grey)).data)).toEqual([10, 10, 10, 200, 200, 200])
  const palette = { PLTE: [1, 2, 3, 200, 100, 50], tRNS: [0, 77] }
  const indexed = pngOf({ width: 2, height: 1, colours: 3 }, rows([1, 0]), palette)
  expect(Array.from((await decode(indexed)).data)).toEqual([200, 100, 50, 1, 2, 3])
  const key = pngOf({ width: 1, height: 1 }, rows([9, 8, 7]), { tRNS: [0, 9, 0, 8, 0, 7] })
  expect(Array.from((await decode(key)).data)).toEqual([9, 8, 7])
})

test("16-bit colours are reduced to the upper 8 bits; 16-bit grey, which Pillow clips, is refused", async () => {
  const rgb = pngOf({ width: 1, height: 1, depth: 16 }, rows([10, 255, 20, 0, 30, 128]))
  expect(Array.from((await decode(rgb)).data)).toEqual([10, 20, 30])
  const alpha = pngOf({ width: 1, height: 1, depth: 16, colours: 4 }, rows([10, 255, 0, 0]))
  expect(Array.from((await decode(alpha)).data)).toEqual([10, 10, 10])
  const grey = pngOf({ width: 1, height: 1, depth: 16, colours: 0 }, rows([10, 255]))
  expect(await failure(readImage("f", grey))).toMatchObject({ _tag: "MalformedFile", file: "f" })
  const gamma = pngOf({ width: 1, height: 1 }, rows([9, 8, 7]), { gAMA: [0, 0, 0x20, 0] })
  expect(Array.from((await decode(gamma)).data)).toEqual([9, 8, 7])
})

test("grey with fewer bits is scaled to 0 … 255", async () => {
  const bits = pngOf({ width: 2, height: 1, depth: 1, colours: 0 }, rows([0b01000000]))
  expect(Array.from((await decode(bits)).data)).toEqual([0, 0, 0, 255, 255, 255])
  const nibbles = pngOf({ width: 2, height: 1, depth: 4, colours: 0 }, rows([0x3f]))
  expect(Array.from((await decode(nibbles)).data)).toEqual([51, 51, 51, 255, 255, 255])
})

test("an image above the pixel limit is shrunk by a whole number, without weighting by alpha", async () => {
  const line = (value: number, alpha: number) => new Array(8).fill([value, value, value, alpha]).flat()
  const rgba = pngOf({ width: 8, height: 8, colours: 6 }, rows(...new Array(8).fill(line(90, 0))))
  const { width, height, channels, data } = await decode(rgba, 16)
  expect([width, height, channels, new Set(data)]).toEqual([4, 4, 3, new Set([90])])
  expect(await decode(jpeg(10), 32)).toMatchObject({ width: 4, height: 4, channels: 3 })
  expect((await decode(jpeg(10), 64)).width).toBe(8)
})

test("an image with more pixels than Pillow accepts without a warning is refused", async () => {
  for (const [width, height] of [
    [10_000, 9000],
    [65_536, 1],
    [9, 8_388_620],
  ] as const) {
    const error = await failure(readImage("f", pngOf({ width, height }, rows([]))))
    expect(error).toMatchObject({ _tag: "MalformedFile", file: "f" })
  }
})

const directory = realData("real/images")

/** First 16 hexadecimal digits of the SHA-256 of Pillow's output. */
const sums: Readonly<Record<string, string>> = {
  "hopper.jpg": "719b9eeda0a26779",
  "hopper_gray.jpg": "af02452b49f6f7ed",
  "hopper_orientation_6.jpg": "054b80361ba3a307",
  "p_trns_single.png": "963f657c42caaa8f",
  "pil_sample_cmyk.jpg": "5f547263ecc1ead3",
  "sharp_16-bit-grey-alpha.png": "327953522f2318b3",
  "sharp_Flag_of_the_Netherlands-16bit.png": "a7d6fc33672af8eb",
  "sharp_Portrait_2.jpg": "084d13fc817102ef",
  "sharp_bggn4a16.png": "49cb0fced4469a89",
  "sharp_concert.jpg": "74f8566b8a59269f",
}

if (directory !== undefined && existsSync(directory))
  test("real images with colour profiles, orientations and CMYK match Pillow to the byte", async () => {
    for (const [file, sum] of Object.entries(sums)) {
      const { channels, data } = await decode(readFileSync(join(directory, file)))
      expect([file, channels, createHash("sha256").update(data).digest("hex").slice(0, 16)]).toEqual([file, 3, sum])
    }
    for (const file of [
      "sharp_corrupt-header.jpg",
      "sharp_truncated.png",
      "truncated_image.png",
      "truncated_jpeg.jpg",
    ]) {
      const bytes = readFileSync(join(directory, file))
      const error = await failure(Effect.flatMap(readImage(file, bytes), (encoded) => encoded.decode()))
      expect(error).toMatchObject({ _tag: "MalformedFile", file })
    }
  })
