import { describe, expect, test } from "bun:test"
import * as Key from "@spikeroute/core/random"
import fc from "fast-check"
import { ImageTransforms, resize } from "../src/index.ts"

const { centerResizedCrop, randomResizedCrop, randomRoll } = ImageTransforms

const image = ([height, width, channels]: readonly [number, number, number]): ImageTransforms.Image => ({
  height,
  width,
  channels,
  data: Float32Array.from({ length: height * width * channels }, (_, i) => (i * 7919) % 101),
})

const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0)

// Output of `python resize.py`: PyTorch's interpolate with antialias, in float64.
const expected = [
  {
    from: [8, 8, 2],
    to: 3,
    first: [50.84, 47.5651, 50.0213, 50.0138, 48.7396, 49.5914, 56.9868, 47.4868],
    sum: 888.9051,
  },
  { from: [5, 7, 1], to: 4, first: [30.7024, 53.0, 40.57, 34.1548, 51.7143, 46.1167, 48.8367], sum: 811.5559 },
  { from: [3, 2, 1], to: 5, first: [0.0, 4.1, 20.5, 36.9, 41.0, 32.8, 32.86, 33.1], sum: 896 },
  { from: [128, 128, 2], to: 48, first: [62.6946, 39.2756, 40.0232, 59.5702, 63.3409, 36.41], sum: 230399.6644 },
] as const

describe("resize", () => {
  for (const { from, to, first, sum: total } of expected) {
    test(`${from.join("×")} to ${to}×${to} equals PyTorch`, () => {
      const resized = resize(image(from), to, to)
      for (const [i, value] of first.entries()) expect(resized.data[i]).toBeCloseTo(value, 3)
      expect(Math.abs(sum(resized.data) / total - 1)).toBeLessThan(1e-6)
    })
  }

  test("does not mix channels, and does not wrap large counts", () => {
    const frames = image([128, 128, 2])
    for (let i = 0; i < frames.data.length; i += 2) {
      frames.data[i] = 1000
      frames.data[i + 1] = 0
    }
    const { data } = resize(frames, 48, 48)
    for (let i = 0; i < data.length; i += 2) {
      expect(data[i]).toBeCloseTo(1000, 2)
      expect(data[i + 1]).toBe(0)
    }
  })
})

describe("centerResizedCrop", () => {
  const cases = [
    { from: [20, 31, 1], first: [25.9704, 55.4382, 49.3817, 38.7774, 30.3998, 60.8151], sum: 9588.6053 },
    { from: [40, 24, 1], first: [45.5238, 53.244, 44.879, 47.3889, 59.8651, 41.5337], sum: 9826.3107 },
    { from: [20, 34, 1], first: [45.5234, 42.7142, 59.5725, 38.1667, 48.0864, 46.4482], sum: 10159.8386 },
  ] as const
  for (const { from, first, sum: total } of cases) {
    test(`of ${from.join("×")} is the centre of the resized image`, () => {
      const { height, width, data } = centerResizedCrop(14)(image(from), Key.make(0))
      expect([height, width]).toEqual([14, 14])
      for (const [i, value] of first.entries()) expect(data[i]).toBeCloseTo(value, 3)
      expect(Math.abs(sum(data) / total - 1)).toBeLessThan(1e-6)
    })
  }
})

test("randomResizedCrop: any image becomes size × size, from a region with the requested area and aspect ratio", () => {
  // The two channels hold the column and row of each pixel, so that the result shows the source region.
  const places = (height: number, width: number): ImageTransforms.Image => ({
    height,
    width,
    channels: 2,
    data: Float32Array.from({ length: height * width * 2 }, (_, i) =>
      i % 2 === 0 ? Math.floor(i / 2) % width : Math.floor(i / 2 / width),
    ),
  })
  const side = fc.integer({ min: 1, max: 60 })
  fc.assert(
    fc.property(side, side, fc.nat(), (height, width, seed) => {
      const { data, ...shape } = randomResizedCrop(8)(places(height, width), Key.make(seed))
      expect(shape).toEqual({ height: 8, width: 8, channels: 2 })
      expect(data.every((value, i) => value >= 0 && value < (i % 2 === 0 ? width : height))).toBe(true)
    }),
  )
  const extents = Array.from({ length: 200 }, (_, seed) => {
    const { data } = randomResizedCrop(8)(places(160, 160), Key.make(seed))
    // The centres of the first and last column (row) are 7 ⁄ 8 of the region apart.
    return [(data[14]! - data[0]!) * (8 / 7), (data[113]! - data[1]!) * (8 / 7)] as const
  })
  for (const [width, height] of extents) {
    expect((width * height) / 25_600).toBeGreaterThan(0.07)
    expect((width * height) / 25_600).toBeLessThan(1.02)
    expect(width / height).toBeGreaterThan(0.72)
    expect(width / height).toBeLessThan(1.38)
  }
  const areas = extents.map(([width, height]) => (width * height) / 25_600)
  expect(Math.min(...areas)).toBeLessThan(0.15)
  expect(Math.max(...areas)).toBeGreaterThan(0.8)
})

test("randomRoll shifts by up to the limit along each axis, with wrap-around", () => {
  const original = image([3, 4, 2])
  const rolled = (down: number, right: number) =>
    Array.from(original.data, (_, i) => {
      const [c, x, y] = [i % 2, Math.floor(i / 2) % 4, Math.floor(i / 8)]
      return original.data[(((y - down + 6) % 3) * 4 + ((x - right + 8) % 4)) * 2 + c]
    }).join()
  const possible = new Set<string>()
  for (const down of [-1, 0, 1]) for (const right of [-1, 0, 1]) possible.add(rolled(down, right))
  const seen = new Set(Array.from({ length: 100 }, (_, seed) => randomRoll(1)(original, Key.make(seed)).data.join()))
  expect(seen).toEqual(possible)
})
