/**
 * Image transforms, under torchvision's names: https://pytorch.org/vision/stable/transforms.html
 *
 * Randomness comes only from the key. Pixel values are in [0, 1] before `normalize`. Arguments out of range throw
 * `OptionError` when the transform is created.
 */
import { assert, Float32, must, OptionError, Positive, Share, whole } from "@spikeroute/core/options"
import * as Key from "@spikeroute/core/random"
import { Schema } from "effect"
import type { Transform } from "../transform.ts"
import type { Image } from "./image.ts"
import { type Box, resize } from "./resize.ts"

export type { Image }

/** Greatest shift and greatest side of an image, in pixels. */
const most = 2 ** 15

const range = (bound: Schema.Finite) =>
  Schema.Tuple([bound, bound]).check(must("two numbers, the lesser one first", ([low, high]) => low <= high))

const part = { scale: Schema.optionalKey(range(Share)), ratio: Schema.optionalKey(range(Positive)) }

/** The Schema of each transform's arguments. */
export const schemas: Readonly<
  Record<
    | "randomCrop"
    | "randomHorizontalFlip"
    | "cutout"
    | "normalize"
    | "randomResizedCrop"
    | "centerResizedCrop"
    | "randomRoll",
    Schema.Codec<unknown>
  >
> = {
  randomCrop: Schema.Struct({ padding: whole(0, most) }),
  randomHorizontalFlip: Schema.Struct({ p: Share }),
  cutout: Schema.Struct({ p: Schema.optionalKey(Share), ...part }),
  normalize: Schema.Struct({ mean: Schema.Array(Float32), std: Schema.Array(Positive) }),
  randomResizedCrop: Schema.Struct({ size: whole(1, most), ...part }),
  centerResizedCrop: Schema.Struct({ size: whole(1, most) }),
  randomRoll: Schema.Struct({ shift: whole(0, most) }),
}

/** torchvision's `RandomCrop(size, padding)` with the image's own size: pads with zeros, then crops at a random position. */
export const randomCrop = (padding: number): Transform<Image> => {
  assert("randomCrop", schemas.randomCrop, { padding })
  return (image, key) => {
    const { height, width, channels } = image
    const random = Key.generator(key)
    const down = Math.floor(random.nextDoubleUnsafe() * (2 * padding + 1)) - padding
    const right = Math.floor(random.nextDoubleUnsafe() * (2 * padding + 1)) - padding
    const data = new Float32Array(image.data.length)
    const first = Math.max(0, -right)
    const end = Math.min(width, width - right)
    for (let y = Math.max(0, -down); y < Math.min(height, height - down); y++) {
      const source = ((y + down) * width + first + right) * channels
      data.set(image.data.subarray(source, source + (end - first) * channels), (y * width + first) * channels)
    }
    return { ...image, data }
  }
}

/** torchvision's `RandomHorizontalFlip(p)`: mirrors left and right with probability `p`. */
export const randomHorizontalFlip = (p = 0.5): Transform<Image> => {
  assert("randomHorizontalFlip", schemas.randomHorizontalFlip, { p })
  return (image, key) => {
    if (Key.generator(key).nextDoubleUnsafe() >= p) return image
    const { height, width, channels } = image
    const data = new Float32Array(image.data.length)
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const to = (y * width + x) * channels
        const from = (y * width + width - 1 - x) * channels
        for (let c = 0; c < channels; c++) data[to + c] = image.data[from + c] as number
      }
    }
    return { ...image, data }
  }
}

/** The options of `cutout`. */
export interface CutoutOptions {
  /** Probability of erasing. Default 0.5. */
  readonly p?: number
  /** Least and greatest fraction of the area. Default [0.02, 0.4]. */
  readonly scale?: readonly [number, number]
  /** Least and greatest height ⁄ width. Default [0.4, 2.5]. */
  readonly ratio?: readonly [number, number]
}

/**
 * Fills a rectangle with one grey value drawn from [0, 1): the "Cutout" of the SLTT authors' CIFAR training, which
 * is torchvision's `RandomErasing` (Zhong et al., "Random Erasing Data Augmentation", AAAI 2020) with p = 0.5, area
 * 2–40 % and aspect ratio 0.4–2.5. If ten successive rectangles do not fit, nothing is erased.
 */
export const cutout = (options: CutoutOptions = {}): Transform<Image> => {
  assert("cutout", schemas.cutout, options)
  return (image, key) => {
    const { p = 0.5, scale = [0.02, 0.4], ratio = [0.4, 2.5] } = options
    const { height, width, channels } = image
    const random = Key.generator(key)
    const between = (low: number, high: number) => low + (high - low) * random.nextDoubleUnsafe()
    if (random.nextDoubleUnsafe() >= p) return image
    for (let attempt = 0; attempt < 10; attempt++) {
      const area = between(...scale) * height * width
      const aspect = between(...ratio)
      const rows = Math.round(Math.sqrt(area * aspect))
      const columns = Math.round(Math.sqrt(area / aspect))
      if (rows >= height || columns >= width) continue
      const top = Math.floor(between(0, height - rows + 1))
      const left = Math.floor(between(0, width - columns + 1))
      const grey = random.nextDoubleUnsafe()
      const data = image.data.slice()
      for (let y = top; y < top + rows; y++) {
        data.fill(grey, (y * width + left) * channels, (y * width + left + columns) * channels)
      }
      return { ...image, data }
    }
    return image
  }
}

/** torchvision's `Normalize(mean, std)`: (x − mean) ⁄ std for each channel. */
export const normalize = (mean: ReadonlyArray<number>, std: ReadonlyArray<number>): Transform<Image> => {
  assert("normalize", schemas.normalize, { mean, std })
  const refuse = (option: string, value: unknown, count: number) => {
    throw new OptionError({ owner: "normalize", option, value, expected: `${count} numbers, one for each channel` })
  }
  if (std.length !== mean.length) refuse("std", std, mean.length)
  return (image) => {
    const { channels } = image
    if (mean.length !== channels) refuse("mean", mean, channels)
    const data = new Float32Array(image.data.length)
    for (let i = 0; i < data.length; i++) {
      const c = i % channels
      data[i] = ((image.data[i] as number) - (mean[c] as number)) / (std[c] as number)
    }
    return { ...image, data }
  }
}

const crop = ({ width: columns, channels, data }: Image, { top, left, height, width }: Box): Image => {
  const cut = new Float32Array(height * width * channels)
  for (let y = 0; y < height; y++) {
    const source = ((top + y) * columns + left) * channels
    cut.set(data.subarray(source, source + width * channels), y * width * channels)
  }
  return { height, width, channels, data: cut }
}

/** The options of `randomResizedCrop`. */
export interface ResizedCropOptions {
  /** Least and greatest fraction of the area. Default [0.08, 1]. */
  readonly scale?: readonly [number, number]
  /** Least and greatest width ⁄ height. Default [3 ⁄ 4, 4 ⁄ 3]. */
  readonly ratio?: readonly [number, number]
}

/**
 * torchvision's `RandomResizedCrop(size)`: resizes a region of random area and aspect ratio to `size` × `size` pixels. If ten
 * successive regions do not fit, it takes the centre of the image with the nearest allowed aspect ratio.
 */
export const randomResizedCrop = (size: number, options: ResizedCropOptions = {}): Transform<Image> => {
  assert("randomResizedCrop", schemas.randomResizedCrop, { size, ...options })
  const { scale = [0.08, 1], ratio = [3 / 4, 4 / 3] } = options
  return (image, key) => {
    const { height, width } = image
    const random = Key.generator(key)
    const between = (low: number, high: number) => low + (high - low) * random.nextDoubleUnsafe()
    for (let attempt = 0; attempt < 10; attempt++) {
      const area = between(...scale) * height * width
      const aspect = Math.exp(between(Math.log(ratio[0]), Math.log(ratio[1])))
      const columns = Math.round(Math.sqrt(area * aspect))
      const rows = Math.round(Math.sqrt(area / aspect))
      if (columns < 1 || rows < 1 || columns > width || rows > height) continue
      const top = Math.floor(between(0, height - rows + 1))
      const left = Math.floor(between(0, width - columns + 1))
      return resize(crop(image, { top, left, height: rows, width: columns }), size, size)
    }
    const columns = Math.min(width, Math.round(height * ratio[1]))
    const rows = Math.min(height, Math.round(width / ratio[0]))
    const top = Math.floor((height - rows) / 2)
    const left = Math.floor((width - columns) / 2)
    return resize(crop(image, { top, left, height: rows, width: columns }), size, size)
  }
}

/** Offset that centres `part` in `whole`; halves round to even, as in Python's `round`. */
const middle = (whole: number, part: number): number => {
  const start = (whole - part) / 2
  return Number.isInteger(start) ? start : 2 * Math.round(start / 2)
}

/**
 * torchvision's `Resize(⌊size·256 ⁄ 224⌋)` and `CenterCrop(size)`: scales the shorter side to 8 ⁄ 7 of `size` and crops the
 * central `size` × `size` pixels. An image that already has that size is returned unchanged.
 */
export const centerResizedCrop = (size: number): Transform<Image> => {
  assert("centerResizedCrop", schemas.centerResizedCrop, { size })
  return (image) => {
    const { height, width } = image
    if (height === size && width === size) return image
    const shorter = Math.floor((size * 256) / 224)
    const scale = shorter / Math.min(height, width)
    const rows = height <= width ? shorter : Math.floor(height * scale)
    const columns = width <= height ? shorter : Math.floor(width * scale)
    // Only the central part of the resized image is computed.
    const top = middle(rows, size)
    const left = middle(columns, size)
    const perRow = height / rows
    const perColumn = width / columns
    return resize(image, size, size, {
      top: top * perRow,
      left: left * perColumn,
      height: size * perRow,
      width: size * perColumn,
    })
  }
}

/** Shifts the image by up to `shift` pixels along each axis, with wrap-around. */
export const randomRoll = (shift: number): Transform<Image> => {
  assert("randomRoll", schemas.randomRoll, { shift })
  return (image, key) => {
    const { height, width, channels } = image
    const random = Key.generator(key)
    const draw = () => Math.floor(random.nextDoubleUnsafe() * (2 * shift + 1)) - shift
    const down = draw()
    const right = draw()
    const data = new Float32Array(image.data.length)
    const line = width * channels
    const cut = ((((width - right) % width) + width) % width) * channels
    for (let y = 0; y < height; y++) {
      const source = image.data.subarray(y * line, (y + 1) * line)
      const target = ((((y + down) % height) + height) % height) * line
      data.set(source.subarray(cut), target)
      data.set(source.subarray(0, cut), target + line - cut)
    }
    return { ...image, data }
  }
}
