import { describe, expect, test } from "bun:test"
import * as Key from "@spikeroute/core/random"
import { Effect } from "effect"
import { compose, ImageTransforms, imageSplit } from "../src/index.ts"

const { cutout, normalize, randomCrop, randomHorizontalFlip } = ImageTransforms

/** An image with the values 1, 2, 3 … in order. */
const numbered = (height: number, width: number, channels: number): ImageTransforms.Image => ({
  height,
  width,
  channels,
  data: Float32Array.from({ length: height * width * channels }, (_, i) => i + 1),
})

describe("randomCrop", () => {
  test("shifts the image over zeros, by every offset up to the padding", () => {
    const image = numbered(4, 5, 2)
    const value = (y: number, x: number, c: number) =>
      y < 0 || y >= 4 || x < 0 || x >= 5 ? 0 : (image.data[(y * 5 + x) * 2 + c] as number)
    const shifted = (down: number, right: number) =>
      Array.from(image.data, (_, i) => value(Math.floor(i / 10) + down, (Math.floor(i / 2) % 5) + right, i % 2))
    const possible = new Set<string>()
    for (let down = -2; down <= 2; down++)
      for (let right = -2; right <= 2; right++) possible.add(shifted(down, right).join())
    const seen = new Set<string>()
    for (let seed = 0; seed < 400; seed++) {
      const cropped = randomCrop(2)(image, Key.make(seed)).data.join()
      expect(possible.has(cropped)).toBe(true)
      seen.add(cropped)
    }
    expect(seen.size).toBe(25)
  })
})

describe("randomHorizontalFlip", () => {
  test("mirrors the columns and keeps the channels", () => {
    const image = numbered(2, 3, 2)
    const flipped = randomHorizontalFlip(1)(image, Key.make(1))
    expect(Array.from(flipped.data)).toEqual([5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8])
    expect(randomHorizontalFlip(0)(image, Key.make(1)).data).toEqual(image.data)
  })

  test("occurs about half of the time", () => {
    const image = numbered(1, 2, 1)
    const flips = Array.from({ length: 1000 }, (_, i) => randomHorizontalFlip()(image, Key.make(i)).data[0] === 2)
    const share = flips.filter(Boolean).length / 1000
    expect(share).toBeGreaterThan(0.44)
    expect(share).toBeLessThan(0.56)
  })
})

describe("cutout", () => {
  test("fills a rectangle of 2–40 % with one grey, half of the time", () => {
    const image = { height: 32, width: 32, channels: 3, data: new Float32Array(3072).fill(-1) }
    let erasures = 0
    for (let seed = 0; seed < 300; seed++) {
      const { data } = cutout()(image, Key.make(seed))
      const erased = Array.from(data.keys()).filter((i) => data[i] !== -1)
      if (erased.length === 0) continue
      erasures++
      const pixels = erased.map((i) => Math.floor(i / 3))
      const rows = pixels.map((pixel) => Math.floor(pixel / 32))
      const columns = pixels.map((pixel) => pixel % 32)
      const area = (Math.max(...rows) - Math.min(...rows) + 1) * (Math.max(...columns) - Math.min(...columns) + 1)
      expect(erased.length).toBe(3 * area)
      expect(area / 1024).toBeGreaterThan(0.015)
      expect(area / 1024).toBeLessThan(0.43)
      const grey = data[erased[0] as number] as number
      expect(grey).toBeGreaterThanOrEqual(0)
      expect(grey).toBeLessThan(1)
      expect(erased.every((i) => data[i] === grey)).toBe(true)
    }
    expect(erasures).toBeGreaterThan(110)
    expect(erasures).toBeLessThan(190)
    expect(image.data.every((value) => value === -1)).toBe(true)
  })
})

test("normalize subtracts the mean and divides by the standard deviation per channel", () => {
  const image = { height: 1, width: 2, channels: 2, data: Float32Array.of(1, 1, 0.5, 0) }
  const { data } = normalize([0.5, 0], [0.5, 2])(image, Key.make(0))
  expect(Array.from(data)).toEqual([1, 0.5, 0, 0])
})

test("compose applies transforms in order, each with its own key", () => {
  const seen: Array<Key.Key> = []
  const note = (add: number) => (value: string, key: Key.Key) => {
    seen.push(key)
    return `${value}${add}`
  }
  expect(compose(note(1), note(2))("", Key.make(9))).toBe("12")
  expect(seen[0]).not.toEqual(seen[1])
  expect(seen).toEqual([Key.fold(Key.make(9), 0), Key.fold(Key.make(9), 1)])
})

describe("imageSplit", () => {
  const images = { shape: [1, 2, 1] as const, pixels: Uint8Array.of(0, 16, 8, 4), labels: Uint8Array.of(3, 1) }
  const written = (key: Key.Key | undefined) => {
    const augment = (image: ImageTransforms.Image) => ({ ...image, data: image.data.map((value) => value + 10) })
    const split = imageSplit(images, { white: 16, augment, normalize: normalize([1], [0.5]) })
    const out = new Float32Array(4)
    Effect.runSync(split.write([1, 0], key === undefined ? undefined : [key, key], out))
    return Array.from(out)
  }

  test("scales, and augments only with a key", () => {
    expect(written(undefined)).toEqual([-1, -1.5, -2, 0])
    expect(written(Key.make(1))).toEqual([19, 18.5, 18, 20])
  })
})
