/**
 * A folder of images in ImageNet's layout (Russakovsky et al., "ImageNet large scale visual recognition challenge",
 * 2015): `train/<class>/*` and `val/<class>/*`, JPEG or PNG. The classes are the folders of `train` in order of name,
 * as in torchvision's `ImageFolder`, which walks the folders in them too; files beside them are passed over. A class with images of another format is refused.
 *
 * ImageNet itself is given to those who ask, at https://image-net.org/download-images. Nothing is downloaded here.
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

/** ImageNet's mean and deviation of each channel, as torchvision has them. */
const normalized = normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])

const filePattern = /\.(jpe?g|png)$/i

/** And those of the other formats that torchvision takes for images, by their names. */
const torchvisionPattern = /\.(jpe?g|png|ppm|bmp|pgm|tiff?|webp)$/i

/** And those that torchvision passes over. */
const imagePattern = /\.(jpe?g|png|ppm|bmp|pgm|tiff?|webp|gif|avif|heic|jp2|jxl|svg)$/i

/** Folders within folders: as deep as anybody sorts images, and no further than a link that leads back can go. */
const deepest = 16

/** A folder's images, and those of the folders in it behind them, each in order of name, as torchvision walks them. */
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
 * The data set: static images [224, 224, 3], unless told otherwise, normalised for each channel; classes as many as
 * there are folders (`sample` has ImageNet's 1,000). Training images are augmented by "resized-crop" and "flip" unless
 * told otherwise; test images get `centerResizedCrop`.
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
