/**
 * Resampling with the triangle ("bilinear") filter, which widens when an image shrinks so that every source pixel
 * contributes: as Pillow's `resize(…, BILINEAR)` and `torch.nn.functional.interpolate(…, mode="bilinear",
 * antialias=True)`, in floats. Channels are independent, so it applies to event counts as well as colours.
 */
import { anObject, argument, type Kind, OptionError } from "@spikeroute/core/options"
import { assertCount } from "../checks.ts"
import type { Image } from "./image.ts"

/** A region of an image, in pixels; its edges may be fractional. */
export interface Box {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
}

/** For each target position: the first contributing source position, and the weights from there on. */
const weigh = (start: number, length: number, from: number, to: number) => {
  const scale = length / to
  const support = Math.max(scale, 1)
  return Array.from({ length: to }, (_, i) => {
    const center = start + (i + 0.5) * scale
    const first = Math.max(Math.floor(center - support + 0.5), 0)
    const end = Math.min(Math.floor(center + support + 0.5), from)
    const weights = Float64Array.from({ length: end - first }, (_, k) =>
      Math.max(0, 1 - Math.abs((first + k + 0.5 - center) / support)),
    )
    const sum = weights.reduce((total, weight) => total + weight, 0)
    return { first, weights: weights.map((weight) => weight / sum) }
  })
}

const anImage: Kind = [
  "an image, with height, width, channels and data",
  (value) => {
    const { height, width, channels, data } = Object(value)
    return (
      [height, width, channels].every((extent) => Number.isInteger(extent) && extent >= 1) && ArrayBuffer.isView(data)
    )
  },
]

/**
 * Resizes the region `box` of an image, by default all of it, to `height` × `width` pixels.
 *
 * @throws OptionError
 */
export const resize = (
  image: Image,
  height: number,
  width: number,
  box: Box = { top: 0, left: 0, height: image?.height, width: image?.width },
): Image => {
  const { height: rows, width: columns, channels, data } = argument(image, anImage, "resize")
  assertCount("resize", "height", height)
  assertCount("resize", "width", width)
  const part = argument(box, anObject, "resize", "box")
  const { top, left } = part
  if (!(top >= 0 && left >= 0 && part.height > 0 && part.width > 0 && top < rows && left < columns)) {
    const expected = `a part of the image's ${columns}×${rows} pixels`
    throw new OptionError({ owner: "resize", option: "box", value: part, expected })
  }
  const across = weigh(left, part.width, columns, width)
  const down = weigh(top, part.height, rows, height)
  const firstRow = down[0]?.first ?? 0
  const endRow = (down.at(-1)?.first ?? 0) + (down.at(-1)?.weights.length ?? 0)
  const line = width * channels
  // First horizontally, for the contributing rows only; then vertically.
  const narrowed = new Float32Array((endRow - firstRow) * line)
  for (let y = firstRow; y < endRow; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = across[x] as (typeof across)[number]
      const source = (y * columns + first) * channels
      const target = (y - firstRow) * line + x * channels
      for (let c = 0; c < channels; c++) {
        let sum = 0
        for (let k = 0, from = source + c; k < weights.length; k++, from += channels)
          sum += (weights[k] as number) * (data[from] as number)
        narrowed[target + c] = sum
      }
    }
  }
  const out = new Float32Array(height * line)
  for (let y = 0; y < height; y++) {
    const { first, weights } = down[y] as (typeof down)[number]
    for (let k = 0; k < weights.length; k++) {
      const weight = weights[k] as number
      const source = (first + k - firstRow) * line
      for (let i = 0; i < line; i++) out[y * line + i]! += weight * (narrowed[source + i] as number)
    }
  }
  return { height, width, channels, data: out }
}
