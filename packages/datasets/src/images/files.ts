/** A split of image files, decoded when a batch is made. */
import type * as Key from "@spikeroute/core/random"
import { Effect, FileSystem, Semaphore } from "effect"
import { attempt, batchProblem } from "../checks.ts"
import type { Split } from "../dataset.ts"
import { readBytes } from "../files/read.ts"
import type { Transform } from "../transform.ts"
import { readImage, toImage } from "./decode.ts"
import type { Image } from "./image.ts"
import { unusedKey } from "./split.ts"
import { centerResizedCrop } from "./transforms.ts"

/** The options of `imageFiles`. */
export interface ImageFilesOptions {
  readonly files: ReadonlyArray<string>
  /** The class of each file. */
  readonly labels: ArrayLike<number>
  /** Width and height of the samples. Images that still have another size after `augment` get `centerResizedCrop`. */
  readonly size: number
  /** Augmentation, applied only if a key is given. */
  readonly augment?: Transform<Image> | undefined
  /** Always applied, last. */
  readonly normalize: Transform<Image>
}

/** Number of files of a batch that are read and decoded concurrently. */
const concurrency = 4

/** Greatest number of pixels of a decoded image: larger images are shrunk while decoding, one at a time. */
const mostPixels = 2 ** 22

/** Greatest size of a file, in bytes. */
const mostBytes = 2 ** 28

/** Makes a `Split` of images, [N, size, size, 3], from files. */
export const imageFiles: (options: ImageFilesOptions) => Effect.Effect<Split, never, FileSystem.FileSystem> =
  Effect.fnUntraced(function* ({ files, labels, size, augment, normalize }: ImageFilesOptions) {
    const fs = yield* FileSystem.FileSystem
    const fit = centerResizedCrop(size)
    const length = size * size * 3
    const large = yield* Semaphore.make(1)
    const load = Effect.fnUntraced(
      function* (file: string) {
        const encoded = yield* readImage(file, yield* readBytes(file, mostBytes))
        const pixels = encoded.decode(mostPixels)
        return yield* encoded.width * encoded.height > mostPixels ? large.withPermit(pixels) : pixels
      },
      Effect.provideService(FileSystem.FileSystem, fs),
    )
    const finish = (image: Image, key: Key.Key | undefined): Image => {
      const changed = augment !== undefined && key !== undefined ? augment(image, key) : image
      return normalize(fit(changed, unusedKey), unusedKey)
    }
    return {
      size: files.length,
      label: (index) => labels[index] as number,
      write: (samples, keys, out) => {
        const problem = batchProblem(files.length, samples, keys, out, length, 1)
        if (problem !== undefined) return Effect.fail(problem)
        return Effect.forEach(
          Array.from(samples),
          (sample, i) => {
            const place = i * length
            return Effect.flatMap(load(files[sample] as string), (pixels) =>
              attempt(() => out.set(finish(toImage(pixels), keys?.[i]).data, place)),
            )
          },
          { concurrency, discard: true },
        )
      },
    } satisfies Split
  })
