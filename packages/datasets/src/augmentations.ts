/**
 * The augmentations that a training can name, in the order in which they are to be made.
 *
 * Event frames are augmented as images are, every frame of a sample alike.
 */
import type { Image } from "./images/image.ts"
import { cutout, randomCrop, randomHorizontalFlip, randomResizedCrop, randomRoll } from "./images/transforms.ts"
import { compose, type Transform } from "./transform.ts"

export type AugmentationName = "crop" | "cutout" | "flip" | "roll" | "resized-crop"

/** By name, for images that are `size` × `size` in the end. */
export const augmentations: Readonly<Record<AugmentationName, (size: number) => Transform<Image>>> = {
  /** Zeros around it, 4 wide, then a random part of the old size. */
  crop: () => randomCrop(4),
  /** With probability 0.5 a rectangle of 2–40 % of the area becomes grey. */
  cutout: () => cutout(),
  /** Left and right change places with probability 0.5. */
  flip: () => randomHorizontalFlip(),
  /** Moved by up to 5 pixels each way, around the edges. */
  roll: () => randomRoll(5),
  /** A random part of 8–100 % of the area, brought to size. */
  "resized-crop": (size) => randomResizedCrop(size),
}

export const augmentationNames = Object.keys(augmentations) as ReadonlyArray<AugmentationName>

/** All of them one after the other; none at all where there is no name. */
export const augmentation = (names: ReadonlyArray<AugmentationName>, size: number): Transform<Image> | undefined =>
  names.length === 0 ? undefined : compose(...names.map((name) => augmentations[name](size)))
