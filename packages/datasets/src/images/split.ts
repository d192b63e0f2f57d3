/** A split of images that are stored in memory as bytes and scaled when a batch is made. */
import { anObject, argument, assert, type Kind, OptionError, Positive } from "@spikeroute/core/options"
import type * as Key from "@spikeroute/core/random"
import { Schema } from "effect"
import { attempt, batchProblem } from "../checks.ts"
import type { Split } from "../dataset.ts"
import type { Transform } from "../transform.ts"
import type { Image } from "./image.ts"

/** Images of the same size with their classes: the output of the readers of image formats. */
export interface LabelledImages {
  /** [height, width, channels] */
  readonly shape: readonly [number, number, number]
  /** One byte per value, [n, height, width, channels]. */
  readonly pixels: Uint8Array
  /** The class of each image. */
  readonly labels: Uint8Array
}

/** Concatenates the images of several files; all must have the shape of the first. */
export const concatenate = (parts: readonly [LabelledImages, ...ReadonlyArray<LabelledImages>]): LabelledImages => {
  const { shape } = parts[0]
  const size = shape[0] * shape[1] * shape[2]
  const labels = new Uint8Array(parts.reduce((count, part) => count + part.labels.length, 0))
  const pixels = new Uint8Array(labels.length * size)
  let at = 0
  for (const part of parts) {
    pixels.set(part.pixels, at * size)
    labels.set(part.labels, at)
    at += part.labels.length
  }
  return { shape, pixels, labels }
}

/** The options of `imageSplit`. */
export interface ImageSplitOptions {
  /** The byte value that maps to 1: 255 for most data sets, 16 for optdigits. */
  readonly white: number
  /** Augmentation, applied only if a key is given. */
  readonly augment?: Transform<Image> | undefined
  /** Always applied, after `augment`. */
  readonly normalize?: Transform<Image>
}

/** Placeholder for transforms that ignore their key. */
export const unusedKey: Key.Key = { hi: 0, lo: 0 }

const someImages: Kind = [
  "images, with shape, pixels and labels",
  (value) => {
    const { shape, pixels, labels } = Object(value)
    return Array.isArray(shape) && ArrayBuffer.isView(pixels) && ArrayBuffer.isView(labels)
  },
]

/** Schema of the options that `imageSplit` checks. */
export const ImageSplitSchema: Schema.Codec<{ readonly white: number }> = Schema.Struct({ white: Positive })

/**
 * Makes a `Split` from images: pixel ⁄ white, then `augment` if a key is given, then `normalize`.
 *
 * @throws OptionError
 */
export const imageSplit = (images: LabelledImages, options: ImageSplitOptions): Split => {
  argument(options, anObject, "imageSplit", "options")
  const [height, width, channels] = argument(images, someImages, "imageSplit").shape
  const { white, augment, normalize } = options
  const length = height * width * channels
  assert("imageSplit", ImageSplitSchema, { white })
  if (images.pixels.length !== length * images.labels.length) {
    const expected = `as long as ${images.labels.length} images of ${images.shape.join("×")} are`
    throw new OptionError({ owner: "imageSplit", option: "pixels", value: images.pixels, expected })
  }
  return {
    size: images.labels.length,
    label: (index) => images.labels[index] as number,
    write: (samples, keys, out) =>
      attempt(() => {
        const problem = batchProblem(images.labels.length, samples, keys, out, length, 1)
        if (problem !== undefined) throw problem
        for (let i = 0; i < samples.length; i++) {
          const start = (samples[i] as number) * length
          const data = out.subarray(i * length, (i + 1) * length)
          for (let k = 0; k < length; k++) data[k] = (images.pixels[start + k] as number) / white
          let image: Image = { height, width, channels, data }
          const key = keys?.[i]
          if (augment !== undefined && key !== undefined) image = augment(image, key)
          if (normalize !== undefined) image = normalize(image, unusedKey)
          if (image.data !== data) data.set(image.data)
        }
      }),
  }
}
