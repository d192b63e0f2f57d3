/** A split of image files, decoded when a batch asks for them. */
import type * as Key from "@spikeroute/core/random"
import { Effect, FileSystem } from "effect"
import type { Split } from "../dataset.ts"
import { FileFailed } from "../errors.ts"
import type { Transform } from "../transform.ts"
import { decodeImage, toImage } from "./decode.ts"
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

/** The files as a `Split` of images [N, size, size, 3]. */
export const imageFiles: (options: ImageFilesOptions) => Effect.Effect<Split, never, FileSystem.FileSystem> =
  Effect.fnUntraced(function* ({ files, labels, size, augment, normalize }: ImageFilesOptions) {
    const fs = yield* FileSystem.FileSystem
    const fit = centerResizedCrop(size)
    const length = size * size * 3
    const finish = (image: Image, key: Key.Key | undefined): Image => {
      const changed = augment !== undefined && key !== undefined ? augment(image, key) : image
      return normalize(fit(changed, unusedKey), unusedKey)
    }
    return {
      size: files.length,
      label: (index) => labels[index] as number,
      write: (samples, keys, out) =>
        Effect.forEach(
          Array.from(samples),
          (sample, i) => {
            const file = files[sample] as string
            return fs.readFile(file).pipe(
              Effect.mapError(FileFailed.at(file)),
              Effect.flatMap((bytes) => decodeImage(file, bytes)),
              Effect.map((pixels) => out.set(finish(toImage(pixels), keys?.[i]).data, i * length)),
            )
          },
          { concurrency, discard: true },
        ),
    } satisfies Split
  })
