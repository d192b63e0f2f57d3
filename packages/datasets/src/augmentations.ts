/**
 * The augmentations that can be selected by name.
 *
 * Event frames are augmented like images, with the same change to every frame of a sample.
 */
import type { Image } from "./images/image.ts"
import { cutout, randomCrop, randomHorizontalFlip, randomResizedCrop, randomRoll } from "./images/transforms.ts"
import { compose, type Transform } from "./transform.ts"

export type AugmentationName = "crop" | "cutout" | "flip" | "roll" | "resized-crop"

/** The augmentations by name. `size` is the width and height of the final image. */
export const augmentations: Readonly<Record<AugmentationName, (size: number) => Transform<Image>>> = {
  /** Pads with 4 zeros on each side, then crops a random region of the original size. */
  crop: () => randomCrop(4),
  /** With probability 0.5, fills a rectangle of 2–40 % of the area with grey. */
  cutout: () => cutout(),
  /** Mirrors left and right with probability 0.5. */
  flip: () => randomHorizontalFlip(),
  /** Shifts by up to 5 pixels along each axis, with wrap-around. */
  roll: () => randomRoll(5),
  /** Resizes a random region of 8–100 % of the area to `size` × `size`. */
  "resized-crop": (size) => randomResizedCrop(size),
}

export const augmentationNames = Object.keys(augmentations) as ReadonlyArray<AugmentationName>

/** The named augmentations, composed in order; undefined if no name is given. */
export const augmentation = (names: ReadonlyArray<AugmentationName>, size: number): Transform<Image> | undefined =>
  names.length === 0 ? undefined : compose(...names.map((name) => augmentations[name](size)))
