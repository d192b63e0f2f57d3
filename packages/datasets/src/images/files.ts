/** A split of image files, decoded when a batch asks for them. */
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

/** Where image files are and what becomes of them. */
export interface ImageFilesOptions {
  readonly files: ReadonlyArray<string>
  /** The class of each file. */
  readonly labels: ArrayLike<number>
  /** Width and height of the samples: what `augment` leaves of another size gets `centerResizedCrop`. */
  readonly size: number
  /** Random changes, made only where a key is given. */
  readonly augment?: Transform<Image> | undefined
  /** Made always, last. */
  readonly normalize: Transform<Image>
}

/** How many files of a batch are read and decoded at once. */
const concurrency = 4

/** Pixels of an image that are taken into memory at most: one of more is shrunk while it is decoded, one at a time. */
const mostPixels = 2 ** 22

/** Bytes of a file at most. */
const mostBytes = 2 ** 28

/** The files as a `Split` of images [N, size, size, 3]. */
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
