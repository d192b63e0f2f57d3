/**
 * A folder of images in ImageNet's layout (Russakovsky et al., "ImageNet large scale visual recognition challenge",
 * 2015): `train/<class>/*` and `val/<class>/*`, JPEG or PNG. The classes are the folders of `train`, sorted by name. As in
 * torchvision's `ImageFolder`, subfolders of a class are included and files beside the class folders are ignored. Images in other
 * formats within a class are an error.
 *
 * ImageNet itself is available on request at https://image-net.org/download-images. Nothing is downloaded here.
 */
import { Effect, Path } from "effect"
import { augmentation } from "../augmentations.ts"
import { MalformedFile, MissingFile } from "../errors.ts"
import { foldersOf } from "../files/class-folders.ts"
import { listMatching, searched } from "../files/locate.ts"
import { imageFiles } from "../images/files.ts"
import { normalize } from "../images/transforms.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "image-folder"

/** Normalisation with ImageNet's mean and standard deviation per channel, as in torchvision. */
const normalized = normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])

const filePattern = /\.(jpe?g|png)$/i

/** Extensions that torchvision reads. */
const torchvisionPattern = /\.(jpe?g|png|ppm|bmp|pgm|tiff?|webp)$/i

/** Those, and image extensions that torchvision ignores. */
const imagePattern = /\.(jpe?g|png|ppm|bmp|pgm|tiff?|webp|gif|avif|heic|jp2|jxl|svg)$/i

/** Greatest depth of nested folders; bounds recursion through cyclic links. */
const deepest = 16

/** The images of a folder, then those of its subfolders, each sorted by name: torchvision's order. */
const imagesIn = (
  folder: string,
  depth = 0,
): Effect.Effect<
  ReadonlyArray<string>,
  Effect.Error<ReturnType<typeof foldersOf>>,
  Effect.Services<ReturnType<typeof foldersOf>>
> =>
  Effect.gen(function* () {
    const own = (yield* listMatching(folder, imagePattern)).filter((each) => each !== folder)
    if (depth === deepest) return own
    const within = yield* Effect.forEach(yield* foldersOf(folder), (each) => imagesIn(each, depth + 1))
    return [...own, ...within.flat()]
  })

const usualSide = 224
const usualAugment = ["resized-crop", "flip"] as const

const sample = { shape: [usualSide, usualSide, 3], classes: 1000, encoding: "static" } as const

/**
 * The data set: static images, by default [224, 224, 3], normalised per channel, with one class per folder (`sample` has
 * ImageNet's 1,000). By default, training images are augmented with "resized-crop" and "flip"; test images get
 * `centerResizedCrop`.
 */
export const imageFolder: Source = {
  description: "a folder of JPEG and PNG images by class, as ImageNet is laid out",
  sample,
  size: { greatest: 1024 },
  augment: usualAugment,
  costly: true,
  open: Effect.fnUntraced(function* (options: OpenOptions) {
    const path = yield* Path.Path
    const { size = usualSide, augment = usualAugment } = options
    const directories = yield* searched(name, options)
    const advice = "name the directory that holds train/<class> and val/<class> with images"
    const missing = (wanted: string, where: ReadonlyArray<string>) =>
      new MissingFile({ dataset: name, wanted: [wanted], searched: where, advice })

    let root: string | undefined
    let classNames: ReadonlyArray<string> = []
    for (const directory of directories) {
      if (classNames.length > 0) break
      root = directory
      classNames = (yield* foldersOf(path.join(directory, "train"))).map((each) => path.basename(each))
    }
    if (root === undefined || classNames.length === 0) return yield* missing("train/<class>", directories)

    const split = Effect.fnUntraced(function* (part: "train" | "val") {
      const own = new Set(classNames)
      const other = (yield* foldersOf(path.join(root, part))).find((each) => !own.has(path.basename(each)))
      if (other !== undefined) return yield* missing(`train/${path.basename(other)}, as there is ${other}`, [root])
      const files: Array<string> = []
      const labels: Array<number> = []
      for (const [label, className] of classNames.entries()) {
        const folder = path.join(root, part, className)
        const all = yield* imagesIn(folder)
        const images = all.filter((each) => torchvisionPattern.test(each))
        const foreign = images.length === 0 ? all[0] : images.find((each) => !filePattern.test(each))
        if (foreign !== undefined)
          return yield* new MalformedFile({
            file: foreign,
            problem: `${path.extname(foreign)} files are not read: convert them to JPEG or PNG, or move them out`,
          })
        if (images.length === 0) return yield* missing(`${part}/${className}/*.jpg`, [root])
        for (const file of images) {
          files.push(file)
          labels.push(label)
        }
      }
      return yield* imageFiles({
        files,
        labels: Uint32Array.from(labels),
        size,
        augment: part === "train" ? augmentation(augment, size) : undefined,
        normalize: normalized,
      })
    })
    const train = yield* split("train")
    const test = yield* split("val")
    return { name, ...sample, shape: [size, size, 3], classes: classNames.length, classNames, train, test }
  }),
}
