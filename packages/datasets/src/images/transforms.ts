/**
 * Image transforms, under torchvision's names: https://pytorch.org/vision/stable/transforms.html
 *
 * Randomness comes from the key alone. Pixel values are those of the image: [0, 1] before `normalize`.
 */
import * as Key from "@spikeroute/core/random"
import type { Transform } from "../transform.ts"

/** An image, [height, width, channels], channels last. */
export interface Image {
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly data: Float32Array
}

/** torchvision's `RandomCrop(size, padding)` with the image's own size: pads with zeros, then cuts at random. */
export const randomCrop =
  (padding: number): Transform<Image> =>
  (image, key) => {
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

/** torchvision's `RandomHorizontalFlip(p)`: mirrors left and right with probability `p`. */
export const randomHorizontalFlip =
  (p = 0.5): Transform<Image> =>
  (image, key) => {
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

/** The settings of `cutout`. */
export interface CutoutOptions {
  /** Probability that anything is erased. */
  readonly p?: number
  /** Least and greatest part of the area. */
  readonly scale?: readonly [number, number]
  /** Least and greatest height ⁄ width. */
  readonly ratio?: readonly [number, number]
}

/**
 * Erases a rectangle with one grey value drawn from [0, 1): the "Cutout" of the SLTT authors' CIFAR training, which
 * is torchvision's `RandomErasing` (Zhong et al., "Random Erasing Data Augmentation", AAAI 2020) at p = 0.5, area
 * 2–40 %, aspect 0.4–2.5. A rectangle that does not fit is drawn anew, ten times at most; then nothing is erased.
 */
export const cutout =
  (options: CutoutOptions = {}): Transform<Image> =>
  (image, key) => {
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

/** torchvision's `Normalize(mean, std)`: (x − mean) ⁄ std for each channel. */
export const normalize =
  (mean: ReadonlyArray<number>, std: ReadonlyArray<number>): Transform<Image> =>
  (image) => {
    const { channels } = image
    const data = new Float32Array(image.data.length)
    for (let i = 0; i < data.length; i++) {
      const c = i % channels
      data[i] = ((image.data[i] as number) - (mean[c] as number)) / (std[c] as number)
    }
    return { ...image, data }
  }
